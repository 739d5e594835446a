//! Label selectors and lists of label keys within a pod's spec.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, list, map, text};
use crate::{meta, names};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// The selector `key` of `value`, where it is there.
pub(super) fn label_selector(checks: &mut Checks, path: &dyn Display, value: &Value, key: &str) {
    if let Some(selector) = value.get(key) {
        selector_rules(checks, &format_args!("{path}.{key}"), selector);
    }
}

/// What is wrong with a selector at `path`.
pub(crate) fn selector_causes(path: &dyn Display, selector: &Value) -> Vec<Cause> {
    let mut checks = Checks::default();
    selector_rules(&mut checks, path, selector);
    checks.0
}

/// A selector at `path`.
pub(in crate::kinds) fn selector_rules(checks: &mut Checks, path: &dyn Display, selector: &Value) {
    checks.extend(meta::labels(format_args!("{path}.matchLabels"), map(selector, "matchLabels")));
    for (path, expression) in items(selector, path, "matchExpressions") {
        let count = list(expression, "values").len();
        match text(expression, "operator") {
            "In" | "NotIn" if count == 0 => checks.required(format_args!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"),
            "Exists" | "DoesNotExist" if count > 0 => {
                checks.add(Cause::forbidden(format_args!("{path}.values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
        }
        label_key(checks, &format_args!("{path}.key"), text(expression, "key"));
        label_values(checks, &path, expression);
    }
}

/// A label's key.
pub(super) fn label_key(checks: &mut Checks, path: &dyn Display, key: &str) {
    checks.all(path, key, names::qualified_name(key));
}

/// The `values` of an expression, as labels have them.
pub(super) fn label_values(checks: &mut Checks, path: &dyn Display, expression: &Value) {
    for (i, value) in list(expression, "values").iter().filter_map(Value::as_str).enumerate() {
        checks.all(format_args!("{path}.values[{i}]"), value, names::label_value(value));
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys` beside a `labelSelector`: what they add to it must not be in it.
pub(super) fn label_keys(checks: &mut Checks, path: &dyn Display, term: &Value) {
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = list(term, field);
        if !keys.is_empty() && term.get("labelSelector").is_none() {
            checks.add(Cause::forbidden(format_args!("{path}.{field}"), "must not be specified when labelSelector is not set"));
            continue;
        }
        for (i, key) in keys.iter().filter_map(Value::as_str).enumerate() {
            label_key(checks, &format_args!("{path}.{field}[{i}]"), key);
        }
    }
    let matched: Vec<&str> = list(term, "matchLabelKeys").iter().filter_map(Value::as_str).collect();
    let selected = selected_keys(term);
    let mismatched: HashSet<&str> = list(term, "mismatchLabelKeys").iter().filter_map(Value::as_str).collect();
    for (i, key) in matched.iter().enumerate() {
        if selected.contains(key) {
            checks.add(Cause::invalid(format_args!("{path}[{i}]"), &(*key).into(), "exists in both matchLabelKeys and labelSelector"));
        }
    }
    for (i, key) in matched.iter().enumerate() {
        if mismatched.contains(key) {
            checks.add(Cause::invalid(format_args!("{path}.matchLabelKeys[{i}]"), &(*key).into(), "exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
}

/// Keys that the selector names twice: once of them was made of `matchLabelKeys`.
fn selected_keys(term: &Value) -> HashSet<&str> {
    let Some(selector) = term.get("labelSelector") else { return HashSet::new() };
    let mut seen: HashSet<&str> = map(selector, "matchLabels").into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    list(selector, "matchExpressions").iter().map(|e| text(e, "key")).filter(|key| !seen.insert(key)).collect()
}
