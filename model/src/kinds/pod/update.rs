//! What may change in a pod that exists.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items_mut, list, map};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const ALLOWED: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// `new` and `old` are the specs.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<Cause> {
    let mut checks = Checks::default();
    for key in ["containers", "initContainers"] {
        if list(new, key).len() != list(old, key).len() {
            checks.add(Cause::forbidden(format!("spec.{key}"), "pod updates may not add or remove containers"));
            return checks.0;
        }
    }
    deadline(&mut checks, new, old);
    tolerations(&mut checks, new, old);
    let mut allowed = new.clone();
    forget_allowed(&mut allowed, old);
    if !list(old, "schedulingGates").is_empty() {
        narrowed(&mut checks, &mut allowed, old);
    }
    if allowed != *old {
        checks.add(Cause::forbidden("spec", ALLOWED));
    }
    checks.0
}

/// A deadline may be set or shortened.
fn deadline(checks: &mut Checks, new: &Value, old: &Value) {
    let path = "spec.activeDeadlineSeconds";
    match (int(new, "activeDeadlineSeconds"), int(old, "activeDeadlineSeconds")) {
        (Some(after), Some(before)) if after > before => {
            checks.add(Cause::invalid(path, &after.into(), "must be less than or equal to previous value"));
        }
        (None, Some(before)) => checks.add(Cause::invalid(path, &before.into(), "must not update from a positive integer to nil value")),
        _ => {}
    }
}

/// Tolerations may be added; of an existing one only the seconds may change.
fn tolerations(checks: &mut Checks, new: &Value, old: &Value) {
    let bare = |toleration: &Value| {
        let mut bare = toleration.clone();
        if let Some(map) = bare.as_object_mut() {
            map.remove("tolerationSeconds");
        }
        bare
    };
    let kept: HashSet<String> = list(new, "tolerations").iter().map(|t| bare(t).to_string()).collect();
    if list(old, "tolerations").iter().any(|t| !kept.contains(&bare(t).to_string())) {
        checks.add(Cause::forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
    }
}

/// While a pod isn't scheduled yet, what it asks of its node may be narrowed.
fn narrowed(checks: &mut Checks, new: &mut Value, old: &Value) {
    let keeps = |(key, value): (&String, &Value)| map(new, "nodeSelector").and_then(|m| m.get(key)) == Some(value);
    if !map(old, "nodeSelector").is_none_or(|m| m.iter().all(keeps)) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        checks.add(Cause::invalid("spec.nodeSelector", new.get("nodeSelector").unwrap_or(&Value::Null), why));
    }
    copy(new, old, "nodeSelector");
    affinity_narrowed(checks, new, old);
    let mut affinity = new.get("affinity").cloned().unwrap_or_else(|| json!({}));
    copy(&mut affinity, old.get("affinity").unwrap_or(&Value::Null), "nodeAffinity");
    if let Some(spec) = new.as_object_mut() {
        let none = affinity.as_object().is_none_or(Map::is_empty) && old.get("affinity").is_none();
        if none { drop(spec.remove("affinity")) } else { drop(spec.insert("affinity".to_owned(), affinity)) }
    }
}

/// Of required terms each may get more requirements, at its end.
fn affinity_narrowed(checks: &mut Checks, new: &Value, old: &Value) {
    const TERMS: &str = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let terms = |spec: &Value| spec.pointer(TERMS).and_then(Value::as_array).cloned().unwrap_or_default();
    let (after, before) = (terms(new), terms(old));
    if before.is_empty() {
        return;
    }
    if before.len() != after.len() {
        return checks.add(Cause::invalid(path, &after.into(), "no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
    }
    for (i, (term, before)) in after.iter().zip(&before).enumerate() {
        let none = |term: &Value| list(term, "matchExpressions").is_empty() && list(term, "matchFields").is_empty();
        let more = |key| list(term, key).starts_with(list(before, key));
        if (none(before) && !none(term)) || !more("matchExpressions") || !more("matchFields") {
            checks.add(Cause::invalid(format_args!("{path}[{i}]"), term, "only additions are allowed (no mutations or deletions)"));
        }
    }
}

/// Makes those fields what they were that may change.
fn forget_allowed(new: &mut Value, old: &Value) {
    for key in ["containers", "initContainers"] {
        let before = list(old, key);
        for (container, old) in items_mut(new, key).zip(before) {
            copy(container, old, "image");
        }
    }
    for key in ["activeDeadlineSeconds", "tolerations"] {
        copy(new, old, key);
    }
    if int(old, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) && int(new, "terminationGracePeriodSeconds") == Some(1) {
        copy(new, old, "terminationGracePeriodSeconds");
    }
    let gates: HashSet<String> = list(old, "schedulingGates").iter().map(Value::to_string).collect();
    if list(new, "schedulingGates").iter().all(|g| gates.contains(&g.to_string())) {
        copy(new, old, "schedulingGates");
    }
}

fn copy(new: &mut Value, old: &Value, key: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match old.get(key) {
        Some(value) => map.insert(key.to_owned(), value.clone()),
        None => map.remove(key),
    };
}
