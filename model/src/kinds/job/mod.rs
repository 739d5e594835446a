//! Jobs, and the part of CronJobs that is a job.
mod change;
mod indexes;
mod policies;
mod spec;
mod status;

pub(super) use spec::validate as validate_spec;

use super::fields::{Checks, fill, flag, int, keep, map, map_mut, text, with_field};
use super::pod;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::selector::LabelSelector;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};

/// Labels by which a job finds its pods, the older form of each first.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// The rules of Jobs.
pub static STRATEGY: Job = Job;

/// The rules of Jobs.
pub struct Job;

impl Strategy for Job {
    fn orphans_dependents(&self) -> bool {
        true
    }
    fn default(&self, job: &mut Object) {
        with_field(job, "spec", default_spec);
        let labels = job.at(&["spec", "template", "metadata", "labels"]).cloned();
        // a job without labels has those of its pods
        if let Some(labels) = labels.filter(|_| job.labels().is_none_or(Map::is_empty)) {
            job.set(&["metadata", "labels"], labels);
        }
    }
    fn prepare_create(&self, job: &mut Object) {
        if job.at(&["spec", "manualSelector"]) != Some(&Value::Bool(true)) {
            generate_selector(job);
        }
        job.set(&["status"], json!({}));
        drop_disabled(job, None, &["spec"]);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        drop_disabled(new, Some(old), &["spec"]);
    }
    fn validate(&self, job: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = job.at(&["spec"]).unwrap_or(&Value::Null);
        generated(&mut checks, job, spec);
        validate_spec(&mut checks, &"spec", spec);
        selector(&mut checks, spec);
        if let (Some(completions), "Indexed") = (int(spec, "completions").filter(|n| *n > 0), text(spec, "completionMode")) {
            let last = format!("{}-{}", job.name(), completions - 1);
            if !names::is_dns_label(&last) {
                let why = format!("will not able to create pod with invalid DNS label: {last}");
                checks.add(Cause::invalid("metadata.name", &job.name().into(), why));
            }
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        change::validate(new, old)
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        status::validate(new, old)
    }
}

/// Drops from the job's spec at `path` how its pods are scheduled together, a feature that isn't on, unless it was there before.
pub(super) fn drop_disabled(object: &mut Object, old: Option<&Object>, path: &[&str]) {
    let field = [path, &["scheduling"]].concat();
    if object.at(&field).is_some() && old.and_then(|old| old.at(&field)).is_none() {
        object.remove(&field);
    }
}

/// Fills in the defaults of a job's spec.
fn default_spec(spec: &mut Value) {
    let neither = int(spec, "completions").is_none() && int(spec, "parallelism").is_none();
    if neither {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    fill(spec, "backoffLimit", if per_index { i64::from(i32::MAX) } else { 6 });
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(spec, "manualSelector", false);
    let policy = spec.get("podFailurePolicy").is_some();
    fill(spec, "podReplacementPolicy", if policy { "Failed" } else { "TerminatingOrFailed" });
    default_parts(spec);
}

/// Fills in the defaults of what is below a job's spec: those of a CronJob's template are these alone.
pub(super) fn default_parts(spec: &mut Value) {
    let rules = spec.get_mut("podFailurePolicy").and_then(|p| p.get_mut("rules")).and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        super::fields::items_mut(rule, "onPodConditions").for_each(|condition| fill(condition, "status", "True"));
    }
    map_mut(spec, "template").into_iter().for_each(pod::default_template);
}

/// Labels the pods with the job's name and UID, and selects them by the UID.
fn generate_selector(job: &mut Object) {
    let (name, uid) = (job.name().to_owned(), job.uid().to_owned());
    for (labels, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
        for label in labels {
            let path = ["spec", "template", "metadata", "labels", label];
            if job.at(&path).is_none() {
                job.set(&path, value.as_str());
            }
        }
    }
    let [_, by_uid] = UID_LABELS;
    if job.at(&["spec", "selector", "matchLabels", by_uid]).is_none() {
        job.set(&["spec", "selector", "matchLabels", by_uid], uid);
    }
}

/// The labels of a job's pods.
fn pod_labels(spec: &Value) -> Option<&Map<String, Value>> {
    spec.get("template").and_then(|t| t.get("metadata")).and_then(|m| map(m, "labels"))
}

/// What is generated is what the pods must have.
fn generated(checks: &mut Checks, job: &Object, spec: &Value) {
    let Some(selector) = spec.get("selector").filter(|_| !flag(spec, "manualSelector")) else { return };
    if job.uid().is_empty() {
        checks.required("metadata.uid", "");
    }
    let labels = pod_labels(spec);
    let [(by_name, name), (by_uid, uid)] = [(NAME_LABELS, job.name()), (UID_LABELS, job.uid())];
    let pairs = || by_uid.into_iter().zip(by_name).flat_map(|(by_uid, by_name)| [(by_uid, uid), (by_name, name)]);
    for (label, wanted) in pairs() {
        let (path, why) = (format_args!("spec.template.metadata.labels[{label}]"), format_args!("must be '{wanted}'"));
        match labels.and_then(|l| l.get(label)) {
            None => checks.add(Cause::required(path, why)),
            Some(found) if found != wanted => checks.add(Cause::invalid(path, &labels_value(labels), why)),
            Some(_) => {}
        }
    }
    let expected: Map<String, Value> = pairs().map(|(label, value)| (label.to_owned(), value.into())).collect();
    if LabelSelector::from_json(selector).is_ok_and(|s| !s.matches(Some(&expected))) {
        checks.add(Cause::invalid("spec.selector", selector, "`selector` not auto-generated"));
    }
}

fn labels_value(labels: Option<&Map<String, Value>>) -> Value {
    labels.map_or(Value::Null, |l| Value::Object(l.clone()))
}

/// The selector of a job is there, and matches its pods.
fn selector(checks: &mut Checks, spec: &Value) {
    let labels = pod_labels(spec);
    let matches = match spec.get("selector") {
        None => {
            checks.required("spec.selector", "");
            false
        }
        Some(selector) => {
            pod::selector_rules(checks, &"spec.selector", selector);
            LabelSelector::from_json(selector).map_or(true, |s| s.matches(labels))
        }
    };
    if !matches {
        checks.add(Cause::invalid("spec.template.metadata.labels", &labels_value(labels), "`selector` does not match template `labels`"));
    }
}

#[cfg(test)]
mod tests;
