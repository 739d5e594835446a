//! A node whose Lease isn't renewed becomes unknown, is tainted, and its pods count as unready.
use super::health::{self, Rates, Turn};
use super::part::{self, Node};
use super::{LEASES_NAMESPACE, NOT_READY, UNREACHABLE, is_taint, lease, pod_condition};
use crate::pod::{BY_NODE, pod};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, later};
use crate::status::find;
use jiff::{SignedDuration, Timestamp};
use model::Key;
use serde_json::{Value, json};

/// What a node's agent reports; unknown when it falls silent.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Conditions that keep new pods away: type, status, taint.
const PRESSURES: [(&str, &str, &str); 4] = [
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Judges nodes by their silence.
pub struct NodeLifecycle {
    /// How long a node may be silent.
    pub grace: SignedDuration,
    /// How quickly silent nodes' pods are given up.
    pub rates: Rates,
}

impl Controller for NodeLifecycle {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::NODES), Input::new(Resource::LEASES, renewed), Input::silent(Resource::PODS)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::NODES, Part::Status, "conditions of silent nodes"),
            Output::new(Resource::NODES, Part::Portion, "taints of conditions"),
            Output::new(Resource::PODS, Part::Status, "Ready on silent nodes"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(node) = view.at(key) else { return plan };
        let part = part::node(node);
        let heard = lease(view, node.name()).map_or(node.seen_at, |l| l.seen_at);
        let Some(silent_at) = at.silent_at(heard, self.grace) else {
            // deaf: whatever the view shows may be long past
            plan.look_again(later(at.now, self.grace));
            return plan;
        };
        if silent_at > at.now {
            plan.look_again(silent_at);
        } else if part.condition("Ready") != "Unknown" {
            // taints follow once this is seen: both would write the same revision
            declare_unknown(node, lease(view, node.name()).is_some(), at.now, &mut plan);
            return plan;
        }
        self.taint(view, (node, &part), at.now, &mut plan);
        if part.condition("Ready") == "Unknown" && silent_at <= at.now {
            mark_pods(view, node, at.now, &mut plan);
        }
        plan
    }
}

/// A renewed Lease concerns a node that counts as silent; of others it is read when their time comes.
fn renewed(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let node = change.new.filter(|l| l.namespace() == LEASES_NAMESPACE).and_then(|l| view.get(&Resource::NODES, "", l.name()));
    node.filter(|n| !part::node(n).ready()).map(|n| n.key().clone()).into_iter().collect()
}

fn declare_unknown(node: &Item, spoke_once: bool, now: Timestamp, plan: &mut Plan) {
    let mut conditions = node.object().list_at(&["status", "conditions"]).to_vec();
    for r#type in REPORTED {
        let old = find(&conditions, r#type).cloned();
        let (reason, message) = match (&old, spoke_once) {
            (None, false) => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
            _ => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
        };
        let mut new = json!({"type": r#type, "status": "Unknown", "reason": reason, "message": message});
        new["lastHeartbeatTime"] = old.map_or_else(|| json!(node.object().creation_timestamp()), |o| o["lastHeartbeatTime"].clone());
        crate::status::set(&mut conditions, new, now, false);
    }
    plan.merge_as_seen(node, "status", json!({"status": {"conditions": conditions}}));
    plan.tell(node, "NodeNotReady", format!("Node {} status is now: NodeNotReady", node.name()));
}

impl NodeLifecycle {
    /// The taints that a node should have for its conditions; others aren't touched.
    fn taint(&self, view: &View, (node, part): (&Item, &Node), now: Timestamp, plan: &mut Plan) {
        let mut all = part.taints().to_vec();
        let ready = part.condition("Ready");
        // a node that has no condition yet isn't ready, and hasn't been lost either
        set_taint(&mut all, NOT_READY, "NoSchedule", ready == "False" || ready.is_empty(), now);
        set_taint(&mut all, UNREACHABLE, "NoSchedule", ready == "Unknown", now);
        for (r#type, status, key) in PRESSURES {
            set_taint(&mut all, key, "NoSchedule", part.condition(r#type) == status, now);
        }
        set_taint(&mut all, UNSCHEDULABLE, "NoSchedule", part.unschedulable(), now);
        let lost = self.lost(view, (node, part), now, plan);
        for key in [NOT_READY, UNREACHABLE] {
            set_taint(&mut all, key, "NoExecute", lost == Some(key), now);
        }
        if all != part.taints() {
            plan.merge_as_seen(node, "", json!({"spec": {"taints": crate::status::list(all)}}));
        }
    }

    /// The taint that evicts: at its zone's pace, none when nobody is well.
    fn lost(&self, view: &View, (node, part): (&Item, &Node), now: Timestamp, plan: &mut Plan) -> Option<&'static str> {
        let key = match part.condition("Ready") {
            "False" => NOT_READY,
            "Unknown" => UNREACHABLE,
            _ => return None,
        };
        let had = part.given_up_at().is_some();
        match health::turn(view, node, self.rates, now) {
            Turn::Nobody => {
                plan.look_again(later(now, SignedDuration::from_secs(10)));
                // what is tainted stays so in a disrupted zone; only when nobody at all is ready, evictions are called off
                (had && health::any_ready(view)).then_some(key)
            }
            _ if had => Some(key),
            Turn::Now => Some(key),
            Turn::At(next) => {
                plan.look_again(next);
                None
            }
        }
    }
}

fn set_taint(all: &mut Vec<Value>, key: &str, effect: &str, wanted: bool, now: Timestamp) {
    let had = all.iter().any(|t| is_taint(t, key, effect));
    if wanted && !had {
        all.push(json!({"key": key, "effect": effect, "timeAdded": model::time::format(now)}));
    } else if !wanted && had {
        all.retain(|t| !is_taint(t, key, effect));
    }
}

/// Pods of a silent node no longer count as ready, so that Services leave them out.
fn mark_pods(view: &View, node: &Item, now: Timestamp, plan: &mut Plan) {
    for item in view.with_field(&Resource::PODS, BY_NODE, node.name()).filter(|i| pod(i).ready()) {
        let unready = json!({"type": "Ready", "status": "False", "reason": "NodeNotReady"});
        if let Some(status) = pod_condition(item, unready, now) {
            plan.merge_as_seen(item, "status", json!({"status": status}));
            plan.warn(item, "NodeNotReady", "Node is not ready");
        }
    }
}
