//! Create, read, update, patch, list, batch.
use crate::fixture::{CONFIG_MAPS, Cluster, DEPLOYMENTS, NAMESPACES, PODS, SERVICES, config_map, deployment, pod, stored};
use serde_json::{Value, json};
use state_client::{Body, Options, PatchKind, Reply, Request, Verb};

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_made_read_and_changed() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let made = admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
    assert_eq!((made.object().uid().len(), made.object().namespace(), made.object().resource_version()), (36, "default", &*made.revision.to_string()));
    assert_eq!(admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap_err().message, "configmaps \"a\" already exists");
    assert_eq!(admin.get(CONFIG_MAPS, "default", "a").await.unwrap().json(), made.json());
    assert_eq!(admin.get(CONFIG_MAPS, "default", "b").await.unwrap_err().message, "configmaps \"b\" not found");

    let mut next = made.object().clone();
    next.set(&["data", "a"], "2");
    next.set(&["metadata", "creationTimestamp"], "2000-01-01T00:00:00Z");
    let changed = admin.update(CONFIG_MAPS, "", &next).await.unwrap();
    assert!(changed.revision > made.revision);
    assert_eq!(changed.object().creation_timestamp(), made.object().creation_timestamp());
    assert_eq!(admin.update(CONFIG_MAPS, "", &next).await.unwrap_err().code(), 409, "an older revision");
    next.remove(&["metadata", "resourceVersion"]);
    assert_eq!(admin.update(CONFIG_MAPS, "", &next).await.unwrap().revision, changed.revision, "nothing changes");
    next.set(&["metadata", "uid"], "other");
    assert_eq!(admin.update(CONFIG_MAPS, "", &next).await.unwrap_err().code(), 409, "another object");

    let patched = admin.patch(CONFIG_MAPS, "", "default", "a", json!({"data": {"b": "3"}})).await.unwrap();
    assert_eq!(patched.object().0["data"], json!({"a": "2", "b": "3"}));
    let stale = json!({"metadata": {"resourceVersion": made.object().resource_version()}, "data": {"b": "4"}});
    assert_eq!(admin.patch(CONFIG_MAPS, "", "default", "a", stale).await.unwrap_err().code(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_in_kubernetes_words() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let cases = [
        (CONFIG_MAPS, "default", config_map("A_"), 422),
        (CONFIG_MAPS, "default", json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}), 400),
        (CONFIG_MAPS, "default", json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}}), 400),
        (CONFIG_MAPS, "default", json!({"metadata": {"name": "a", "namespace": "other"}}), 400),
        (CONFIG_MAPS, "default", json!({"metadata": {"name": "a", "resourceVersion": "7"}}), 400),
        (CONFIG_MAPS, "default", json!({"metadata": {"name": "a"}, "data": {"x": 5}}), 400),
        (CONFIG_MAPS, "default", json!({"metadata": {}}), 422),
        (CONFIG_MAPS, "none", config_map("a"), 404),
        (PODS, "default", pod("a"), 403),
        (("", "widgets"), "default", config_map("a"), 404),
    ];
    for (at, namespace, object, code) in cases {
        let e = admin.create(at, namespace, object.clone()).await.unwrap_err();
        assert_eq!(e.code(), code, "{object}: {e}");
    }
    let garbage = admin.ask(Verb::Create, CONFIG_MAPS, "default", "").body(Body::Json("{".into()));
    assert_eq!(admin.send(garbage).await.unwrap_err().code(), 400);
    let strict =
        Request { options: Options { field_validation: "Strict".into(), ..Options::default() }, ..admin.ask(Verb::Create, CONFIG_MAPS, "default", "") };
    let unknown = json!({"metadata": {"name": "a"}, "nonsense": 1}).to_string().into_bytes();
    assert_eq!(admin.send(strict.body(Body::Json(unknown.into()))).await.unwrap_err().code(), 400);
    let apply = admin.ask(Verb::Patch, CONFIG_MAPS, "default", "a").body(Body::Patch(PatchKind::Apply, "{}".into()));
    let e = admin.send(apply).await.unwrap_err();
    assert_eq!((e.code(), e.message.contains("fieldManager: Required value")), (422, true), "{e}");
    assert_eq!(admin.send(admin.ask(Verb::Get, ("", "nodes"), "default", "a")).await.unwrap_err().code(), 400);
    assert_eq!(admin.send(admin.ask(Verb::Update, ("authorization.k8s.io", "subjectaccessreviews"), "", "a")).await.unwrap_err().code(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_generated_and_dry_runs_leave_nothing() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let generated = json!({"metadata": {"generateName": "web-"}});
    let (a, b) = (admin.create(CONFIG_MAPS, "default", generated.clone()).await.unwrap(), admin.create(CONFIG_MAPS, "default", generated).await.unwrap());
    assert!(a.object().name().starts_with("web-") && a.object().name() != b.object().name());

    let dry = |verb, name: &str, body: Value| {
        let request = admin.ask(verb, CONFIG_MAPS, "default", name).body(Body::Json(body.to_string().into_bytes().into()));
        admin.send(Request { options: Options { dry_run: true, ..Options::default() }, ..request })
    };
    dry(Verb::Create, "", config_map("dry")).await.unwrap();
    assert_eq!(admin.get(CONFIG_MAPS, "default", "dry").await.unwrap_err().code(), 404);
    let mut changed = serde_json::from_slice::<Value>(a.json()).unwrap();
    changed["data"] = json!({"x": "y"});
    assert_eq!(stored(dry(Verb::Update, a.object().name(), changed).await.unwrap()).object().0["data"]["x"], "y");
    dry(Verb::Delete, a.object().name(), json!({})).await.unwrap();
    assert_eq!(admin.get(CONFIG_MAPS, "default", a.object().name()).await.unwrap().revision, a.revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_generation_are_kept_apart() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let made = admin.create(DEPLOYMENTS, "default", deployment("web")).await.unwrap();
    assert_eq!(made.object().generation(), 1);
    let both = json!({"spec": {"replicas": 3}, "status": {"replicas": 9}});
    let main = admin.patch(DEPLOYMENTS, "", "default", "web", both.clone()).await.unwrap();
    assert_eq!((main.object().generation(), main.object().int_at(&["spec", "replicas"]), main.object().int_at(&["status", "replicas"])), (2, Some(3), None));
    let status = admin.patch(DEPLOYMENTS, "status", "default", "web", json!({"spec": {"replicas": 7}, "status": {"replicas": 9}})).await.unwrap();
    assert_eq!(
        (status.object().generation(), status.object().int_at(&["spec", "replicas"]), status.object().int_at(&["status", "replicas"])),
        (2, Some(3), Some(9))
    );
    let label = admin.patch(DEPLOYMENTS, "", "default", "web", json!({"metadata": {"labels": {"x": "y"}}})).await.unwrap();
    assert_eq!(label.object().generation(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_select_and_page() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let object = |i: usize| json!({"metadata": {"name": format!("m{i}"), "labels": {"parity": if i.is_multiple_of(2) { "even" } else { "odd" }}}}).to_string();
    let create = |i| admin.ask(Verb::Create, CONFIG_MAPS, "default", "").body(Body::Json(object(i).into_bytes().into()));
    let replies = admin.client.batch((0..100).map(create).chain([create(0)]).collect()).await;
    let names: Vec<String> = replies.iter().take(100).map(|r| r.clone().map(stored).unwrap().object().name().to_owned()).collect();
    assert!(names.iter().enumerate().all(|(i, name)| *name == format!("m{i}")), "replies come in order");
    assert!(replies[100].as_ref().is_err_and(model::ApiError::is_already_exists), "one failure is one's own");

    let list = |options: Options| {
        let request = Request { options, ..admin.ask(Verb::List, CONFIG_MAPS, "default", "") };
        let admin = admin.clone();
        async move {
            match admin.send(request).await.unwrap() {
                Reply::List(list) => list,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(list(Options { label_selector: "parity=odd".into(), ..Options::default() }).await.items.len(), 50);
    assert_eq!(list(Options { field_selector: "metadata.name=m7".into(), ..Options::default() }).await.items.len(), 1);
    let first = list(Options { limit: 30, ..Options::default() }).await;
    assert_eq!((first.items.len(), first.remaining), (30, Some(70)));
    admin.delete(CONFIG_MAPS, "default", "m99", json!({})).await.unwrap();
    let rest = list(Options { continue_token: first.continue_token, ..Options::default() }).await;
    assert_eq!((rest.items.len(), rest.revision), (70, first.revision), "the second page is of the first one's revision");
    let unknown = Request { options: Options { field_selector: "spec.x=1".into(), ..Options::default() }, ..admin.ask(Verb::List, CONFIG_MAPS, "default", "") };
    assert_eq!(admin.send(unknown).await.unwrap_err().code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_made_at_once_share_nothing() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let service = |i: usize| json!({"metadata": {"name": format!("s{i}")}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}).to_string();
    let create = |i| admin.ask(Verb::Create, SERVICES, "default", "").body(Body::Json(service(i).into_bytes().into()));
    let made: Vec<_> = admin.client.batch((0..200).map(create).collect()).await.into_iter().map(|r| stored(r.unwrap())).collect();
    let distinct = |path: fn(&model::Object) -> String| made.iter().map(|s| path(s.object())).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(distinct(|o| o.str_at(&["spec", "clusterIP"]).to_owned()), 200);
    assert_eq!(distinct(|o| o.list_at(&["spec", "ports"])[0]["nodePort"].to_string()), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_at_once_all_arrive() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIG_MAPS, "default", json!({"metadata": {"name": "hot"}})).await.unwrap();
    let patch = |i: usize| {
        let admin = admin.clone();
        async move { admin.patch(CONFIG_MAPS, "", "default", "hot", json!({"data": {format!("k{i}"): "v"}})).await.map(|_| ()) }
    };
    let all = futures::future::join_all((0..10).map(patch)).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let object = admin.get(CONFIG_MAPS, "default", "hot").await.unwrap();
    assert_eq!(object.object().0["data"].as_object().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_cluster_has() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        assert_eq!(admin.get(NAMESPACES, "", name).await.unwrap().object().str_at(&["status", "phase"]), "Active");
    }
    assert!(admin.get(("rbac.authorization.k8s.io", "clusterroles"), "", "cluster-admin").await.is_ok());
    assert!(cluster.services.pipeline().metrics().read().iter().any(|s| s.verb == Verb::Create && s.code == 201));
}
