//! Deletions with grace, finalizers and preconditions; namespaces; collections.
use crate::fixture::{ACCOUNTS, CONFIG_MAPS, Cluster, DEPLOYMENTS, NAMESPACES, PODS, account, config_map, deployment, document, pod, stored};
use serde_json::json;
use state_client::{Options, Reply, Request, Verb};

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_when_nothing_keeps_them() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let made = admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
    let wrong = admin.delete(CONFIG_MAPS, "default", "a", json!({"preconditions": {"uid": "x"}})).await.unwrap_err();
    assert_eq!(wrong.code(), 409);
    let gone = document(&admin.delete(CONFIG_MAPS, "default", "a", json!({"preconditions": {"uid": made.object().uid()}})).await.unwrap());
    assert_eq!(
        (gone["status"].clone(), gone["details"]["kind"].clone(), gone["details"]["uid"].clone()),
        (json!("Success"), json!("configmaps"), json!(made.object().uid()))
    );
    assert_eq!(admin.delete(CONFIG_MAPS, "default", "a", json!({})).await.unwrap_err().code(), 404);

    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    admin.create(CONFIG_MAPS, "default", held).await.unwrap();
    let marked = stored(admin.delete(CONFIG_MAPS, "default", "held", json!({})).await.unwrap());
    assert!(marked.object().deletion_timestamp().is_some());
    let more = admin.patch(CONFIG_MAPS, "", "default", "held", json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})).await;
    assert_eq!(more.unwrap_err().code(), 422);
    admin.patch(CONFIG_MAPS, "", "default", "held", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(admin.get(CONFIG_MAPS, "default", "held").await.unwrap_err().code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn propagation_leaves_finalizers() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        admin.create(DEPLOYMENTS, "default", deployment(&policy.to_lowercase())).await.unwrap();
        let marked = stored(admin.delete(DEPLOYMENTS, "default", &policy.to_lowercase(), json!({"propagationPolicy": policy})).await.unwrap());
        assert_eq!(marked.object().finalizers().collect::<Vec<_>>(), [finalizer]);
        assert_eq!(marked.object().generation(), 2);
    }
    admin.create(DEPLOYMENTS, "default", deployment("b")).await.unwrap();
    let gone = document(&admin.delete(DEPLOYMENTS, "default", "b", json!({"propagationPolicy": "Background"})).await.unwrap());
    assert_eq!((gone["status"].clone(), gone["details"]["group"].clone()), (json!("Success"), json!("apps")));
    assert_eq!(admin.delete(DEPLOYMENTS, "default", "orphan", json!({"propagationPolicy": "Sideways"})).await.unwrap_err().code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_their_grace() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    admin.create(PODS, "default", pod("unbound")).await.unwrap();
    stored(admin.delete(PODS, "default", "unbound", json!({})).await.unwrap());
    assert_eq!(admin.get(PODS, "default", "unbound").await.unwrap_err().code(), 404, "nobody runs it");

    admin.create(PODS, "default", pod("bound")).await.unwrap();
    let target = json!({"target": {"kind": "Node", "name": "n1"}});
    admin.post(PODS, "default", "bound", "binding", target).await.unwrap();
    let grace = |reply: Reply| stored(reply).object().int_at(&["metadata", "deletionGracePeriodSeconds"]);
    assert_eq!(grace(admin.delete(PODS, "default", "bound", json!({})).await.unwrap()), Some(30));
    assert_eq!(grace(admin.delete(PODS, "default", "bound", json!({"gracePeriodSeconds": 60})).await.unwrap()), Some(30), "never longer");
    assert_eq!(grace(admin.delete(PODS, "default", "bound", json!({"gracePeriodSeconds": 5})).await.unwrap()), Some(5));
    assert!(admin.get(PODS, "default", "bound").await.is_ok());
    admin.delete(PODS, "default", "bound", json!({"gracePeriodSeconds": 0})).await.unwrap();
    assert_eq!(admin.get(PODS, "default", "bound").await.unwrap_err().code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_end_when_finalized() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(NAMESPACES, "", json!({"metadata": {"name": "mine"}})).await.unwrap();
    let marked = stored(admin.delete(NAMESPACES, "", "mine", json!({})).await.unwrap());
    assert_eq!(marked.object().str_at(&["status", "phase"]), "Terminating");
    let late = admin.create(CONFIG_MAPS, "mine", config_map("a")).await.unwrap_err();
    assert_eq!(late.message, "configmaps \"a\" is forbidden: unable to create new content in namespace mine because it is being terminated");
    let mut finalized = marked.object().clone();
    finalized.set(&["spec", "finalizers"], json!([]));
    let controllers = cluster.role(bus::Role::Controllers, "c");
    controllers.update(NAMESPACES, "finalize", &finalized).await.unwrap();
    assert_eq!(admin.get(NAMESPACES, "", "mine").await.unwrap_err().code(), 404);
    assert_eq!(
        admin.delete(NAMESPACES, "", "default", json!({})).await.unwrap_err().message,
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn collections() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for (name, label) in [("a", "x"), ("b", "x"), ("c", "y")] {
        admin.create(CONFIG_MAPS, "default", json!({"metadata": {"name": name, "labels": {"l": label}}})).await.unwrap();
    }
    let request = admin.ask(Verb::DeleteCollection, CONFIG_MAPS, "default", "");
    let reply = admin.send(Request { options: Options { label_selector: "l=x".into(), ..Options::default() }, ..request }).await.unwrap();
    assert!(matches!(reply, Reply::List(list) if list.items.len() == 2));
    assert!(admin.get(CONFIG_MAPS, "default", "a").await.is_err() && admin.get(CONFIG_MAPS, "default", "c").await.is_ok());
}
