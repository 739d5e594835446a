//! One look at one Job: what it asks for, what it has, and what that comes to.
use super::indexes::Indexes;
use super::pods::JobPod;
use super::policy::{self, Verdict};
use super::spec::Spec;
use super::status::Status;
use crate::runtime::{Item, Moment, Plan, Resource, View, later};
use jiff::{SignedDuration, Timestamp};
use model::Object;
use serde_json::Value;
use state_client::events::EventRecord;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whether it succeeds.
    pub success: bool,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Whether its status says so already.
    pub noted: bool,
}

impl Ending {
    fn new(success: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { success, reason: reason.to_owned(), message: message.into(), noted: false }
    }

    /// It has as many successes as it asks for.
    pub fn completed() -> Self {
        Self::new(true, "CompletionsReached", "Reached expected number of succeeded pods")
    }

    fn noted(condition: &Value, success: bool) -> Self {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        Self { noted: true, ..Self::new(success, text("reason"), text("message")) }
    }

    /// The conditions for it: the one that comes before its pods are counted, and the one that comes after.
    pub fn conditions(&self) -> (&'static str, &'static str) {
        if self.success { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") }
    }
}

/// What a plan does for a Job.
#[derive(Default)]
pub struct Draft {
    /// What is to be done, but for the status.
    pub plan: Plan,
    /// The status as it is to be.
    pub status: Status,
    /// What is to be told with the status.
    pub told: Vec<EventRecord>,
    /// Pods that run or will, those to be made among them and without those to be deleted.
    pub active: i64,
}

/// One look at one Job.
pub struct Look<'a> {
    /// What is seen.
    pub view: &'a View,
    /// The Job.
    pub job: &'a Item,
    /// The Job, parsed.
    pub object: &'a Object,
    /// What it asks for.
    pub spec: Spec<'a>,
    /// When, and what failed before.
    pub at: &'a Moment<'a>,
    /// Its pods; of an Indexed Job by their indexes.
    pub pods: Vec<JobPod<'a>>,
    /// Its status as it is.
    pub seen: Status,
    /// Pods that succeeded, or indexes, counted or not.
    pub succeeded: i64,
    /// Pods that failed, counted or not.
    pub failed: i64,
    /// Indexes that succeeded, counted or not.
    pub completed_indexes: Indexes,
    /// Indexes that failed, counted or not, where there is a limit for each.
    pub failed_indexes: Option<Indexes>,
    /// The last pod of each index that is to be made again: it isn't counted before the next one is there, which carries how many failed before it.
    pub replaced: BTreeMap<i64, usize>,
    /// Until when some of its pods may be older than it, for all that is seen: they may be counted already.
    pub unsure_until: Option<Timestamp>,
    verdicts: HashMap<Arc<str>, Verdict>,
}

/// So long pods that may be older than their Job are waited for.
const UNSURE: SignedDuration = SignedDuration::from_secs(2);

impl<'a> Look<'a> {
    /// A look at `job`, whose pods are `pods`.
    pub fn new(view: &'a View, job: &'a Item, pods: &[&'a Arc<Item>], at: &'a Moment<'a>) -> Self {
        let object = job.object();
        let spec = Spec::of(object);
        let mut pods: Vec<JobPod<'a>> = pods.iter().map(|item| JobPod::of(item, &spec)).collect();
        pods.sort_by_key(|pod| pod.index);
        let seen = Status::of(object, &spec);
        let (completed_indexes, failed_indexes) = (seen.completed_indexes.clone(), None);
        let (succeeded, failed) = (seen.succeeded, seen.failed);
        let mut look = Self {
            view,
            job,
            object,
            spec,
            at,
            pods,
            seen,
            succeeded,
            failed,
            completed_indexes,
            failed_indexes,
            replaced: BTreeMap::new(),
            unsure_until: None,
            verdicts: HashMap::new(),
        };
        look.unsure_until = look.unsure_until();
        look.judge_pods();
        look.count();
        look.count_indexes();
        look
    }

    /// The Job's status may have been written after a pod lost its finalizer, while the pod is still seen with it: watches are independent of each other, and
    /// who has just begun has seen neither before.
    fn unsure_until(&self) -> Option<Timestamp> {
        let (shown, revision) = (self.view.revision(&Resource::PODS).unwrap_or_default(), self.job.revision());
        let over = |pod: &JobPod<'_>| pod.succeeded() || pod.failed(&self.spec);
        let unsure = shown < revision && self.fresh().any(|pod| over(pod) && pod.item.revision() < revision);
        let until = later(self.job.seen_at, UNSURE);
        (unsure && self.at.now < until).then_some(until)
    }

    fn judge_pods(&mut self) {
        let Some(policy) = self.spec.failure_policy else { return };
        let failed = self.pods.iter().filter(|pod| pod.failed(&self.spec));
        self.verdicts = failed.map(|pod| (pod.item.meta.uid.clone(), pod.item.read(|object| policy::failure(policy, object)))).collect();
    }

    /// What the failure of a pod means.
    pub fn verdict(&self, pod: &JobPod<'_>) -> Verdict {
        let known = self.verdicts.get(&pod.item.meta.uid).cloned();
        known.or_else(|| self.spec.failure_policy.map(|policy| pod.item.read(|object| policy::failure(policy, object)))).unwrap_or_default()
    }

    /// Pods that ended and that the status has nothing of.
    fn fresh(&self) -> impl Iterator<Item = &JobPod<'a>> {
        let uncounted = &self.seen.uncounted;
        let known: BTreeSet<&str> = uncounted.succeeded.iter().chain(&uncounted.failed).map(String::as_str).collect();
        self.pods.iter().filter(move |pod| pod.tracked && pod.counts(&self.spec) && !known.contains(pod.item.uid()))
    }

    fn count(&mut self) {
        let uncounted = &self.seen.uncounted;
        let amount = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let succeeded = uncounted.succeeded.len() + self.fresh().filter(|pod| pod.succeeded()).count();
        let failed = uncounted.failed.len() + self.fresh().filter(|pod| pod.failed(&self.spec) && !self.verdict(pod).ignored).count();
        (self.succeeded, self.failed) = (self.seen.succeeded + amount(succeeded), self.seen.failed + amount(failed));
    }

    fn count_indexes(&mut self) {
        if !self.spec.indexed {
            return;
        }
        let tracked = || self.pods.iter().filter(|pod| pod.tracked);
        self.completed_indexes = self.seen.completed_indexes.with(tracked().filter(|pod| pod.succeeded()).filter_map(|pod| pod.index));
        self.succeeded = self.completed_indexes.total();
        if let Some(limit) = self.spec.backoff_limit_per_index {
            // once the Job fails its pods are ended, whatever their indexes
            let ends = self.noted().is_some();
            let failed = tracked().filter(|pod| !ends && self.fails_index(pod, limit)).filter_map(|pod| pod.index);
            self.failed_indexes = Some(self.seen.failed_indexes.clone().unwrap_or_default().with(failed));
            self.replaced = self.replaced_pods();
        }
    }

    fn fails_index(&self, pod: &JobPod<'_>, limit: i64) -> bool {
        let verdict = self.verdict(pod);
        pod.failed(&self.spec) && (verdict.fails_index || (!verdict.ignored && pod.failures_before().0 >= limit))
    }

    fn replaced_pods(&self) -> BTreeMap<i64, usize> {
        let active: BTreeSet<i64> = self.pods.iter().filter(|pod| pod.active()).filter_map(|pod| pod.index).collect();
        let over = |index: i64| self.completed_indexes.has(index) || self.failed_indexes.as_ref().is_some_and(|failed| failed.has(index));
        let mut last: BTreeMap<i64, usize> = BTreeMap::new();
        let rank = |pod: &JobPod<'_>| {
            let (counted, ignored) = pod.failures_before();
            (counted + ignored, pod.ended_at())
        };
        for (at, pod) in self.pods.iter().enumerate().filter(|(_, pod)| pod.tracked && pod.failed(&self.spec)) {
            let Some(index) = pod.index.filter(|index| !active.contains(index) && !over(*index)) else { continue };
            let before = last.get(&index).and_then(|at| self.pods.get(*at));
            if before.is_none_or(|before| rank(before) <= rank(pod)) {
                last.insert(index, at);
            }
        }
        last
    }

    /// The pod that the next one of an index takes the place of.
    pub fn replaced(&self, index: i64) -> Option<&JobPod<'a>> {
        self.pods.get(*self.replaced.get(&index)?)
    }

    /// How it ends, as its status says or as its pods show; `None` while it goes on.
    pub fn ending(&self) -> Option<Ending> {
        self.noted().or_else(|| self.failure()).or_else(|| self.success())
    }

    fn noted(&self) -> Option<Ending> {
        let noted = |r#type, success| self.seen.holds(r#type).map(|condition| Ending::noted(condition, success));
        noted("SuccessCriteriaMet", true).or_else(|| noted("FailureTarget", false))
    }

    fn failure(&self) -> Option<Ending> {
        let failed = self.pods.iter().filter(|pod| pod.failed(&self.spec));
        let by_policy = self.spec.failure_policy.and_then(|_| failed.map(|pod| self.verdict(pod)).find_map(|verdict| verdict.fails_job));
        if let Some(message) = by_policy {
            return Some(Ending::new(false, "PodFailurePolicy", message));
        }
        if self.failed > self.spec.backoff_limit || self.restarted_too_often() {
            return Some(Ending::new(false, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        if self.deadline().is_some_and(|deadline| deadline <= self.at.now) {
            return Some(Ending::new(false, "DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        let failed = self.failed_indexes.as_ref()?.total();
        if self.spec.max_failed_indexes.is_some_and(|most| failed > most) {
            return Some(Ending::new(false, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"));
        }
        let all_over = failed > 0 && failed + self.completed_indexes.total() >= self.spec.indexes();
        all_over.then(|| Ending::new(false, "FailedIndexes", "Job has failed indexes"))
    }

    fn success(&self) -> Option<Ending> {
        let policy = self.spec.success_policy.filter(|_| self.spec.indexed)?;
        policy::success(policy, &self.completed_indexes, self.spec.indexes()).map(|message| Ending::new(true, "SuccessPolicy", message))
    }

    /// Whether containers were started again in their pods more often than pods may fail.
    fn restarted_too_often(&self) -> bool {
        if !self.spec.restarts_on_failure {
            return false;
        }
        let restarts: i64 = self.pods.iter().filter(|pod| matches!(pod.pod.phase(), "Running" | "Pending")).map(|pod| pod.pod.all_restarts()).sum();
        if self.spec.backoff_limit == 0 { restarts > 0 } else { restarts >= self.spec.backoff_limit }
    }

    /// Since when it has been going on: from now on, where it hasn't begun.
    pub fn started(&self) -> Option<Timestamp> {
        self.seen.started.or((!self.spec.suspended).then_some(self.at.now))
    }

    /// By when it has to be over.
    pub fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.spec.deadline.filter(|_| !self.spec.suspended)?;
        Some(later(self.started()?, SignedDuration::from_secs(seconds)))
    }
}
