//! The kubelets of nodes on paper: they mark bound pods Running, confirm deletions and renew the nodes' leases.
use crate::api::{Api, ApiError};
use crate::load::Failures;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Status writes of the paper kubelets at once.
const KUBELET_WRITES: usize = 64;
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// What the paper kubelets have to do.
pub enum Duty {
    /// This pod is bound: it is to run.
    Run(String),
    /// This pod is to go: it has ended.
    Confirm(String),
}

/// The kubelets of all paper nodes, on their own connections.
pub async fn kubelets(api: Api, pods: Arc<str>, mut duties: mpsc::UnboundedReceiver<Duty>, failures: Arc<Failures>) {
    let places = Arc::new(Semaphore::new(KUBELET_WRITES));
    while let Some(duty) = duties.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (api, pods, failures) = (api.clone(), pods.clone(), failures.clone());
        tokio::spawn(async move {
            let done = match duty {
                Duty::Run(name) => api.text(http::Method::PATCH, &format!("{pods}/{name}/status"), "application/strategic-merge-patch+json", running()).await,
                Duty::Confirm(name) => gone_is_fine(api.delete(&format!("{pods}/{name}"), &json!({"gracePeriodSeconds": 0})).await),
            };
            failures.ok("kubelet", done);
            drop(place);
        });
    }
}

fn gone_is_fine(result: Result<Bytes, ApiError>) -> Result<Bytes, ApiError> {
    match result {
        Err(ApiError::Refused { code: http::StatusCode::NOT_FOUND, .. }) => Ok(Bytes::new()),
        other => other,
    }
}

fn running() -> Vec<u8> {
    let conditions: Vec<Value> = ["Ready", "ContainersReady", "Initialized", "PodScheduled"].iter().map(|c| json!({"type": c, "status": "True"})).collect();
    let state = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let container = json!({"name": "c", "ready": true, "restartCount": 0, "image": "i", "imageID": "i", "started": true, "state": state});
    let status = json!({
        "phase": "Running", "hostIP": "10.0.0.1", "podIP": "10.200.0.1", "startTime": "2026-01-01T00:00:00Z",
        "conditions": conditions, "containerStatuses": [container],
    });
    json!({"status": status}).to_string().into_bytes()
}

/// Renews the paper nodes' leases as their kubelets would: every ten seconds, until dropped.
pub async fn heartbeats(api: Api, failures: Arc<Failures>) {
    let Some(list) = failures.ok("nodes", api.get("/api/v1/nodes?labelSelector=type%3Dfake").await) else { return };
    let names: Vec<&str> = list["items"].as_array().into_iter().flatten().filter_map(|n| n["metadata"]["name"].as_str()).collect();
    let mut beat = tokio::time::interval(Duration::from_secs(10));
    loop {
        beat.tick().await;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        stream::iter(&names).for_each_concurrent(8, |name| async { drop(failures.ok("lease", renew(&api, name, &now).await)) }).await;
    }
}

async fn renew(api: &Api, node: &str, now: &str) -> Result<Bytes, ApiError> {
    let spec = json!({"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now});
    match api.merge(&format!("{LEASES}/{node}"), &json!({"spec": spec})).await {
        Err(ApiError::Refused { code: http::StatusCode::NOT_FOUND, .. }) => {
            api.post(LEASES, &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node}, "spec": spec})).await
        }
        other => other,
    }
}
