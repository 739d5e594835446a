//! The little of a Job that others ask for often, decoded once a revision: whether it is over, since when, and who sees to it.
use crate::runtime::Item;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

/// Who sees to a Job where it doesn't name anybody else.
const MANAGER: &str = "kubernetes.io/job-controller";

/// How a Job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// `Complete`, otherwise `Failed`.
    pub complete: bool,
    /// When the condition came.
    pub at: Option<Timestamp>,
}

/// The little that others ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Job")]
pub struct Brief {
    /// How it ended; `None` while it hasn't.
    pub end: Option<End>,
    /// Whether somebody else sees to it.
    pub managed_elsewhere: bool,
    /// `spec.ttlSecondsAfterFinished`.
    pub ttl: Option<i64>,
    /// `status.startTime`.
    pub started: Option<Timestamp>,
    /// `status.completionTime`.
    pub completed: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Job {
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    managed_by: Option<String>,
    ttl_seconds_after_finished: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Option<Vec<Condition>>,
    start_time: Option<Timestamp>,
    completion_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    last_transition_time: Option<Timestamp>,
}

impl From<Job> for Brief {
    fn from(Job { spec, status }: Job) -> Self {
        let last = |c: &Condition| c.status == "True" && matches!(c.r#type.as_str(), "Complete" | "Failed");
        let end = status.conditions.iter().flatten().find(|c| last(c));
        Self {
            end: end.map(|c| End { complete: c.r#type == "Complete", at: c.last_transition_time }),
            managed_elsewhere: spec.managed_by.is_some_and(|manager| manager != MANAGER),
            ttl: spec.ttl_seconds_after_finished,
            started: status.start_time,
            completed: status.completion_time,
        }
    }
}

/// The little of this Job; what doesn't decode counts as empty.
pub fn brief(job: &Item) -> Arc<Brief> {
    job.part::<Brief>().unwrap_or_else(|error| {
        tracing::warn!(%error, "a job does not decode");
        Arc::default()
    })
}
