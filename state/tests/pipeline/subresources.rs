//! Scale, binding, eviction, tokens, streams, events in both forms.
use crate::fixture::{ACCOUNTS, Cluster, DEPLOYMENTS, PODS, account, deployment, document, node, pod};
use bus::Role;
use model::ApiError;
use serde_json::{Value, json};
use state_client::{Body, PatchKind, Reply, Verb};

#[tokio::test(flavor = "multi_thread")]
async fn scale() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(DEPLOYMENTS, "default", deployment("web")).await.unwrap();
    let read = document(&admin.send(admin.ask(Verb::Get, DEPLOYMENTS, "default", "web").subresource("scale")).await.unwrap());
    assert_eq!((read["kind"].clone(), read["spec"]["replicas"].clone(), read["status"]["selector"].clone()), (json!("Scale"), json!(2), json!("app=web")));
    let patch = Body::Patch(PatchKind::Merge, r#"{"spec":{"replicas":5}}"#.into());
    let patched = document(&admin.send(admin.ask(Verb::Patch, DEPLOYMENTS, "default", "web").subresource("scale").body(patch)).await.unwrap());
    assert_eq!(patched["spec"]["replicas"], 5);
    let object = admin.get(DEPLOYMENTS, "default", "web").await.unwrap();
    assert_eq!((object.object().int_at(&["spec", "replicas"]), object.object().generation()), (Some(5), 2));
}

/// Who writes a status may change labels and annotations with it, but for those of Deployments' labels, and of what nodes write.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_comes_with_words() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    admin.create(PODS, "default", pod("p")).await.unwrap();
    admin.create(DEPLOYMENTS, "default", deployment("web")).await.unwrap();
    const SERVICES: (&str, &str) = ("", "services");
    admin.create(SERVICES, "default", json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})).await.unwrap();
    let patch =
        json!({"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}, "finalizers": ["x/y"]}, "spec": {"replicas": 7, "sessionAffinity": "ClientIP"}});
    for (resource, name, label, annotation) in [(SERVICES, "s", true, true), (DEPLOYMENTS, "web", false, true), (PODS, "p", false, false)] {
        let body = Body::Patch(PatchKind::Merge, patch.to_string().into());
        admin.send(admin.ask(Verb::Patch, resource, "default", name).subresource("status").body(body)).await.unwrap();
        let got = admin.get(resource, "default", name).await.unwrap();
        let object = got.object();
        assert_eq!((object.label("l").is_some(), object.annotation("a").is_some()), (label, annotation), "{name}");
        assert!(object.list_at(&["metadata", "finalizers"]).is_empty() && object.int_at(&["spec", "replicas"]) != Some(7), "{name}");
        assert_ne!(object.str_at(&["spec", "sessionAffinity"]), "ClientIP");
    }
    for wrong in [json!({"labels": {"l": "not a label!"}}), json!({"annotations": {"a b": "1"}}), json!({"annotations": {"a": "x".repeat(300_000)}})] {
        let body = Body::Patch(PatchKind::Merge, json!({"metadata": wrong}).to_string().into());
        let refused = admin.send(admin.ask(Verb::Patch, SERVICES, "default", "s").subresource("status").body(body)).await;
        assert_eq!(refused.unwrap_err().code(), 422, "what comes with a status is checked as well");
    }
}

async fn bind(speaker: &crate::fixture::Speaker, name: &str, node: &str) -> Result<Value, ApiError> {
    speaker.post(PODS, "default", name, "binding", json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_bound_once_and_streamed_from() {
    let cluster = Cluster::start().await;
    let (admin, scheduler) = (cluster.admin(), cluster.role(Role::Scheduler, "s"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let made = admin.create(PODS, "default", pod("p")).await.unwrap();
    assert_eq!(made.object().list_at(&["spec", "volumes"]).len(), 1);
    let logs = |container: &str| {
        admin.ask(Verb::Connect, PODS, "default", "p").subresource("log").body(Body::Json(json!({"container": container}).to_string().into_bytes().into()))
    };
    assert_eq!(admin.send(logs("")).await.unwrap_err().message, "pod p does not have a host assigned");
    assert_eq!(bind(&scheduler, "p", "n1").await.unwrap()["status"], "Success");
    let again = bind(&scheduler, "p", "n2").await.unwrap_err();
    assert_eq!((again.code(), again.message.as_str()), (409, "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\""));
    let bound = admin.get(PODS, "default", "p").await.unwrap();
    assert_eq!(bound.object().list_at(&["status", "conditions"]).iter().find(|c| c["type"] == "PodScheduled").unwrap()["status"], "True");
    assert!(matches!(admin.send(logs("")).await.unwrap(), Reply::Object { object, .. } if object.object().str_at(&["spec", "nodeName"]) == "n1"));
    assert_eq!(admin.send(logs("x")).await.unwrap_err().message, "container x is not valid for pod p");
    let evicted = admin.post(PODS, "default", "p", "eviction", json!({"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}})).await.unwrap();
    assert_eq!(evicted["status"], "Success");
    assert_eq!(admin.get(PODS, "default", "p").await.unwrap_err().code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_and_reviewed() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    admin.create(("", "nodes"), "", node("n1")).await.unwrap();
    let made = admin.create(PODS, "default", pod("p")).await.unwrap();
    bind(&admin, "p", "n1").await.unwrap();
    let wanted = json!({"spec": {"expirationSeconds": 3607, "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made.object().uid()}}});
    let issued = cluster.role(Role::Agent, "n1").post(ACCOUNTS, "default", "default", "token", wanted.clone()).await.unwrap();
    let other = cluster.role(Role::Agent, "n2").post(ACCOUNTS, "default", "default", "token", wanted).await.unwrap_err();
    assert_eq!(other.code(), 403);
    let review = || admin.post(("authentication.k8s.io", "tokenreviews"), "", "", "", json!({"spec": {"token": issued["status"]["token"]}}));
    let good = review().await.unwrap();
    assert_eq!(good["status"]["user"]["username"], "system:serviceaccount:default:default", "{good}");
    assert_eq!(good["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    admin.delete(PODS, "default", "p", json!({"gracePeriodSeconds": 0})).await.unwrap();
    assert_eq!(review().await.unwrap()["status"]["authenticated"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_both_forms() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let event = json!({
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "Started", "message": "m", "type": "Normal",
        "source": {"component": "test"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
    });
    admin.create(("", "events"), "default", event).await.unwrap();
    let other = admin.get(("events.k8s.io", "events"), "default", "e").await.unwrap();
    assert_eq!((other.object().api_version(), other.object().str_at(&["note"])), ("events.k8s.io/v1", "m"));
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    admin.patch(("events.k8s.io", "events"), "", "default", "e", label).await.unwrap();
    assert_eq!(admin.get(("", "events"), "default", "e").await.unwrap().object().label("a"), Some("b"));
    let refused = admin.patch(("events.k8s.io", "events"), "", "default", "e", json!({"note": "changed"})).await.unwrap_err();
    assert!(refused.message.contains("field is immutable"), "the newer form is stricter: {refused}");
    admin.patch(("", "events"), "", "default", "e", json!({"message": "changed"})).await.unwrap();
    assert_eq!(admin.get(("events.k8s.io", "events"), "default", "e").await.unwrap().object().str_at(&["note"]), "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_waits_for_its_namespaces_own_account() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let (made, account) = tokio::join!(admin.create(PODS, "default", pod("early")), async {
        // the pod's create is on its way when the account comes
        tokio::task::yield_now().await;
        admin.create(ACCOUNTS, "default", account("default")).await
    });
    account.unwrap();
    assert_eq!(made.unwrap().object().str_at(&["spec", "serviceAccountName"]), "default");
}
