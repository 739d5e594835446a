//! ReplicaSets and ReplicationControllers: as many pods as they ask for.
use crate::ownership;
use crate::pod::{active, pod};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View};
use crate::status;
use jiff::Timestamp;
use model::Key;
use serde_json::{Map, Value, json};
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keeps the number of pods of each object of a resource that asks for one.
pub struct Replicas {
    name: &'static str,
    resource: Resource,
    pods: &'static str,
}

/// The controller of ReplicaSets.
pub const REPLICA_SETS: Replicas = Replicas { name: "replicaset-controller", resource: Resource::REPLICA_SETS, pods: "of ReplicaSets" };
/// The controller of ReplicationControllers.
pub const REPLICATION_CONTROLLERS: Replicas =
    Replicas { name: "replication-controller", resource: Resource::REPLICATION_CONTROLLERS, pods: "of ReplicationControllers" };

impl Controller for Replicas {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> Vec<Input> {
        ownership::inputs(Resource::PODS, self.resource.clone()).into_iter().chain([Input::itself(self.resource.clone())]).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::PODS, Part::Whole, self.pods), Output::new(self.resource.clone(), Part::Status, "")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(set) = view.at(key) else { return plan };
        let Ok(selector) = ownership::selector(set) else { return plan };
        let pods = ownership::claim(view, &Resource::PODS, set, &selector, active, &mut plan);
        if !set.deleting() {
            scale(view, set, &pods, at.now, &mut plan);
        }
        report(set, &pods, at, &mut plan);
        plan
    }
}

fn scale(view: &View, set: &Item, pods: &[&Arc<Item>], now: Timestamp, plan: &mut Plan) {
    let wanted = usize::try_from(replicas(set)).unwrap_or_default();
    let template = set.object().at(&["spec", "template"]).unwrap_or(&Value::Null);
    for _ in pods.len()..wanted {
        let pod = ownership::pod_of_template(template, set);
        plan.create(&Resource::PODS, pod).says(set, ("SuccessfulCreate", "Created pod: {}"), ("FailedCreate", "Error creating: {}"));
    }
    if pods.len() > wanted {
        for victim in victims(view, set, pods, now).into_iter().take(pods.len() - wanted) {
            plan.delete(victim).says(set, ("SuccessfulDelete", "Deleted pod: {}"), ("FailedDelete", "Error deleting: {}"));
        }
    }
}

/// `spec.replicas`, 1 where it isn't said.
pub fn replicas(item: &Item) -> i64 {
    item.object().int_at(&["spec", "replicas"]).unwrap_or(1)
}

/// The pods in the order in which they go: those that are worth the least first.
fn victims<'a>(view: &View, set: &Item, pods: &[&'a Arc<Item>], now: Timestamp) -> Vec<&'a Arc<Item>> {
    let neighbours = neighbours(view, set, pods);
    let mut ranked: Vec<_> = pods.iter().map(|item| (Worth::of(item, &neighbours), *item)).collect();
    ranked.sort_by(|(a, x), (b, y)| a.compare(b, now).then_with(|| x.uid().cmp(y.uid())));
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// How many active pods of this set, and of others with the same controller, are on each node.
fn neighbours(view: &View, set: &Item, pods: &[&Arc<Item>]) -> BTreeMap<String, usize> {
    let resource = Resource::of_key(set.key());
    let siblings = set.controller().into_iter().flat_map(|owner| view.controlled_by(&resource, &owner.uid));
    let others = siblings.filter(|s| s.uid() != set.uid()).flat_map(|s| view.controlled_by(&Resource::PODS, s.uid())).filter(|i| active(i));
    let mut counts = BTreeMap::new();
    for item in pods.iter().copied().chain(others) {
        *counts.entry(pod(item).node().to_owned()).or_default() += 1;
    }
    counts
}

/// What decides how soon a pod goes, in the order in which Kubernetes compares it.
struct Worth {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    neighbours: Reverse<usize>,
    ready_since: Option<Timestamp>,
    restarts: Reverse<i64>,
    created: Option<Timestamp>,
}

impl Worth {
    fn of(item: &Item, neighbours: &BTreeMap<String, usize>) -> Self {
        let pod = pod(item);
        Self {
            assigned: !pod.node().is_empty(),
            phase: match pod.phase() {
                "Pending" => 0,
                "Unknown" => 1,
                _ => 2,
            },
            ready: pod.ready(),
            cost: pod.deletion_cost(),
            neighbours: Reverse(neighbours.get(pod.node()).copied().unwrap_or_default()),
            ready_since: pod.ready_since(),
            restarts: Reverse(pod.restarts()),
            created: item.meta.creation_timestamp,
        }
    }

    fn compare(&self, other: &Self, now: Timestamp) -> Ordering {
        let first = |w: &Self| (w.assigned, w.phase, w.ready, w.cost, w.neighbours);
        first(self)
            .cmp(&first(other))
            .then_with(|| age_class(self.ready_since, now).cmp(&age_class(other.ready_since, now)))
            .then_with(|| self.restarts.cmp(&other.restarts))
            .then_with(|| age_class(self.created, now).cmp(&age_class(other.created, now)))
    }
}

/// The logarithm of an age: younger ones go first, but pods of about the same age are told apart by UID, so by chance.
fn age_class(since: Option<Timestamp>, now: Timestamp) -> Option<u32> {
    since.map(|t| u64::try_from(now.duration_since(t).as_nanos()).unwrap_or_default().checked_ilog2().unwrap_or_default())
}

fn report(set: &Item, pods: &[&Arc<Item>], at: &Moment<'_>, plan: &mut Plan) {
    let object = set.object();
    let min_ready = object.int_at(&["spec", "minReadySeconds"]).unwrap_or_default();
    let template_labels = object.at(&["spec", "template", "metadata", "labels"]).and_then(Value::as_object);
    let labelled = |item: &Item| template_labels.into_iter().flatten().all(|(k, v)| item.label(k) == v.as_str());
    let available_at: Vec<Timestamp> = pods.iter().filter_map(|p| pod(p).available_at(min_ready)).collect();
    let amount = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let fields = [
        ("replicas", json!(pods.len())),
        ("fullyLabeledReplicas", status::count(amount(pods.iter().filter(|p| labelled(p)).count()))),
        ("readyReplicas", status::count(amount(pods.iter().filter(|p| pod(p).ready()).count()))),
        ("availableReplicas", status::count(amount(available_at.iter().filter(|t| **t <= at.now).count()))),
        ("observedGeneration", status::count(set.meta.generation)),
        ("conditions", status::list(conditions(set, at))),
    ];
    let fields: Map<String, Value> = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    if let Some(patch) = status::difference(object.at(&["status"]), fields) {
        plan.merge(set, "status", json!({"status": patch}));
    }
    if let Some(next) = available_at.into_iter().filter(|t| *t > at.now).min() {
        plan.look_again(next);
    }
}

fn conditions(set: &Item, at: &Moment<'_>) -> Vec<Value> {
    let mut conditions = set.object().list_at(&["status", "conditions"]).to_vec();
    let failure = at.failed.iter().find(|f| *f.key.resource == *Resource::PODS.name);
    match failure {
        None => _ = status::unset(&mut conditions, "ReplicaFailure"),
        Some(f) => {
            let reason = if f.create { "FailedCreate" } else { "FailedDelete" };
            if status::find(&conditions, "ReplicaFailure").is_none() {
                status::set(&mut conditions, status::condition("ReplicaFailure", true, reason, &f.error.message), at.now, false);
            }
        }
    }
    conditions
}

#[cfg(test)]
mod tests;
