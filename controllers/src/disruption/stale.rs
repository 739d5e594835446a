//! Pods that say that they are evicted, and aren't on their way: after a while they don't say so any more.
use crate::node::pod_condition;
use crate::pod::pod;
use crate::runtime::{Item, Plan, later};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// So long a pod may say it.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Since when a pod has said that it is evicted that isn't going.
pub fn announced_at(item: &Item) -> Option<Timestamp> {
    let pod = pod(item);
    pod.disruption_since().filter(|_| !item.deleting() && !pod.terminal())
}

/// What is to be done for a pod.
pub fn plan(item: &Item, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let Some(due) = announced_at(item).map(|at| later(at, TIMEOUT)) else { return plan };
    if due > now {
        plan.look_again(due);
    } else if let Some(status) = pod_condition(item, json!({"type": "DisruptionTarget", "status": "False"}), now) {
        plan.merge_as_seen(item, "status", json!({"status": status}));
    }
    plan
}
