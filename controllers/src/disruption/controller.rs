//! What is read for budgets, and what is planned for which key.
use super::selection::{BUDGETS, budgets_of};
use super::{budget, expected, stale};
use crate::pod::pod;
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::{Key, Kind, Kinds, Subresource};
use std::sync::Arc;

/// Counts for budgets, and clears pods of evictions that didn't come about.
pub struct Disruptions {
    scaled: Vec<Arc<Kind>>,
}

impl Disruptions {
    /// Over the built-in kinds of a table that have replicas.
    pub fn new(kinds: &Kinds) -> Self {
        let has_replicas = |k: &&Arc<Kind>| k.has(Subresource::SCALE) && k.schema.custom().is_none() && k.stored_as.is_none();
        Self { scaled: kinds.rows().iter().filter(has_replicas).cloned().collect() }
    }
}

impl Controller for Disruptions {
    fn name(&self) -> &'static str {
        "controllermanager"
    }

    fn inputs(&self) -> Vec<Input> {
        let scaled = self.scaled.iter().map(|kind| of_replicas(kind));
        [Input::itself(BUDGETS), Input::new(Resource::PODS, of_pod)].into_iter().chain(scaled).collect()
    }

    fn custom_input(&self, kind: &Kind) -> Option<Input> {
        kind.has(Subresource::SCALE).then(|| of_replicas(kind))
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(BUDGETS, Part::Status, ""), Output::new(Resource::PODS, Part::Status, "DisruptionTarget that is out of date")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        match view.at(key) {
            Some(item) if Resource::PODS.holds(key) => stale::plan(item, at.now),
            Some(item) => budget::plan(view, item, at.now),
            None => Plan::nothing(),
        }
    }
}

/// A pod concerns the budgets that it is counted by, and itself when it says that it is evicted.
fn of_pod(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let counted = |item: &Item| (item.labels().cloned(), item.deleting(), pod(item).ready(), item.controller().map(|c| c.uid.clone()));
    let same = change.old.zip(change.new).is_some_and(|(old, new)| counted(old) == counted(new) && old.uid() == new.uid());
    let budgets = change.both().filter(|_| !same).flat_map(|pod| budgets_of(view, pod));
    let itself = change.new.filter(|pod| stale::announced_at(pod).is_some());
    budgets.map(|budget| budget.key().clone()).chain(itself.map(|pod| pod.key().clone())).collect()
}

/// How many pods are wanted concerns the budgets beside.
fn of_replicas(kind: &Kind) -> Input {
    let (resource, kind) = (Resource::of_kind(kind), kind.clone());
    Input::new(resource, move |view, change| {
        let Some(item) = change.item() else { return Vec::new() };
        let mut beside = view.in_namespace(&BUDGETS, item.namespace()).peekable();
        let replicas = |item: Option<&Item>| item.map(|item| expected::replicas(&kind, item));
        if beside.peek().is_none() || replicas(change.old) == replicas(change.new) {
            return Vec::new();
        }
        beside.map(|budget| budget.key().clone()).collect()
    })
}
