//! What of a job's status is refused. What was wrong before, and isn't touched, may stay.
use super::indexes;
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, list, shown, text};
use crate::object::Object;
use serde_json::Value;
use std::collections::HashSet;

const CONDITIONS: &str = "status.conditions";
const UNCOUNTED: &str = "uncountedTerminatedPods";

/// A job's spec and status.
#[derive(Clone, Copy)]
struct Job<'a> {
    spec: &'a Value,
    status: &'a Value,
}

impl<'a> Job<'a> {
    fn of(job: &'a Object) -> Self {
        let part = |field| job.0.get(field).unwrap_or(&Value::Null);
        Self { spec: part("spec"), status: part("status") }
    }
    fn is(&self, condition: &str, status: &str) -> bool {
        list(self.status, "conditions").iter().any(|c| text(c, "type") == condition && text(c, "status") == status)
    }
    fn has(&self, condition: &str) -> bool {
        self.is(condition, "True")
    }
    fn finished(&self) -> bool {
        self.has("Complete") || self.has("Failed")
    }
    fn count(&self, field: &str) -> i64 {
        int(self.status, field).unwrap_or_default()
    }
    fn given(&self, field: &str) -> &'a Value {
        self.status.get(field).unwrap_or(&Value::Null)
    }
    fn indexed(&self) -> bool {
        text(self.spec, "completionMode") == "Indexed"
    }
}

/// Which parts of a status are others than before.
struct Changed<'a>(Job<'a>, Job<'a>);

impl Changed<'_> {
    fn field(&self, field: &str) -> bool {
        let shape = |job: &Job<'_>| job.status.get(field).filter(|v| v.as_i64() != Some(0) && v.as_str() != Some("")).cloned();
        shape(&self.0) != shape(&self.1)
    }
    fn condition(&self, condition: &str) -> bool {
        self.0.has(condition) != self.1.has(condition)
    }
    fn finished(&self) -> bool {
        self.0.finished() != self.1.finished()
    }
}

/// What of a changed status is refused.
pub(super) fn validate(new: &Object, old: &Object) -> Vec<Cause> {
    let (new, old) = (Job::of(new), Job::of(old));
    let (mut checks, changed) = (Checks::default(), Changed(new, old));
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        checks.not_negative(format_args!("status.{field}"), int(new.status, field));
    }
    uncounted(&mut checks, new);
    ends(&mut checks, new, &changed);
    finished(&mut checks, new, &changed);
    self::indexes(&mut checks, new, &changed);
    counts(&mut checks, new, &changed);
    success(&mut checks, new);
    history(&mut checks, new, old);
    checks.0
}

/// Pods are counted once.
fn uncounted(checks: &mut Checks, job: Job<'_>) {
    let mut seen = HashSet::new();
    for part in ["succeeded", "failed"] {
        for (i, uid) in list(job.given(UNCOUNTED), part).iter().enumerate() {
            let path = format_args!("status.{UNCOUNTED}.{part}[{i}]");
            match uid.as_str() {
                Some("") => checks.add(Cause::invalid(path, uid, "must not be empty")),
                _ => checks.unique(path, uid, &mut seen),
            }
        }
    }
}

/// How a job has ended, and when.
fn ends(checks: &mut Checks, job: Job<'_>, changed: &Changed<'_>) {
    let (complete, failed) = (job.has("Complete"), job.has("Failed"));
    let (start, completion) = (job.given("startTime"), job.given("completionTime"));
    let [completed, failing, timed] = [changed.condition("Complete"), changed.condition("Failed"), changed.field("completionTime")];
    if (completed || failing) && complete && failed {
        checks.add(Cause::wrong(CONDITIONS, "cannot set Complete=True and Failed=true conditions"));
    }
    if (completed || changed.condition("FailureTarget")) && complete && job.has("FailureTarget") {
        checks.add(Cause::wrong(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions"));
    }
    if (completed || timed) && !completion.is_null() && !complete {
        checks.add(Cause::invalid("status.completionTime", completion, "cannot set completionTime when there is no Complete=True condition"));
    }
    if (completed || timed) && completion.is_null() && complete {
        checks.required("status.completionTime", "completionTime is required for Complete jobs");
    }
    if (timed || changed.field("startTime")) && before(completion, start) {
        checks.add(Cause::invalid("status.completionTime", completion, "must be equal to or after `startTime`"));
    }
    if (failing || changed.field("failedIndexes")) && failed && !job.has("FailureTarget") {
        checks.add(Cause::wrong(CONDITIONS, "cannot set Failed=True condition without the FailureTarget=true condition"));
    }
    if (completed || changed.condition("SuccessCriteriaMet")) && complete && !job.has("SuccessCriteriaMet") {
        checks.add(Cause::wrong(CONDITIONS, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"));
    }
}

fn before(one: &Value, other: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    matches!((time(one), time(other)), (Some(one), Some(other)) if one < other)
}

/// What a job that has ended has, and what it hasn't any more.
fn finished(checks: &mut Checks, job: Job<'_>, changed: &Changed<'_>) {
    if !job.finished() {
        return;
    }
    let ended = changed.finished();
    if (ended || changed.field("active")) && job.count("active") > 0 {
        checks.add(Cause::invalid("status.active", job.given("active"), "active>0 is invalid for finished job"));
    }
    let nothing_to_do = flag(job.spec, "suspend") && int(job.spec, "completions") == Some(0);
    if (ended || changed.field("startTime")) && !nothing_to_do && job.given("startTime").is_null() {
        checks.required("status.startTime", "startTime is required for finished job");
    }
    let pods = job.given(UNCOUNTED);
    if (ended || changed.field(UNCOUNTED)) && !(list(pods, "succeeded").is_empty() && list(pods, "failed").is_empty()) {
        let part = |field| pods.get(field).cloned().unwrap_or_default();
        let given = shown(&[("Succeeded", part("succeeded")), ("Failed", part("failed"))]);
        checks.add(Cause::wrong(format_args!("status.{UNCOUNTED}"), format_args!("{given}: must be empty for finished job")));
    }
}

/// Which indexes have ended.
fn indexes(checks: &mut Checks, job: Job<'_>, changed: &Changed<'_>) {
    let [done_changed, failed_changed] = [changed.field("completedIndexes"), changed.field("failedIndexes")];
    let (done, failed) = (text(job.status, "completedIndexes"), job.given("failedIndexes").as_str());
    let (completions, per_index) = (int(job.spec, "completions"), job.spec.get("backoffLimitPerIndex").is_some());
    let mut parse = |field: &str, text: &str| {
        if let Some(Err(why)) = completions.map(|n| indexes::count(text, n)) {
            checks.add(Cause::invalid(format_args!("status.{field}"), &text.into(), format_args!("error parsing {field}: {why}")));
        }
    };
    if done_changed {
        parse("completedIndexes", done);
    }
    if let Some(failed) = failed.filter(|_| failed_changed && per_index) {
        parse("failedIndexes", failed);
    }
    if done_changed && !done.is_empty() && !job.indexed() {
        let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
        checks.add(Cause::invalid("status.completedIndexes", &done.into(), why));
    }
    let Some(failed) = failed else { return };
    if failed_changed && !per_index {
        let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        checks.add(Cause::invalid("status.failedIndexes", &failed.into(), why));
    }
    let shared = completions.filter(|_| done_changed || failed_changed).and_then(|n| indexes::shared(done, failed, n));
    if let Some(index) = shared {
        let why = format_args!("failedIndexes and completedIndexes overlap at index: {index}");
        checks.add(Cause::invalid("status.failedIndexes", &failed.into(), why));
    }
}

/// Numbers of pods that must go together.
fn counts(checks: &mut Checks, job: Job<'_>, changed: &Changed<'_>) {
    if (changed.finished() || changed.field("terminating")) && job.count("terminating") > 0 && job.finished() {
        checks.add(Cause::invalid("status.terminating", job.given("terminating"), "terminating>0 is invalid for finished job"));
    }
    if (changed.field("ready") || changed.field("active")) && int(job.status, "ready").is_some_and(|n| n > job.count("active")) {
        checks.add(Cause::invalid("status.ready", job.given("ready"), "cannot set more ready pods than active"));
    }
}

/// What goes with a success that is decided before all pods have ended.
fn success(checks: &mut Checks, job: Job<'_>) {
    let met = job.has("SuccessCriteriaMet");
    for other in ["Failed", "FailureTarget"] {
        if met && job.has(other) {
            checks.add(Cause::wrong(CONDITIONS, format_args!("cannot set SuccessCriteriaMet=True and {other}=true conditions")));
        }
    }
    if job.spec.get("successPolicy").is_some() && !met && job.has("Complete") {
        checks.add(Cause::wrong(CONDITIONS, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"));
    }
}

/// What doesn't come back.
fn history(checks: &mut Checks, new: Job<'_>, old: Job<'_>) {
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if old.has(condition) && !new.has(condition) {
            checks.add(Cause::wrong(CONDITIONS, format_args!("cannot disable the terminal {condition}=True condition")));
        }
    }
    // an Indexed job that is made smaller has fewer pods that have succeeded
    let shrinks = new.indexed() && new.spec.get("completions") == new.spec.get("parallelism");
    for (counter, fixed) in [("failed", true), ("succeeded", !shrinks)] {
        if fixed && new.count(counter) < old.count(counter) {
            let why = format_args!("cannot decrease the {counter} counter");
            checks.add(Cause::invalid(format_args!("status.{counter}"), &new.count(counter).into(), why));
        }
    }
    let (ended, end) = (old.given("completionTime"), new.given("completionTime"));
    if !ended.is_null() && !end.is_null() && ended != end {
        checks.add(Cause::invalid("status.completionTime", end, "field is immutable"));
    }
    let resumes = old.has("Suspended") && new.is("Suspended", "False");
    let (began, begin) = (old.given("startTime"), new.given("startTime"));
    if !resumes && !began.is_null() && began != begin && !flag(new.spec, "suspend") {
        checks.add(Cause::invalid("status.startTime", begin, "field is immutable for unsuspended job once set"));
    }
    let (met, meets) = (old.has("SuccessCriteriaMet"), new.has("SuccessCriteriaMet"));
    if met && !meets {
        checks.add(Cause::wrong(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"));
    }
    if old.has("Complete") && !met && meets {
        checks.add(Cause::wrong(CONDITIONS, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"));
    }
}
