//! When a job has failed, and when it has succeeded.
use super::indexes;
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, shown, text};
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const RULES_MAX: usize = 20;
const VALUES_MAX: usize = 255;
const INDEXES_BYTES: usize = 64 << 10;

/// The `podFailurePolicy` of a job's spec at `path`.
pub(super) fn failure(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(policy) = spec.get("podFailurePolicy") else { return };
    let at = format!("{path}.podFailurePolicy");
    at_most(checks, &format_args!("{at}.rules"), list(policy, "rules").len(), RULES_MAX);
    let pod = spec.pointer("/template/spec").unwrap_or(&Value::Null);
    let containers: HashSet<&str> = ["containers", "initContainers"].iter().flat_map(|key| list(pod, key)).map(|c| text(c, "name")).collect();
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    for (place, rule) in items(policy, &at, "rules") {
        match text(rule, "action") {
            "" => checks.required(format_args!("{place}.action"), "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            "FailIndex" if !per_index => {
                checks.add(Cause::invalid(format_args!("{place}.action"), &"FailIndex".into(), "requires the backoffLimitPerIndex to be set"));
            }
            action => checks.choice(format_args!("{place}.action"), Some(&action.into()), &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        let (codes, conditions) = (rule.get("onExitCodes"), list(rule, "onPodConditions"));
        codes.into_iter().for_each(|codes| exit_codes(checks, &format_args!("{place}.onExitCodes"), codes, &containers));
        at_most(checks, &format_args!("{place}.onPodConditions"), conditions.len(), RULES_MAX);
        for (place, condition) in items(rule, &place, "onPodConditions") {
            let kind = text(condition, "type");
            checks.all(format_args!("{place}.type"), kind, names::qualified_name(kind));
            checks.one_of(format_args!("{place}.status"), text(condition, "status"), &["False", "True", "Unknown"]);
        }
        match (codes.is_some(), conditions.is_empty()) {
            (true, false) => checks.add(Cause::wrong(&place, "specifying both OnExitCodes and OnPodConditions is not supported")),
            (false, true) => checks.add(Cause::wrong(&place, "specifying one of OnExitCodes and OnPodConditions is required")),
            _ => {}
        }
    }
}

fn exit_codes(checks: &mut Checks, path: &dyn Display, codes: &Value, containers: &HashSet<&str>) {
    let operator = text(codes, "operator");
    match operator {
        "" => checks.required(format_args!("{path}.operator"), "valid values: [\"In\" \"NotIn\"]"),
        operator => checks.choice(format_args!("{path}.operator"), Some(&operator.into()), &["In", "NotIn"]),
    }
    if let Some(name) = codes.get("containerName").and_then(Value::as_str).filter(|name| !containers.contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        checks.add(Cause::invalid(format_args!("{path}.containerName"), &name.into(), why));
    }
    let values = list(codes, "values");
    let all = codes.get("values").unwrap_or(&Value::Null);
    if values.is_empty() {
        checks.add(Cause::invalid(format_args!("{path}.values"), all, "at least one value is required"));
    }
    at_most(checks, &format_args!("{path}.values"), values.len(), VALUES_MAX);
    let mut seen = HashSet::new();
    for (i, value) in values.iter().enumerate() {
        if operator == "In" && value.as_i64() == Some(0) {
            checks.add(Cause::invalid(format_args!("{path}.values[{i}]"), value, "must not be 0 for the In operator"));
        }
        checks.unique(format_args!("{path}.values[{i}]"), value, &mut seen);
    }
    if !values.is_sorted_by_key(Value::as_i64) {
        checks.add(Cause::invalid(format_args!("{path}.values"), all, "must be ordered"));
    }
}

/// The `successPolicy` of a job's spec at `path`.
pub(super) fn success(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(policy) = spec.get("successPolicy") else { return };
    let at = format!("{path}.successPolicy");
    if text(spec, "completionMode") != "Indexed" {
        let mut cause = Cause::wrong(&at, "requires indexed completion mode");
        cause.message = cause.message.replacen(": ", &format!(": {}: ", in_memory(policy)), 1);
        checks.add(cause);
        return;
    }
    let rules = list(policy, "rules");
    if rules.is_empty() {
        checks.required(format_args!("{at}.rules"), "at least one rules must be specified when the successPolicy is specified");
    }
    at_most(checks, &format_args!("{at}.rules"), rules.len(), RULES_MAX);
    // that they are missing is said elsewhere
    let Some(completions) = int(spec, "completions") else { return };
    for (place, rule) in items(policy, &at, "rules") {
        success_rule(checks, &place, rule, completions);
    }
}

/// As Kubernetes shows a policy, which it has in memory under other names.
fn in_memory(policy: &Value) -> String {
    let part = |rule: &Value, key: &str| rule.get(key).cloned().unwrap_or_default();
    let one = |rule: &Value| shown(&[("SucceededIndexes", part(rule, "succeededIndexes")), ("SucceededCount", part(rule, "succeededCount"))]);
    let rules = list(policy, "rules").iter().map(one).collect::<Vec<_>>().join(",");
    if policy.get("rules").is_some() { format!("{{\"Rules\":[{rules}]}}") } else { "{\"Rules\":null}".to_owned() }
}

fn success_rule(checks: &mut Checks, place: &dyn Display, rule: &Value, completions: i64) {
    let (count, indexes) = (int(rule, "succeededCount"), rule.get("succeededIndexes").and_then(Value::as_str));
    if count.is_none() && indexes.is_none() {
        checks.required(place, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let at = format_args!("{place}.succeededIndexes");
    if indexes.is_some_and(|i| i.len() > INDEXES_BYTES) {
        checks.add(Cause::too_long(at, INDEXES_BYTES));
    }
    let named = indexes.map(|indexes| indexes::count(indexes, completions));
    if let (Some(Err(why)), Some(indexes)) = (&named, indexes) {
        checks.add(Cause::invalid(at, &indexes.into(), format_args!("error parsing succeededIndexes: {why}")));
    }
    let Some(count) = count else { return };
    let place = format_args!("{place}.succeededCount");
    checks.not_negative(place, Some(count));
    if count > completions {
        let why = format!("must be less than or equal to {completions} (the number of specified completions)");
        checks.add(Cause::invalid(place, &count.into(), why));
    }
    if let Some(named) = named.map(Result::unwrap_or_default).filter(|named| count > *named) {
        let why = format!("must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)");
        checks.add(Cause::invalid(place, &count.into(), why));
    }
}

fn at_most(checks: &mut Checks, path: &dyn Display, n: usize, most: usize) {
    if n > most {
        checks.add(Cause::too_many(path, n, most));
    }
}
