//! DaemonSets: a pod on every node that is meant.
mod eligibility;
mod manage;
mod pods;
mod rolling;
mod status;
#[cfg(test)]
mod tests;

use crate::ownership;
use crate::pod::pod;
use crate::revisions::{self, History, POD_LABEL};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View};
use eligibility::{Rule, Verdict};
use model::Key;
use pods::Version;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs a pod of each DaemonSet on the nodes that it means.
pub struct DaemonSets;

impl Controller for DaemonSets {
    fn name(&self) -> &'static str {
        "daemonset-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let own = [Input::itself(Resource::DAEMON_SETS), Input::new(Resource::NODES, eligibility::concerned)];
        let parts = [Resource::PODS, Resource::CONTROLLER_REVISIONS].map(|resource| ownership::inputs(resource, Resource::DAEMON_SETS));
        parts.into_iter().flatten().chain(own).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::PODS, Part::Whole, "of DaemonSets"),
            Output::new(Resource::CONTROLLER_REVISIONS, Part::Whole, "of DaemonSets"),
            Output::new(Resource::DAEMON_SETS, Part::Status, ""),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(set) = view.at(key).filter(|set| !set.deleting()) else { return plan };
        let (Ok(selector), Some(rule)) = (ownership::selector(set), eligibility::rule(set)) else { return plan };
        if selector.is_empty() {
            plan.warn(set, "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.");
            return plan;
        }
        let history = History::claim(view, set, &selector, &mut plan);
        let Some(revision) = history.latest(view, POD_LABEL, &mut plan) else { return plan };
        let pods = ownership::claim(view, &Resource::PODS, set, &selector, |_| true, &mut plan);
        let daemon = Daemon { set, version: Version::of(set, revision), limits: Limits::of(set), at, places: places(view, &rule, &pods) };
        let managed = daemon.manage(&mut plan);
        let changes = if managed.is_empty() { daemon.roll() } else { managed };
        daemon.carry_out(&changes, &mut plan);
        let old = history.filter(|item| item.uid() != revision.uid());
        let lives = |item: &Item| pods.iter().any(|pod| pod.label(POD_LABEL).is_some_and(|hash| item.label(POD_LABEL) == Some(hash)));
        revisions::truncate(set, &old, lives, &mut plan);
        daemon.report(&mut plan);
        plan
    }
}

/// A node, or the name of one, and what is on it or meant for it.
struct Place<'a> {
    node: Option<&'a Item>,
    verdict: Verdict,
    /// Those that are bound come first, then the oldest ones.
    pods: Vec<&'a Arc<Item>>,
}

/// One look at one DaemonSet.
struct Daemon<'a> {
    set: &'a Item,
    version: Version<'a>,
    limits: Limits,
    at: &'a Moment<'a>,
    places: BTreeMap<Arc<str>, Place<'a>>,
}

/// What a DaemonSet allows itself while it updates.
struct Limits {
    rolls: bool,
    surge: serde_json::Value,
    unavailable: serde_json::Value,
    min_ready: i64,
}

impl Limits {
    fn of(set: &Item) -> Self {
        let object = set.object();
        let rolls = object.str_at(&["spec", "updateStrategy", "type"]) == "RollingUpdate";
        let of = |field| object.at(&["spec", "updateStrategy", "rollingUpdate", field]).filter(|_| rolls).cloned().unwrap_or_default();
        let min_ready = object.int_at(&["spec", "minReadySeconds"]).unwrap_or_default();
        Self { rolls, surge: of("maxSurge"), unavailable: of("maxUnavailable"), min_ready }
    }
    fn surge(&self, of: usize) -> usize {
        usize::try_from(crate::amount::scaled(&self.surge, i64::try_from(of).unwrap_or(i64::MAX), true)).unwrap_or_default()
    }
    fn unavailable(&self, of: usize) -> usize {
        usize::try_from(crate::amount::scaled(&self.unavailable, i64::try_from(of).unwrap_or(i64::MAX), true)).unwrap_or_default()
    }
}

/// What is to change: nodes that get a pod, and pods that go.
#[derive(Default)]
struct Changes<'a> {
    create: Vec<Arc<str>>,
    delete: Vec<&'a Arc<Item>>,
}

impl Changes<'_> {
    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }
}

/// All nodes with what a rule wants of them and the pods that are there for it; and the nodes that are gone and still have pods. Pods that ended and are
/// being deleted are nobody's concern any more.
fn places<'a>(view: &'a View, rule: &Rule, pods: &[&'a Arc<Item>]) -> BTreeMap<Arc<str>, Place<'a>> {
    let place = |node: &'a Arc<Item>| (node.key().name.clone(), Place { node: Some(node), verdict: rule.verdict(node), pods: Vec::new() });
    let mut places: BTreeMap<Arc<str>, Place<'a>> = view.all(&Resource::NODES).map(place).collect();
    for item in pods.iter().filter(|item| !(item.deleting() && pod(item).terminal())) {
        if let Some(name) = pod(item).target_node() {
            let gone = || Place { node: None, verdict: Verdict::default(), pods: Vec::new() };
            places.entry(name.clone()).or_insert_with(gone).pods.push(item);
        }
    }
    for place in places.values_mut() {
        place.pods.sort_by_cached_key(|item| (pod(item).node().is_empty(), item.meta.creation_timestamp, item.key().name.clone()));
    }
    places
}

impl<'a> Daemon<'a> {
    fn available(&self, item: &Item) -> bool {
        pod(item).available(self.limits.min_ready, self.at.now)
    }

    fn carry_out(&self, changes: &Changes<'_>, plan: &mut Plan) {
        let base = (!changes.create.is_empty()).then(|| self.version.pod(self.set));
        for node in &changes.create {
            let Some(base) = base.clone() else { continue };
            let write = plan.create(&Resource::PODS, pods::for_node(base, node));
            write.says(self.set, ("SuccessfulCreate", "Created pod: {}"), ("FailedCreate", "Error creating: {}"));
        }
        for item in &changes.delete {
            plan.delete(item).says(self.set, ("SuccessfulDelete", "Deleted pod: {}"), ("FailedDelete", "Error deleting: {}"));
        }
    }
}
