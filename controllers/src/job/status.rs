//! A Job's status: as it is seen, and as a plan makes it.
use super::indexes::Indexes;
use super::spec::Spec;
use crate::status::{count, difference, find, list};
use jiff::Timestamp;
use model::Object;
use serde_json::{Map, Value, json};

/// UIDs of pods that ended and aren't in the counts yet: in the status before their finalizers go, out of it once these are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Of pods that succeeded.
    pub succeeded: Vec<String>,
    /// Of pods that failed.
    pub failed: Vec<String>,
}

impl Uncounted {
    /// How many.
    pub fn len(&self) -> usize {
        self.succeeded.len() + self.failed.len()
    }
}

/// A Job's status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// `conditions`.
    pub conditions: Vec<Value>,
    /// `startTime`.
    pub started: Option<Timestamp>,
    /// `completionTime`.
    pub completed: Option<Timestamp>,
    /// Pods that run, or will.
    pub active: i64,
    /// Those of them that are ready.
    pub ready: i64,
    /// Pods on their way to their end.
    pub terminating: i64,
    /// Pods that succeeded; of an Indexed Job, indexes.
    pub succeeded: i64,
    /// Pods that failed.
    pub failed: i64,
    /// Indexes that succeeded.
    pub completed_indexes: Indexes,
    /// Indexes that failed, where there is a limit for each.
    pub failed_indexes: Option<Indexes>,
    /// Pods that aren't counted yet.
    pub uncounted: Uncounted,
}

fn text(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| json!(model::time::format(time)))
}

fn uids(job: &Object, field: &str) -> Vec<String> {
    job.list_at(&["status", "uncountedTerminatedPods", field]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Status {
    /// As `job` has it.
    pub fn of(job: &Object, spec: &Spec<'_>) -> Self {
        let number = |field| job.int_at(&["status", field]).unwrap_or_default();
        let time = |field| job.str_at(&["status", field]).parse().ok();
        let indexes = |field| job.at(&["status", field]).and_then(Value::as_str).map(|text| Indexes::parse(text, spec.indexes()));
        Self {
            conditions: job.list_at(&["status", "conditions"]).to_vec(),
            started: time("startTime"),
            completed: time("completionTime"),
            active: number("active"),
            ready: number("ready"),
            terminating: number("terminating"),
            succeeded: number("succeeded"),
            failed: number("failed"),
            completed_indexes: indexes("completedIndexes").unwrap_or_default(),
            failed_indexes: indexes("failedIndexes"),
            uncounted: Uncounted { succeeded: uids(job, "succeeded"), failed: uids(job, "failed") },
        }
    }

    /// The condition of this type, if it holds.
    pub fn holds(&self, r#type: &str) -> Option<&Value> {
        find(&self.conditions, r#type).filter(|c| c["status"] == "True")
    }

    /// Sets a condition; returns whether it changed. One that is false comes only in place of another.
    pub fn set(&mut self, r#type: &str, holds: bool, (reason, message): (&str, &str), now: Timestamp) -> bool {
        let now = model::time::format(now);
        let mut new = crate::status::condition(r#type, holds, reason, message);
        let same = |old: &Value| ["status", "reason", "message"].iter().all(|field| old[field] == new[field]);
        let old = self.conditions.iter().position(|c| c["type"] == r#type);
        if old.map_or(!holds, |at| self.conditions.get(at).is_some_and(same)) {
            return false;
        }
        new["lastProbeTime"] = json!(now);
        new["lastTransitionTime"] = json!(now);
        match old.and_then(|at| self.conditions.get_mut(at)) {
            Some(old) => *old = new,
            None => self.conditions.push(new),
        }
        true
    }

    /// The merge patch that makes the status of `job` this one, if it is another.
    pub fn patch(&self, job: &Object, spec: &Spec<'_>) -> Option<Map<String, Value>> {
        let indexes = |indexes: &Indexes| if indexes.total() > 0 { json!(indexes.to_string()) } else { Value::Null };
        let fields = [
            ("conditions", list(self.conditions.clone())),
            ("startTime", text(self.started)),
            ("completionTime", text(self.completed)),
            ("active", count(self.active)),
            ("ready", json!(self.ready)),
            ("terminating", json!(self.terminating)),
            ("succeeded", count(self.succeeded)),
            ("failed", count(self.failed)),
            ("completedIndexes", indexes(&self.completed_indexes)),
            ("failedIndexes", self.failed_indexes.as_ref().map_or(Value::Null, |indexes| json!(indexes.to_string()))),
        ];
        let old = job.at(&["status"]);
        let fields = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        let mut patch = difference(old, fields).and_then(|patch| patch.as_object().cloned()).unwrap_or_default();
        let seen = Self::of(job, spec).uncounted;
        if seen != self.uncounted || old.and_then(|old| old.get("uncountedTerminatedPods")).is_none() {
            let uids = |uids: &[String]| list(uids.iter().map(|uid| json!(uid)).collect());
            let pods = json!({"succeeded": uids(&self.uncounted.succeeded), "failed": uids(&self.uncounted.failed)});
            patch.insert("uncountedTerminatedPods".to_owned(), pods);
        }
        (!patch.is_empty()).then_some(patch)
    }
}
