//! What a Job asks for.
use model::Object;
use serde_json::Value;

/// What a Job asks for, with the defaults of what isn't said.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// So many pods are to succeed; `None`: one, and the others end by themselves.
    pub completions: Option<i64>,
    /// So many pods run at once.
    pub parallelism: i64,
    /// Whether each completion has an index of its own.
    pub indexed: bool,
    /// So many pods may fail.
    pub backoff_limit: i64,
    /// So many pods of each index may fail.
    pub backoff_limit_per_index: Option<i64>,
    /// So many indexes may fail.
    pub max_failed_indexes: Option<i64>,
    /// `activeDeadlineSeconds`.
    pub deadline: Option<i64>,
    /// Whether no pods are to run.
    pub suspended: bool,
    /// Whether a pod that is ending is replaced once it has ended only.
    pub replaces_failed_only: bool,
    /// Whether containers that failed are started again in their pod.
    pub restarts_on_failure: bool,
    /// `podFailurePolicy`.
    pub failure_policy: Option<&'a Value>,
    /// `successPolicy`.
    pub success_policy: Option<&'a Value>,
    /// What its pods are made from.
    pub template: &'a Value,
}

impl<'a> Spec<'a> {
    /// What `job` asks for.
    pub fn of(job: &'a Object) -> Self {
        let at = |field: &str| job.at(&["spec", field]).filter(|value| !value.is_null());
        let (number, text) = (|field: &str| at(field).and_then(Value::as_i64), |field: &str| job.str_at(&["spec", field]));
        let failure_policy = at("podFailurePolicy");
        Self {
            completions: number("completions"),
            parallelism: number("parallelism").unwrap_or(1),
            indexed: text("completionMode") == "Indexed",
            backoff_limit: number("backoffLimit").unwrap_or(6),
            backoff_limit_per_index: number("backoffLimitPerIndex"),
            max_failed_indexes: number("maxFailedIndexes"),
            deadline: number("activeDeadlineSeconds"),
            suspended: at("suspend") == Some(&Value::Bool(true)),
            replaces_failed_only: text("podReplacementPolicy") == "Failed" || failure_policy.is_some(),
            restarts_on_failure: job.str_at(&["spec", "template", "spec", "restartPolicy"]) == "OnFailure",
            failure_policy,
            success_policy: at("successPolicy"),
            template: at("template").unwrap_or(&Value::Null),
        }
    }

    /// How many indexes there are.
    pub fn indexes(&self) -> i64 {
        self.completions.unwrap_or_default()
    }
}
