//! What of a job may be changed.
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, items_mut, list, text};
use crate::object::Object;
use serde_json::Value;

const FIXED: [&str; 5] = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];

/// What of a change of a job is refused.
pub(super) fn validate(new: &Object, old: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    let (after, before) = (new.at(&["spec"]).unwrap_or(&Value::Null), old.at(&["spec"]).unwrap_or(&Value::Null));
    completions(&mut checks, after, before);
    checks.immutable("spec.selector", after.get("selector"), before.get("selector"));
    template(&mut checks, after, old);
    for key in FIXED {
        checks.immutable(format_args!("spec.{key}"), after.get(key), before.get(key));
    }
    checks.0
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

/// While a job is suspended and none of its pods are left, where they may run and what they ask for can still be changed.
fn template(checks: &mut Checks, new: &Value, old: &Object) {
    let (Some(after), before) = (new.get("template"), old.at(&["spec", "template"]).unwrap_or(&Value::Null)) else { return };
    if after == before {
        return;
    }
    if !pauses(old) {
        checks.add(Cause::invalid("spec.template", after, "field is immutable"));
        return;
    }
    let given = after.get("spec").unwrap_or(&Value::Null);
    let [mut after, mut before] = [given, before.get("spec").unwrap_or(&Value::Null)].map(without_placement);
    for field in ["containers", "initContainers"] {
        if list(&after, field).len() == list(&before, field).len() {
            let pairs = items_mut(&mut after, field).zip(items_mut(&mut before, field));
            for (one, other) in pairs.filter(|(one, other)| one.get("name") == other.get("name")) {
                [one, other].into_iter().filter_map(Value::as_object_mut).for_each(|container| _ = container.remove("resources"));
            }
        }
    }
    if after != before {
        checks.add(Cause::invalid("spec.template.spec", given, "field is immutable"));
    }
}

/// Whether a job is suspended, and has no pods: it hasn't begun, or has been stopped.
fn pauses(job: &Object) -> bool {
    let status = job.at(&["status"]).unwrap_or(&Value::Null);
    let stopped = list(status, "conditions").iter().any(|c| text(c, "type") == "Suspended" && text(c, "status") == "True");
    let suspended = job.at(&["spec"]).is_some_and(|spec| flag(spec, "suspend"));
    suspended && (stopped || status.get("startTime").is_none()) && int(status, "active").unwrap_or_default() == 0
}

/// A pod's spec without what says where it may run.
fn without_placement(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        ["nodeSelector", "tolerations", "schedulingGates"].iter().for_each(|field| _ = spec.remove(*field));
        let left = spec.get_mut("affinity").and_then(Value::as_object_mut).map(|affinity| {
            affinity.remove("nodeAffinity");
            affinity.len()
        });
        if left == Some(0) {
            spec.remove("affinity");
        }
    }
    spec
}
