//! Pods leave nodes with taints that they don't tolerate, or no longer.
use super::part::{self, Node};
use super::{GRACE, NOT_READY, UNREACHABLE, lease, pod_condition};
use crate::pod::{BY_NODE, pod};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, later};
use crate::status::condition;
use jiff::{SignedDuration, Timestamp};
use model::Key;
use model::placement::taints::{Taint, Toleration};
use serde_json::{Value, json};

/// Evicts pods from tainted nodes.
pub struct TaintEviction;

impl Controller for TaintEviction {
    fn name(&self) -> &'static str {
        "taint-eviction-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::NODES), Input::new(Resource::PODS, tainted_node), Input::silent(Resource::LEASES)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::PODS, Part::End, "on tainted nodes"), Output::new(Resource::PODS, Part::Status, "DisruptionTarget on tainted nodes")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(node) = view.at(key) else { return plan };
        let part = part::node(node);
        let taints: Vec<&Value> = no_execute(&part).collect();
        if taints.is_empty() {
            return plan;
        }
        let Some(trusted_at) = trusted_at(view, node, &taints, at) else {
            plan.look_again(later(at.now, GRACE));
            return plan;
        };
        for item in view.with_field(&Resource::PODS, BY_NODE, node.name()).filter(|i| !i.deleting() && !pod(i).terminal()) {
            let Some(due) = due(node, item, &taints).map(|due| due.max(trusted_at)) else { continue };
            if due > at.now { plan.look_again(due) } else { evict(item, at.now, &mut plan) }
        }
        plan
    }
}

fn no_execute(node: &Node) -> impl Iterator<Item = &Value> {
    node.taints().iter().filter(|t| t["effect"] == "NoExecute")
}

fn tainted_node(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let node = change.new.and_then(|i| view.get(&Resource::NODES, "", pod(i).node()));
    node.filter(|n| no_execute(&part::node(n)).next().is_some()).map(|n| n.key().clone()).into_iter().collect()
}

/// From when a taint that stands for silence is believed: when we have heard for the grace period, and the node has been silent for it.
/// `None` while we are deaf.
fn trusted_at(view: &View, node: &Item, taints: &[&Value], at: &Moment<'_>) -> Option<Timestamp> {
    let silence = |t: &&Value| t["key"] == UNREACHABLE || t["key"] == NOT_READY;
    if !taints.iter().all(silence) {
        return Some(Timestamp::MIN);
    }
    let unreachable = taints.iter().any(|t| t["key"] == UNREACHABLE);
    let heard = lease(view, node.name()).filter(|_| unreachable).map_or(Timestamp::MIN, |l| l.seen_at);
    at.silent_at(heard, GRACE)
}

/// When a pod is to go; `None`: never.
fn due(node: &Item, item: &Item, taints: &[&Value]) -> Option<Timestamp> {
    let tolerations: Vec<_> = item.read(|pod| pod.list_at(&["spec", "tolerations"]).iter().filter_map(toleration).collect());
    let mut least: Option<i64> = None;
    for taint in taints {
        let Some(parsed) = Taint::from_json(taint) else { continue };
        let mut matching = tolerations.iter().filter(|(t, _)| t.tolerates(&parsed)).peekable();
        if matching.peek().is_none() {
            return Some(Timestamp::MIN);
        }
        let seconds = matching.filter_map(|(_, seconds)| *seconds).min();
        least = [least, seconds].into_iter().flatten().min();
    }
    let time = |t: &Value| t.as_str().and_then(|t| t.parse().ok());
    let tainted = taints.iter().filter_map(|t| time(&t["timeAdded"])).max().unwrap_or(node.seen_at);
    let bound = pod(item).scheduled_at().unwrap_or(Timestamp::MIN);
    least.map(|seconds| later(tainted.max(bound), SignedDuration::from_secs(seconds.max(0))))
}

/// A toleration and its seconds; `None` for one that tolerates nothing.
fn toleration(value: &Value) -> Option<(Toleration, Option<i64>)> {
    Some((Toleration::from_json(value)?, value["tolerationSeconds"].as_i64()))
}

/// First the pod says why it goes, then it goes.
fn evict(item: &Item, now: Timestamp, plan: &mut Plan) {
    let target = condition("DisruptionTarget", true, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    if let Some(status) = pod_condition(item, target, now) {
        plan.merge_as_seen(item, "status", json!({"status": status}));
    } else {
        plan.delete(item);
        plan.tell(item, "TaintManagerEviction", format!("Marking for deletion Pod {}/{}", item.namespace(), item.name()));
    }
}
