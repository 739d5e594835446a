//! Evictions: what a budget allows is taken of it together with the pod, whoever asks for it and however many do.
use crate::fixture::{ACCOUNTS, At, Cluster, PODS, Speaker, account, pod};
use bus::{Caller, Role};
use futures::future::join_all;
use model::{ApiError, Reason};
use serde_json::{Value, json};
use state_client::Client;
use std::collections::BTreeSet;

const BUDGETS: At = ("policy", "poddisruptionbudgets");
const ENOUGH: &str = "The disruption budget b needs 2 healthy pods and has 2 currently";

async fn evict(speaker: &Speaker, name: &str, options: Value) -> Result<Value, ApiError> {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options});
    speaker.post(PODS, "default", name, "eviction", eviction).await
}

/// Bound pods that run, ready or not.
async fn run(admin: &Speaker, names: &[String], ready: bool) {
    for name in names {
        let mut made = pod(name);
        made["metadata"]["labels"] = json!({"app": "web"});
        admin.create(PODS, "default", made).await.unwrap();
        admin.post(PODS, "default", name, "binding", json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}})).await.unwrap();
        let conditions = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
        admin.patch(PODS, "status", "default", name, json!({"status": {"phase": "Running", "conditions": conditions}})).await.unwrap();
    }
}

/// A budget as its controller counted it.
async fn budget(admin: &Speaker, name: &str, allowed: i64, healthy: i64, desired: i64) {
    let budget = json!({"metadata": {"name": name}, "spec": {"minAvailable": desired, "selector": {"matchLabels": {"app": "web"}}}});
    admin.create(BUDGETS, "default", budget).await.unwrap();
    let status = json!({"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": healthy});
    admin.patch(BUDGETS, "status", "default", name, json!({"status": status})).await.unwrap();
}

async fn status(admin: &Speaker, name: &str) -> Value {
    admin.get(BUDGETS, "default", name).await.unwrap().object().at(&["status"]).cloned().unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n:02}")).collect()
}

fn cause(refused: &ApiError) -> String {
    refused.details.as_ref().and_then(|d| d.causes.first()).map(|c| c.message.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_spent() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    run(&admin, &names(3), true).await;
    admin
        .create(BUDGETS, "default", json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}))
        .await
        .unwrap();
    let unseen = evict(&admin, "p00", json!({})).await.unwrap_err();
    assert_eq!((unseen.code(), cause(&unseen).as_str()), (429, "The disruption budget b is still being processed by the server."));
    assert_eq!(unseen.details.unwrap().retry_after_seconds, 10);
    let counted = json!({"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3});
    admin.patch(BUDGETS, "status", "default", "b", json!({"status": counted})).await.unwrap();

    // what is only tried, and what isn't this pod, takes nothing
    evict(&admin, "p00", json!({"dryRun": ["All"]})).await.unwrap();
    assert_eq!(evict(&admin, "p00", json!({"preconditions": {"uid": "other"}})).await.unwrap_err().code(), 409);
    assert_eq!(evict(&admin, "p00", json!({"preconditions": {"resourceVersion": "1"}})).await.unwrap_err().code(), 409);
    assert_eq!(evict(&admin, "none", json!({})).await.unwrap_err().code(), 404);
    let other = admin.post(PODS, "default", "p00", "eviction", json!({"metadata": {"name": "p01"}})).await.unwrap_err();
    assert_eq!(other.message, "name in URL does not match name in Eviction object");
    assert_eq!(status(&admin, "b").await["disruptionsAllowed"], 1);

    evict(&admin, "p00", json!({})).await.unwrap();
    let evicted = admin.get(PODS, "default", "p00").await.unwrap();
    let evicted = evicted.object();
    let target = evicted.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == "DisruptionTarget").cloned().unwrap();
    assert_eq!((target["status"].clone(), target["reason"].clone()), (json!("True"), json!("EvictionByEvictionAPI")));
    assert!(evicted.deletion_timestamp().is_some());
    let left = status(&admin, "b").await;
    assert_eq!((left["disruptionsAllowed"].clone(), left["conditions"][0]["reason"].clone()), (json!(0), json!("InsufficientPods")));
    assert!(left["disruptedPods"]["p00"].is_string(), "{left}");

    admin.patch(BUDGETS, "status", "default", "b", json!({"status": {"currentHealthy": 2}})).await.unwrap();
    let refused = evict(&admin, "p01", json!({})).await.unwrap_err();
    assert_eq!((refused.reason, cause(&refused).as_str()), (Reason::TooManyRequests, ENOUGH));
    assert_eq!(refused.message, "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(evict(&admin, "p01", json!({"dryRun": ["All"]})).await.unwrap_err().code(), 429);
    evict(&admin, "p00", json!({})).await.unwrap();

    budget(&admin, "c", 1, 3, 2).await;
    let several = evict(&admin, "p01", json!({})).await.unwrap_err();
    assert_eq!(several.code(), 500);
    assert_eq!(several.message, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_serve_nobody_go_without_a_budget() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    budget(&admin, "b", 0, 2, 2).await;
    let mut pending = pod("pending");
    pending["metadata"]["labels"] = json!({"app": "web"});
    admin.create(PODS, "default", pending).await.unwrap();
    evict(&admin, "pending", json!({})).await.unwrap();
    assert!(admin.get(PODS, "default", "pending").await.unwrap_err().is_not_found());
    run(&admin, &names(2), false).await;
    evict(&admin, "p00", json!({})).await.unwrap();
    admin.patch(BUDGETS, "status", "default", "b", json!({"status": {"currentHealthy": 1}})).await.unwrap();
    assert_eq!(evict(&admin, "p01", json!({})).await.unwrap_err().code(), 429);
    admin.patch(BUDGETS, "", "default", "b", json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})).await.unwrap();
    evict(&admin, "p01", json!({})).await.unwrap();
    assert_eq!(status(&admin, "b").await["disruptedPods"], Value::Null);
}

/// However many evict at the same time, by whichever process of `state`: no more pods go than are allowed, and each is in the budget's status.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_go_than_are_allowed() {
    const ALLOWED: usize = 7;
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let (bus, _services) = cluster.another().await;
    let other = Client::new(bus.speaking_as(Caller::new(Role::Admin, "admin")));
    let all = names(24);
    run(&admin, &all, true).await;
    budget(&admin, "b", ALLOWED as i64, 24, 17).await;
    let elsewhere = admin.through(other);
    let results = join_all(all.iter().enumerate().map(|(n, name)| {
        let speaker = if n % 2 == 0 { &admin } else { &elsewhere };
        evict(speaker, name, json!({"gracePeriodSeconds": 30}))
    }));
    let results = results.await;
    let mut gone = BTreeSet::new();
    for pod in &all {
        if admin.get(PODS, "default", pod).await.unwrap().object().deletion_timestamp().is_some() {
            gone.insert(pod.clone());
        }
    }
    let told: BTreeSet<String> = all.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(name, _)| name.clone()).collect();
    let refused: Vec<u16> = results.iter().filter_map(|r| r.as_ref().err().map(ApiError::code)).collect();
    assert_eq!((gone.len(), &gone), (ALLOWED, &told), "{results:?}");
    assert!(refused.iter().all(|code| *code == 429), "{refused:?}");
    let left = status(&admin, "b").await;
    let noted: BTreeSet<String> = left["disruptedPods"].as_object().unwrap().keys().cloned().collect();
    assert_eq!((left["disruptionsAllowed"].clone(), noted), (json!(0), gone));
}
