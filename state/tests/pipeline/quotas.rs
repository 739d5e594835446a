//! ResourceQuotas are never exceeded and count nothing that isn't there, whichever process of `state` writes.
use crate::fixture::{At, CONFIG_MAPS, Cluster, PODS, Speaker, account, config_map};
use bus::{Caller, Role};
use futures::future::join_all;
use model::{ApiError, Reason, Stored};
use serde_json::{Value, json};
use state_client::{Body, Client, Request, Verb};
use std::sync::Arc;
use std::time::Duration;

const QUOTAS: At = ("", "resourcequotas");

fn quota(name: &str, hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})
}

fn used(quota: &Stored, name: &str) -> u64 {
    quota.object().str_at(&["status", "used", name]).parse().unwrap_or(u64::MAX)
}

/// Waits until a quota says this.
async fn settled(admin: &Speaker, name: &str, wanted: &Value) {
    let mut last = Value::Null;
    for _ in 0..500 {
        last = admin.get(QUOTAS, "default", name).await.unwrap().object().at(&["status", "used"]).cloned().unwrap_or_default();
        if last == *wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{name} says {last}, not {wanted}");
}

async fn create(client: &Client, at: At, object: Value) -> Result<Arc<Stored>, ApiError> {
    let body = Body::Json(object.to_string().into_bytes().into());
    client.object(Request::new(Verb::Create, at.0, at.1, "default", "").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_exceed_a_quota() {
    let cluster = Cluster::start().await;
    let (other, _services) = cluster.another().await;
    let admin = cluster.admin();
    let clients = [admin.client.clone(), Client::new(other.speaking_as(Caller::new(Role::Admin, "admin")))];
    let before = admin.create(CONFIG_MAPS, "default", config_map("before")).await.map(|_| 1).unwrap();
    for (name, most) in [("tight", "41"), ("wide", "1000")] {
        admin.create(QUOTAS, "default", quota(name, json!({"count/configmaps": most, "configmaps": most}))).await.unwrap();
    }
    settled(&admin, "tight", &json!({"count/configmaps": before.to_string(), "configmaps": before.to_string()})).await;
    clients[1].object(Request::new(Verb::Get, "", "resourcequotas", "default", "tight")).await.unwrap();

    let both = || clients.iter().enumerate().flat_map(|(process, client)| (0..60).map(move |n| (client, format!("m{process}-{n}"))));
    let made = join_all(both().map(|(client, name)| create(client, CONFIG_MAPS, config_map(&name)))).await;
    let (right, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!((right.len(), refused.len()), (40, 80));
    for refusal in refused.into_iter().filter_map(Result::err) {
        let told =
            refusal.message.contains("exceeded quota: tight, requested: configmaps=1,count/configmaps=1, used: configmaps=41,count/configmaps=41, limited:");
        assert!(refusal.reason == Reason::Forbidden && told, "{refusal}");
    }
    settled(&admin, "wide", &json!({"count/configmaps": "41", "configmaps": "41"})).await;

    // half of them go at one process, while the other makes new ones in their place
    let names: Vec<String> = right.iter().map(|made| made.as_ref().unwrap().key.name.to_string()).collect();
    let gone = names[..20].iter().map(|name| clients[0].delete("", "configmaps", "default", name));
    let more = (0..40).map(|n| create(&clients[1], CONFIG_MAPS, config_map(&format!("again{n}"))));
    let (gone, more) = futures::join!(join_all(gone), join_all(more));
    assert!(gone.iter().all(Result::is_ok));
    let there = admin.client.list("", "configmaps", "default").await.unwrap().items.len();
    assert_eq!(there, 41 - 20 + more.iter().filter(|made| made.is_ok()).count());
    let told = admin.get(QUOTAS, "default", "tight").await.unwrap();
    assert_eq!(used(&told, "configmaps"), there as u64);
    assert!(there <= 41);
}

#[tokio::test]
async fn what_quotas_count_follows_the_objects() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let pod = |name: &str, cpu: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}]}});
    admin.create(("", "serviceaccounts"), "default", account("default")).await.unwrap();
    admin.create(PODS, "default", pod("old", "1")).await.unwrap();
    admin.create(QUOTAS, "default", quota("q", json!({"pods": "2", "requests.cpu": "2", "count/pods": "3"}))).await.unwrap();
    settled(&admin, "q", &json!({"pods": "1", "requests.cpu": "1", "count/pods": "1"})).await;
    let silent =
        admin.create(PODS, "default", json!({"metadata": {"name": "silent"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})).await.unwrap_err();
    assert_eq!(silent.message, r#"pods "silent" is forbidden: failed quota: q: must specify requests.cpu for: c"#);
    let large = admin.create(PODS, "default", pod("large", "1500m")).await.unwrap_err();
    assert_eq!(large.message, r#"pods "large" is forbidden: exceeded quota: q, requested: requests.cpu=1500m, used: requests.cpu=1, limited: requests.cpu=2"#);
    let mut dry = admin.ask(Verb::Create, PODS, "default", "").body(Body::Json(pod("large", "1500m").to_string().into_bytes().into()));
    dry.options.dry_run = true;
    assert_eq!(admin.send(dry).await.unwrap_err().reason, Reason::Forbidden);
    admin.create(PODS, "default", pod("small", "500m")).await.unwrap();
    // one that has ended takes no cpu, but its place among the objects
    admin.patch(PODS, "status", "default", "old", json!({"status": {"phase": "Succeeded"}})).await.unwrap();
    settled(&admin, "q", &json!({"pods": "1", "requests.cpu": "500m", "count/pods": "2"})).await;
    admin.create(PODS, "default", pod("large", "1500m")).await.unwrap();
    // more may be used than new limits allow; then nothing more is
    admin.patch(QUOTAS, "", "default", "q", json!({"spec": {"hard": {"pods": "1", "secrets": "1"}}})).await.unwrap();
    settled(&admin, "q", &json!({"pods": "2", "requests.cpu": "2", "count/pods": "3", "secrets": "0"})).await;
    assert!(admin.create(PODS, "default", pod("more", "0")).await.unwrap_err().message.contains("exceeded quota: q, requested: count/pods=1,pods=1"));
    for name in ["old", "small", "large"] {
        admin.delete(PODS, "default", name, json!({"gracePeriodSeconds": 0})).await.unwrap();
    }
    settled(&admin, "q", &json!({"pods": "0", "requests.cpu": "0", "count/pods": "0", "secrets": "0"})).await;
}
