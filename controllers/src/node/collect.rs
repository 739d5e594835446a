//! Deletes pods that no other component would delete: pods of nodes that no longer exist, ended pods beyond a limit, and unscheduled pods that are being
//! deleted.
use super::part;
use super::pod_condition;
use crate::pod::{BY_END, BY_NODE, pod};
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp};
use jiff::{SignedDuration, Timestamp};
use model::Key;
use serde_json::json;
use std::sync::Arc;

/// So many ended pods are kept.
pub const TERMINATED_MAX: usize = 12_500;
/// So long a node may be gone before its pods are taken for gone, too: it may only be registering anew.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Collects pods.
pub struct PodGc {
    /// So many ended pods are kept.
    pub terminated_max: usize,
}

impl Controller for PodGc {
    fn name(&self) -> &'static str {
        "pod-garbage-collector-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![Input::new(Resource::PODS, collectable), Input::new(Resource::NODES, pods_of)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::PODS, Part::End, "without nodes, or ended"), Output::new(Resource::PODS, Part::Status, "Failed without nodes")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        if key.name.is_empty() {
            self.terminated(view, &mut plan);
        } else if let Some(item) = view.at(key) {
            one(view, item, at, &mut plan);
        }
        plan
    }
}

/// The key that stands for all ended pods.
fn ended_pods() -> Key {
    Resource::PODS.key("", "")
}

fn collectable(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let Some(item) = change.new else { return Vec::new() };
    let pod = pod(item);
    let mut keys = Vec::new();
    if pod.terminal() && change.old.is_none_or(|old| !crate::pod::pod(old).terminal()) {
        keys.push(ended_pods());
    }
    if item.deleting() || (!pod.node().is_empty() && view.get(&Resource::NODES, "", pod.node()).is_none()) {
        keys.push(item.key().clone());
    }
    keys
}

fn pods_of(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let gone = change.new.is_none_or(out_of_service).then(|| change.item()).flatten();
    gone.into_iter().flat_map(|node| view.with_field(&Resource::PODS, BY_NODE, node.name())).map(|p| p.key().clone()).collect()
}

/// Whether people said that the node is down for certain.
fn out_of_service(node: &Item) -> bool {
    let node = part::node(node);
    node.taints().iter().any(|t| t["key"] == OUT_OF_SERVICE) && !node.ready()
}

fn one(view: &View, item: &Item, at: &Moment<'_>, plan: &mut Plan) {
    let node = pod(item).node().to_owned();
    match view.get(&Resource::NODES, "", &node) {
        _ if node.is_empty() && item.deleting() => fail_and_end(item, plan),
        _ if node.is_empty() => {}
        Some(found) if item.deleting() && out_of_service(found) => fail_and_end(item, plan),
        Some(_) => {}
        None => orphaned(view, item, &node, at, plan),
    }
}

/// Deletes a pod of which no node will say that it has failed: that is written first, since some, such as a Job, wait for it.
fn fail_and_end(item: &Item, plan: &mut Plan) {
    if pod(item).terminal() {
        end(item, plan);
    } else {
        plan.merge_as_seen(item, "status", json!({"status": {"phase": "Failed"}}));
    }
}

/// Deletes a pod without waiting for a node that won't answer.
fn end<'a>(item: &Item, plan: &'a mut Plan) -> &'a mut crate::runtime::Write {
    plan.write(item.key().clone(), WriteOp::Delete { uid: item.uid().to_owned(), revision: 0, propagation: None, grace: Some(0) })
}

fn orphaned(view: &View, item: &Item, node: &str, at: &Moment<'_>, plan: &mut Plan) {
    let synced = view.synced_at(&Resource::NODES).unwrap_or(Timestamp::MIN);
    // a node that nobody has seen may be about to be registered: its time counts from when the pod was seen to be there
    let unseen = if pod(item).terminal() { synced } else { synced.max(item.seen_at) };
    let gone = view.gone_at(&Resource::NODES, "", node).unwrap_or(unseen);
    match at.silent_at(gone, QUARANTINE) {
        None => plan.look_again(crate::runtime::later(at.now, QUARANTINE)),
        Some(due) if due > at.now => plan.look_again(due),
        Some(_) => {
            let guard = Guard::Absent { key: Resource::NODES.key("", node), uid: String::new() };
            let target = crate::status::condition("DisruptionTarget", true, "DeletionByPodGC", "PodGC: node no longer exists");
            match pod_condition(item, target, at.now).filter(|_| !pod(item).terminal()) {
                Some(mut status) => {
                    status["phase"] = json!("Failed");
                    plan.merge_as_seen(item, "status", json!({"status": status})).guard(guard);
                }
                None => _ = end(item, plan).guard(guard),
            }
        }
    }
}

impl PodGc {
    /// Ended pods beyond the number, the oldest first.
    fn terminated(&self, view: &View, plan: &mut Plan) {
        let excess = view.count_with_field(&Resource::PODS, BY_END, "").saturating_sub(self.terminated_max);
        if excess == 0 {
            return;
        }
        let mut ended: Vec<&Arc<Item>> = view.with_field(&Resource::PODS, BY_END, "").filter(|i| !i.deleting()).collect();
        ended.sort_by(|a, b| (a.meta.creation_timestamp, a.key()).cmp(&(b.meta.creation_timestamp, b.key())));
        ended.into_iter().take(excess).for_each(|item| _ = end(item, plan));
    }
}
