//! Jobs, and the part of CronJobs that is a job.
use super::fields::{Checks, fill, flag, int, items, keep, list, map, map_mut, text, with_field};
use super::pod;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::selector::LabelSelector;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fmt::Display;

/// Most pods of an Indexed job at once, and most failed indexes.
const INDEXED_MAX: i64 = 100_000;
/// From so many completions on, a limit per index asks for lower limits of the other numbers.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_LIMIT: i64 = 10_000;
const RULES_MAX: usize = 20;
const VALUES_MAX: usize = 255;
const INDEXES_BYTES: usize = 64 << 10;
/// Labels by which a job finds its pods, the older form of each first.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// The rules of Jobs.
pub static STRATEGY: Job = Job;

/// The rules of Jobs.
pub struct Job;

impl Strategy for Job {
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
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, job: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = job.at(&["spec"]).unwrap_or(&Value::Null);
        self::spec(&mut checks, &"spec", spec);
        selector(&mut checks, job, spec);
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
        let mut checks = Checks::default();
        let (new, old) = (new.at(&["spec"]).unwrap_or(&Value::Null), old.at(&["spec"]).unwrap_or(&Value::Null));
        for key in ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
            checks.immutable(format_args!("spec.{key}"), new.get(key), old.get(key));
        }
        completions(&mut checks, new, old);
        // while it is suspended, where its pods may run can still be changed
        let template = |spec: &Value| spec.get("template").map(|t| if flag(old, "suspend") { without_placement(t) } else { t.clone() });
        if template(new) != template(old) {
            checks.add(Cause::invalid("spec.template", new.get("template").unwrap_or(&Value::Null), "field is immutable"));
        }
        checks.0
    }
}

/// Fills in the defaults of a job's spec.
pub(super) fn default_spec(spec: &mut Value) {
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

fn selector(checks: &mut Checks, job: &Object, spec: &Value) {
    let labels = spec.get("template").and_then(|t| t.get("metadata")).and_then(|m| map(m, "labels"));
    match spec.get("selector").filter(|s| !s.is_null()) {
        None => checks.required("spec.selector", ""),
        Some(selector) => {
            pod::selector_rules(checks, &"spec.selector", selector);
            if LabelSelector::from_json(selector).is_ok_and(|s| !s.matches(labels)) {
                let labels = labels.map_or(Value::Null, |l| Value::Object(l.clone()));
                checks.add(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"));
            }
        }
    }
    if flag(spec, "manualSelector") {
        return;
    }
    // what is generated is what the pods must have
    for (wanted, value) in NAME_LABELS.map(|l| (l, job.name())).into_iter().chain(UID_LABELS.map(|l| (l, job.uid()))) {
        let found = labels.and_then(|l| l.get(wanted)).and_then(Value::as_str).unwrap_or_default();
        if found != value {
            let labels = labels.map_or(Value::Null, |l| Value::Object(l.clone()));
            checks.add(Cause::invalid("spec.template.metadata.labels", &labels, format!("must be '{value}'")));
        }
    }
}

/// Checks a job's spec at `path`, its selector aside.
pub(super) fn spec(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let number = |key: &str| int(spec, key);
    if let Some(manager) = spec.get("managedBy").and_then(Value::as_str) {
        let prefixed = manager.split_once('/').is_some_and(|(domain, rest)| names::is_dns_subdomain(domain) && !rest.is_empty());
        if !prefixed {
            checks.add(Cause::invalid(format_args!("{path}.managedBy"), &manager.into(), "must be a domain-prefixed path (such as \"acme.io/foo\")"));
        }
    }
    if text(spec, "completionMode") == "Indexed" {
        indexed(checks, path, spec);
    } else {
        for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(n) = number(key) {
                checks.add(Cause::invalid(format_args!("{path}.{key}"), &n.into(), "requires indexed completion mode"));
            }
        }
        if let Some(policy) = spec.get("successPolicy") {
            checks.add(Cause::invalid(format_args!("{path}.successPolicy"), policy, "requires indexed completion mode"));
        }
    }
    failure_policy(checks, path, spec);
    let replacement = if spec.get("podFailurePolicy").is_some() { &["Failed"][..] } else { &["Failed", "TerminatingOrFailed"] };
    checks.choice(format_args!("{path}.podReplacementPolicy"), spec.get("podReplacementPolicy"), replacement);
    let template = spec.get("template").unwrap_or(&Value::Null);
    pod::validate_template(checks, &format_args!("{path}.template"), template);
    let at = format!("{path}.template.spec.restartPolicy");
    match template.get("spec").map(|s| text(s, "restartPolicy")).unwrap_or_default() {
        "" | "Always" => checks.required(at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.get("podFailurePolicy").is_some() => {
            checks.add(Cause::invalid(at, &"OnFailure".into(), "only \"Never\" is supported when podFailurePolicy is specified"));
        }
        _ => {}
    }
}

fn indexed(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let number = |key: &str| int(spec, key);
    let (completions, failed) = (number("completions"), number("maxFailedIndexes"));
    let mut at_most = |key: &str, most: i64, why: String| {
        if let Some(n) = number(key).filter(|n| *n > most) {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), &n.into(), why));
        }
    };
    at_most("parallelism", INDEXED_MAX, format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed"));
    if let Some(completions) = completions {
        at_most("maxFailedIndexes", completions, "must be less than or equal to completions".to_owned());
    }
    at_most("maxFailedIndexes", INDEXED_MAX, format!("must be less than or equal to {INDEXED_MAX}"));
    if completions.is_some_and(|n| n > MANY_COMPLETIONS) && number("backoffLimitPerIndex").is_some() {
        let why = format!("must be less than or equal to {MANY_LIMIT} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index");
        at_most("parallelism", MANY_LIMIT, why.clone());
        at_most("maxFailedIndexes", MANY_LIMIT, why);
        if failed.is_none() {
            checks.required(format_args!("{path}.maxFailedIndexes"), &format!("must be specified when completions is above {MANY_COMPLETIONS}"));
        }
    }
    match completions {
        None => checks.required(format_args!("{path}.completions"), "when completion mode is Indexed"),
        Some(completions) => success_policy(checks, path, spec, completions),
    }
}

fn failure_policy(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(policy) = spec.get("podFailurePolicy") else { return };
    let at = format!("{path}.podFailurePolicy");
    too_many(checks, &format_args!("{at}.rules"), list(policy, "rules").len(), RULES_MAX);
    let pod = spec.get("template").and_then(|t| t.get("spec")).unwrap_or(&Value::Null);
    let containers: HashSet<&str> = ["containers", "initContainers"].iter().flat_map(|key| list(pod, key)).map(|c| text(c, "name")).collect();
    for (place, rule) in items(policy, &at, "rules") {
        match text(rule, "action") {
            "" => checks.required(format_args!("{place}.action"), "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            "FailIndex" if spec.get("backoffLimitPerIndex").is_none() => {
                checks.add(Cause::invalid(format_args!("{place}.action"), &"FailIndex".into(), "requires the backoffLimitPerIndex to be set"));
            }
            action => checks.choice(format_args!("{place}.action"), Some(&action.into()), &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        let (codes, conditions) = (rule.get("onExitCodes"), list(rule, "onPodConditions"));
        codes.into_iter().for_each(|codes| exit_codes(checks, &format_args!("{place}.onExitCodes"), codes, &containers));
        too_many(checks, &format_args!("{place}.onPodConditions"), conditions.len(), RULES_MAX);
        for (place, condition) in items(rule, &place, "onPodConditions") {
            checks.name(format_args!("{place}.type"), text(condition, "type"), names::qualified_name);
            checks.one_of(format_args!("{place}.status"), text(condition, "status"), &["False", "True", "Unknown"]);
        }
        match (codes.is_some(), conditions.is_empty()) {
            (true, false) => checks.add(Cause::invalid(&place, rule, "specifying both OnExitCodes and OnPodConditions is not supported")),
            (false, true) => checks.add(Cause::invalid(&place, rule, "specifying one of OnExitCodes and OnPodConditions is required")),
            _ => {}
        }
    }
}

fn exit_codes(checks: &mut Checks, path: &dyn Display, codes: &Value, containers: &HashSet<&str>) {
    let operator = text(codes, "operator");
    checks.one_of(format_args!("{path}.operator"), operator, &["In", "NotIn"]);
    if let Some(name) = codes.get("containerName").and_then(Value::as_str).filter(|name| !containers.contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        checks.add(Cause::invalid(format_args!("{path}.containerName"), &name.into(), why));
    }
    let values: Vec<i64> = list(codes, "values").iter().filter_map(Value::as_i64).collect();
    let all = || Value::from(values.clone());
    if values.is_empty() {
        checks.add(Cause::invalid(format_args!("{path}.values"), &all(), "at least one value is required"));
    }
    too_many(checks, &format_args!("{path}.values"), values.len(), VALUES_MAX);
    let mut seen = HashSet::new();
    for (i, value) in values.iter().enumerate() {
        if *value == 0 && operator == "In" {
            checks.add(Cause::invalid(format_args!("{path}.values[{i}]"), &0.into(), "must not be 0 for the In operator"));
        }
        if !seen.insert(value) {
            checks.add(Cause::duplicate(format_args!("{path}.values[{i}]"), &(*value).into()));
        }
    }
    if !values.is_sorted() {
        checks.add(Cause::invalid(format_args!("{path}.values"), &all(), "must be ordered"));
    }
}

fn success_policy(checks: &mut Checks, path: &dyn Display, spec: &Value, completions: i64) {
    let Some(policy) = spec.get("successPolicy") else { return };
    let at = format!("{path}.successPolicy");
    let rules = list(policy, "rules");
    if rules.is_empty() {
        checks.required(format_args!("{at}.rules"), "at least one rules must be specified when the successPolicy is specified");
    }
    too_many(checks, &format_args!("{at}.rules"), rules.len(), RULES_MAX);
    for (place, rule) in items(policy, &at, "rules") {
        let (count, indexes) = (int(rule, "succeededCount"), rule.get("succeededIndexes").and_then(Value::as_str));
        if count.is_none() && indexes.is_none() {
            checks.required(&place, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let named = indexes.map(|indexes| index_count(indexes, completions));
        if let (Some(Err(why)), Some(indexes)) = (&named, indexes) {
            checks.add(Cause::invalid(format_args!("{place}.succeededIndexes"), &indexes.into(), format!("error parsing succeededIndexes: {why}")));
        }
        if indexes.is_some_and(|i| i.len() > INDEXES_BYTES) {
            checks.add(Cause::too_long(format_args!("{place}.succeededIndexes"), INDEXES_BYTES));
        }
        let Some(count) = count else { continue };
        let place = format!("{place}.succeededCount");
        checks.not_negative(&place, Some(count));
        if count > completions {
            let why = format!("must be less than or equal to {completions} (the number of specified completions)");
            checks.add(Cause::invalid(&place, &count.into(), why));
        }
        if let Some(Ok(named)) = named.filter(|n| n.as_ref().is_ok_and(|n| count > *n)) {
            let why = format!("must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)");
            checks.add(Cause::invalid(&place, &count.into(), why));
        }
    }
}

/// How many indexes a text such as `0,2-4` names.
fn index_count(indexes: &str, completions: i64) -> Result<i64, String> {
    let (mut count, mut last) = (0_i64, -1_i64);
    for interval in indexes.split(',').filter(|i| !i.is_empty()) {
        let (from, to) = interval.split_once('-').unwrap_or((interval, interval));
        let number = |text: &str| text.parse::<i64>().map_err(|_| format!("cannot convert string to integer for index: {text:?}"));
        let (from, to) = (number(from)?, number(to)?);
        if from >= completions || to >= completions {
            return Err(format!("too large index: {interval:?}"));
        }
        if from <= last || to < from {
            return Err(format!("non-increasing order, previous: {last}, current: {from}"));
        }
        count += to - from + 1;
        last = to;
    }
    Ok(count)
}

fn too_many(checks: &mut Checks, path: &dyn Display, n: usize, most: usize) {
    if n > most {
        checks.add(Cause::too_many(path, n, most));
    }
}

/// An Indexed job grows and shrinks with its parallelism; the completions of others stay.
fn completions(checks: &mut Checks, new: &Value, old: &Value) {
    let (after, before) = (new.get("completions"), old.get("completions"));
    if text(new, "completionMode") != "Indexed" {
        checks.immutable("spec.completions", after, before);
    } else if let Some(after) = after.filter(|after| Some(*after) != before && new.get("parallelism") != Some(*after)) {
        checks.add(Cause::invalid("spec.completions", after, "can only be modified in tandem with spec.parallelism"));
    }
}

/// A template without what says where its pods may run.
fn without_placement(template: &Value) -> Value {
    let mut template = template.clone();
    let parts: [(&str, &[&str]); 2] = [("metadata", &["labels", "annotations"]), ("spec", &["nodeSelector", "tolerations", "schedulingGates"])];
    for (part, fields) in parts {
        template.get_mut(part).and_then(Value::as_object_mut).into_iter().for_each(|part| part.retain(|field, _| !fields.contains(&field.as_str())));
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        let left = spec.get_mut("affinity").and_then(Value::as_object_mut).map(|affinity| {
            affinity.remove("nodeAffinity");
            affinity.len()
        });
        if left == Some(0) {
            spec.remove("affinity");
        }
    }
    template
}
