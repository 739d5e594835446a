//! What a PUT makes, and from what it must be made.
use crate::fixture::{CONFIG_MAPS, Cluster, config_map};
use serde_json::{Value, json};
use state_client::{Body, Options, Reply, Request, Verb};

const LEASES: (&str, &str) = ("coordination.k8s.io", "leases");

#[tokio::test]
async fn a_put_makes_what_may_be_made_so() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let put = |at, name: &str, object: &Value| admin.send(admin.ask(Verb::Update, at, "default", name).body(Body::Json(object.to_string().into())));
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let made = put(LEASES, "l", &lease).await.unwrap();
    assert!(matches!(&made, Reply::Object { created: true, object, .. } if !object.object().uid().is_empty()), "{made:?}");
    let again = put(LEASES, "l", &lease).await.unwrap_err();
    assert_eq!((again.code(), again.message.contains("metadata.resourceVersion: Invalid value: 0: must be specified for an update")), (422, true), "{again}");
    let mut named = lease.clone();
    named["metadata"]["resourceVersion"] = json!("7");
    named["metadata"]["name"] = json!("other");
    assert_eq!(put(LEASES, "other", &named).await.unwrap_err().code(), 400, "what is new has no revision");
    assert_eq!(put(CONFIG_MAPS, "absent", &config_map("absent")).await.unwrap_err().code(), 404);
    assert_eq!(put(LEASES, "x", &lease).await.unwrap_err().code(), 400, "another name than the path's");
}

#[tokio::test]
async fn a_strict_error_names_all_fields_in_their_order() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let text = r#"{"z": 1, "metadata": {"name": "a", "labels": {"x": "1", "x": "2"}, "more": true}, "data": {"b": "1", "b": "2"}, "a": 1}"#;
    let with = |mode: &str| {
        let options = Options { field_validation: mode.into(), dry_run: true, ..Options::default() };
        Request { options, ..admin.ask(Verb::Create, CONFIG_MAPS, "default", "") }.body(Body::Json(text.into()))
    };
    let found = [
        "unknown field \"z\"",
        "duplicate field \"metadata.labels.x\"",
        "unknown field \"metadata.more\"",
        "duplicate field \"data.b\"",
        "unknown field \"a\"",
    ];
    let refused = admin.send(with("Strict")).await.unwrap_err();
    assert!(refused.message.ends_with(&format!("strict decoding error: {}", found.join(", "))), "{refused}");
    for (mode, want) in [("Warn", &found[..]), ("Ignore", &[])] {
        let Reply::Object { warnings, .. } = admin.send(with(mode)).await.unwrap() else { panic!("not an object") };
        assert_eq!(warnings, want, "{mode}");
    }
}

#[tokio::test]
async fn the_source_of_an_event_is_its_reporter_where_it_has_none() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let about = json!({"kind": "Pod", "name": "p", "namespace": "default"});
    for (name, source, reporter) in [("old", "kubelet", ""), ("new", "", "kubelet"), ("both", "kubelet", "other"), ("other", "x", "kubelet")] {
        let event =
            json!({"metadata": {"name": name}, "involvedObject": about, "source": {"component": source}, "reportingComponent": reporter, "type": "Normal"});
        admin.create(("", "events"), "default", event).await.unwrap();
    }
    let options = Options { field_selector: "source=kubelet".into(), ..Options::default() };
    let Reply::List(found) = admin.send(Request { options, ..admin.ask(Verb::List, ("", "events"), "default", "") }).await.unwrap() else {
        panic!("not a list")
    };
    let names: Vec<&str> = found.items.iter().map(|e| &*e.key.name).collect();
    assert_eq!(names, ["both", "new", "old"]);
}
