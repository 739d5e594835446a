//! What a Job reads of its pods.
use super::spec::Spec;
use crate::pod::{Pod, active, pod};
use crate::runtime::Item;
use jiff::{SignedDuration, Timestamp};
use model::Object;
use serde_json::Value;
use std::cmp::Reverse;
use std::sync::Arc;

/// While a pod has this finalizer it isn't counted for good.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Annotation and label: which of a Job's indexes a pod is for.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Annotation: so many pods of the index failed before this one.
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// Annotation: so many failed before this one whose failure doesn't count.
pub const IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// A pod of a Job.
pub struct JobPod<'a> {
    /// The pod.
    pub item: &'a Arc<Item>,
    /// What all controllers read of it.
    pub pod: Arc<Pod>,
    /// Its index, where it has one that there is.
    pub index: Option<i64>,
    /// Whether it isn't counted for good yet.
    pub tracked: bool,
}

impl<'a> JobPod<'a> {
    /// A pod of a Job that asks for `spec`.
    pub fn of(item: &'a Arc<Item>, spec: &Spec<'_>) -> Self {
        let pod = pod(item);
        let index = pod.annotation(INDEX).and_then(|text| text.parse().ok()).filter(|index| spec.indexed && (0..spec.indexes()).contains(index));
        Self { item, pod, index, tracked: item.has_finalizer(TRACKING) }
    }

    /// Whether it succeeded.
    pub fn succeeded(&self) -> bool {
        self.pod.phase() == "Succeeded"
    }

    /// Whether it counts as failed. One that is being deleted does, unless it is to be replaced once it has ended only: nobody may be left to say that it
    /// failed.
    pub fn failed(&self, spec: &Spec<'_>) -> bool {
        self.pod.phase() == "Failed" || (!spec.replaces_failed_only && self.item.deleting() && !self.succeeded())
    }

    /// Whether it runs, or will.
    pub fn active(&self) -> bool {
        active(self.item)
    }

    /// Whether it is on its way to its end.
    pub fn ending(&self) -> bool {
        self.item.deleting() && !self.pod.terminal()
    }

    /// Whether it is of an index that there is, where there are any: others don't count.
    pub fn counts(&self, spec: &Spec<'_>) -> bool {
        !spec.indexed || self.index.is_some()
    }

    /// How many pods of its index failed before it: those that count, and those that don't.
    pub fn failures_before(&self) -> (i64, i64) {
        let count = |annotation| self.pod.annotation(annotation).and_then(|n| n.parse::<i32>().ok()).filter(|n| *n >= 0).map_or(0, i64::from);
        (count(FAILURES), count(IGNORED_FAILURES))
    }

    /// When it ended, as far as can be known.
    pub fn ended_at(&self) -> Timestamp {
        let created = self.item.meta.creation_timestamp.unwrap_or_default();
        self.item.read(|object| by_containers(object).or_else(|| by_readiness(object)).or_else(|| by_deletion(object)).unwrap_or(created))
    }

    /// What decides how soon it goes where there are too many: what has come the least far goes first.
    pub fn worth(&self) -> impl Ord + use<> {
        let phase: u8 = match self.pod.phase() {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let progress = (self.tracked, !self.pod.node().is_empty(), phase, self.pod.ready());
        let age = (Reverse(self.pod.ready_since()), Reverse(self.pod.restarts()), Reverse(self.item.meta.creation_timestamp));
        (progress, age, self.item.meta.uid.clone())
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// When the last container ended; `None` unless all have. Of the init containers those count that run as long as the others.
fn by_containers(pod: &Object) -> Option<Timestamp> {
    let sidecar = |status: &&Value| {
        let mut init = pod.list_at(&["spec", "initContainers"]).iter();
        init.any(|c| c["name"] == status["name"] && c["restartPolicy"] == "Always")
    };
    let sidecars = pod.list_at(&["status", "initContainerStatuses"]).iter().filter(sidecar);
    let statuses = pod.list_at(&["status", "containerStatuses"]).iter().chain(sidecars);
    let ends: Option<Vec<Timestamp>> = statuses.map(|status| time(&status["state"]["terminated"]["finishedAt"])).collect();
    ends?.into_iter().max()
}

fn by_readiness(pod: &Object) -> Option<Timestamp> {
    let unready = pod.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == "Ready" && c["status"] == "False")?;
    time(&unready["lastTransitionTime"])
}

/// When its deletion was asked for.
fn by_deletion(pod: &Object) -> Option<Timestamp> {
    let grace = pod.int_at(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or_default();
    pod.deletion_timestamp()?.parse::<Timestamp>().ok()?.checked_sub(SignedDuration::from_secs(grace)).ok()
}
