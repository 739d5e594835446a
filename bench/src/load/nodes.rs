//! Nodes that exist on paper: 32 cores, 256 GiB, 110 pods each, in three zones.
use crate::api::{Api, ApiError};
use crate::load::Failures;
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

/// How many nodes.
#[derive(Args, Debug)]
pub struct Options {
    /// Nodes to make
    #[arg(long, default_value_t = 100)]
    count: usize,
}

fn node(i: usize) -> Value {
    let name = format!("fake-{i:05}");
    let labels = json!({"kubernetes.io/hostname": name, "type": "fake", "topology.kubernetes.io/zone": format!("zone-{}", i % 3)});
    let resources = json!({"cpu": "32", "memory": "256Gi", "pods": "110"});
    // a heartbeat far ahead: nothing renews it
    let ready = json!({"type": "Ready", "status": "True", "reason": "Fake", "message": "", "lastHeartbeatTime": "2035-01-01T00:00:00Z", "lastTransitionTime": "2025-01-01T00:00:00Z"});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": format!("10.{}.{}.0/24", 128 + i / 256, i % 256)},
        "status": {"capacity": resources, "allocatable": resources, "conditions": [ready]},
    })
}

async fn make(api: &Api, i: usize) -> Result<(), ApiError> {
    let node = node(i);
    match api.post("/api/v1/nodes", &node).await {
        Err(ApiError::Refused { code: http::StatusCode::CONFLICT, .. }) => {}
        result => _ = result?,
    }
    // a created object comes without status
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    api.merge(&format!("/api/v1/nodes/{name}/status"), &json!({"status": node["status"]})).await.map(|_| ())
}

/// Makes the nodes, those that exist already included.
pub async fn run(api: &Api, options: &Options) -> Value {
    let failures = &Failures::default();
    let one = |i| async move { failures.ok("node", make(api, i).await).unwrap_or_default() };
    stream::iter(0..options.count).for_each_concurrent(32, one).await;
    json!({"what": "nodes", "count": options.count, "errors": failures.count()})
}
