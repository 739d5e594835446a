//! Who may do what, over the bus.
use crate::fixture::{ACCOUNTS, BINDINGS, CONFIG_MAPS, Cluster, PODS, ROLES, account, config_map, node, pod};
use bus::Role;
use serde_json::json;
use state_client::{Options, Request, Verb};

#[tokio::test(flavor = "multi_thread")]
async fn roles_count_as_soon_as_they_are_written() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.user("alice"));
    admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
    let refused = alice.get(CONFIG_MAPS, "default", "a").await.unwrap_err();
    assert_eq!(refused.message, r#"configmaps "a" is forbidden: User "alice" cannot get resource "configmaps" in API group "" in the namespace "default""#);
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    admin.create(ROLES, "default", json!({"metadata": {"name": "r"}, "rules": rules})).await.unwrap();
    let api = "rbac.authorization.k8s.io";
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": api, "kind": "Role", "name": "r"}, "subjects": [{"apiGroup": api, "kind": "User", "name": "alice"}]});
    admin.create(BINDINGS, "default", binding).await.unwrap();
    assert!(alice.get(CONFIG_MAPS, "default", "a").await.is_ok());
    let can_i = json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "configmaps"}}});
    let answer = alice.post(("authorization.k8s.io", "selfsubjectaccessreviews"), "", "", "", can_i).await.unwrap();
    assert_eq!(answer["status"]["allowed"], true);
    let who = alice.post(("authentication.k8s.io", "selfsubjectreviews"), "", "", "", json!({})).await.unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "alice");
    admin.delete(ROLES, "default", "r", json!({})).await.unwrap();
    assert_eq!(alice.get(CONFIG_MAPS, "default", "a").await.unwrap_err().code(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_who_the_bus_says() {
    let cluster = Cluster::start().await;
    let nobody = cluster.role(Role::Gateway, "g");
    assert_eq!(nobody.get(CONFIG_MAPS, "default", "a").await.unwrap_err().code(), 401);
    let scheduler = cluster.role(Role::Scheduler, "s");
    assert_eq!(scheduler.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap_err().code(), 403);
    let mut posing = scheduler.ask(Verb::Get, CONFIG_MAPS, "default", "a");
    posing.user = Some(state_client::User { name: "admin".into(), groups: vec!["system:masters".into()], ..Default::default() });
    assert_eq!(scheduler.send(posing).await.unwrap_err().code(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_itself() {
    let cluster = Cluster::start().await;
    let (admin, n1) = (cluster.admin(), cluster.role(Role::Agent, "n1"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    n1.create(("", "nodes"), "", node("n1")).await.unwrap();
    assert_eq!(n1.create(("", "nodes"), "", node("n2")).await.unwrap_err().code(), 403);
    n1.patch(("", "nodes"), "status", "", "n1", json!({"status": {"conditions": []}})).await.unwrap();
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {"holderIdentity": name}});
    n1.create(("coordination.k8s.io", "leases"), "kube-node-lease", lease("n1")).await.unwrap();
    assert_eq!(n1.create(("coordination.k8s.io", "leases"), "kube-node-lease", lease("n2")).await.unwrap_err().code(), 403);

    let mine = json!({"spec": {"nodeName": "n1", "volumes": [{"name": "c", "configMap": {"name": "used"}}]}});
    for (name, node) in [("mine", "n1"), ("other", "n2")] {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!(node);
        if name == "mine" {
            pod["spec"]["volumes"] = mine["spec"]["volumes"].clone();
        }
        admin.create(PODS, "default", pod).await.unwrap();
    }
    for name in ["used", "unused"] {
        admin.create(CONFIG_MAPS, "default", config_map(name)).await.unwrap();
    }
    assert!(n1.get(CONFIG_MAPS, "default", "used").await.is_ok());
    assert_eq!(n1.get(CONFIG_MAPS, "default", "unused").await.unwrap_err().code(), 403);
    let running = json!({"status": {"phase": "Running"}});
    assert!(n1.patch(PODS, "status", "default", "mine", running.clone()).await.is_ok());
    assert_eq!(n1.patch(PODS, "status", "default", "other", running).await.unwrap_err().code(), 403);
    let list = |selector: &str| {
        let request = n1.ask(Verb::List, PODS, "", "");
        n1.send(Request { options: Options { field_selector: selector.into(), ..Options::default() }, ..request })
    };
    assert!(list("spec.nodeName=n1").await.is_ok());
    assert_eq!(list("").await.unwrap_err().code(), 403);
    assert_eq!(list("spec.nodeName=n2").await.unwrap_err().code(), 403);
}
