//! Controllers for nodes that stop reporting: they detect it, and decide what happens to the pods.
//!
//! Silence is counted only from when this process itself could hear others (`Moment::heard_since`). A process that was cut off from the bus therefore takes no
//! node for dead when it returns.
mod collect;
mod evict;
mod health;
mod lifecycle;
pub(crate) mod part;
#[cfg(test)]
mod tests;

pub use collect::{PodGc, TERMINATED_MAX};
pub use evict::TaintEviction;
pub use health::Rates;
pub use lifecycle::NodeLifecycle;
pub use part::FIELDS;

use crate::runtime::{Item, Resource, View};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where nodes renew their Leases.
const LEASES_NAMESPACE: &str = "kube-node-lease";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long a node may be silent until its state counts as unknown.
pub const GRACE: SignedDuration = SignedDuration::from_secs(40);

/// The Lease that a node renews.
fn lease<'a>(view: &'a View, node: &str) -> Option<&'a Arc<Item>> {
    view.get(&Resource::LEASES, LEASES_NAMESPACE, node)
}

fn is_taint(taint: &Value, key: &str, effect: &str) -> bool {
    taint["key"] == key && taint["effect"] == effect
}

/// The merge patch of a pod's status with this condition set; `None` when it is set already.
pub(crate) fn pod_condition(pod: &Item, mut condition: Value, now: jiff::Timestamp) -> Option<Value> {
    let (mut conditions, generation) = pod.read(|pod| (pod.list_at(&["status", "conditions"]).to_vec(), pod.int_at(&["metadata", "generation"])));
    if let Some(generation) = generation {
        condition["observedGeneration"] = json!(generation);
    }
    crate::status::set(&mut conditions, condition, now, false).then(|| json!({"conditions": conditions}))
}
