//! What Deployments and ReplicaSets share: a selector, a template, replicas.
use super::fields::{Checks, int, map, text};
use super::pod;
use crate::error::Cause;
use crate::meta;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;

/// Checks `spec.selector`, `spec.template`, `spec.replicas` and `spec.minReadySeconds`. `name` is the kind's in lower case.
pub(super) fn validate(checks: &mut Checks, spec: &Value, name: &str) {
    for field in ["replicas", "minReadySeconds"] {
        checks.not_negative(format_args!("spec.{field}"), int(spec, field));
    }
    let template = spec.get("template").unwrap_or(&Value::Null);
    let labels = template.get("metadata").and_then(|m| map(m, "labels"));
    let equal = spec.get("selector").and_then(|s| map(s, "matchLabels"));
    checks.extend(meta::labels("spec.selector.matchLabels", equal));
    match spec.get("selector") {
        None | Some(Value::Null) => checks.required("spec.selector", ""),
        Some(selector) => match LabelSelector::from_json(selector) {
            Err(e) => checks.add(Cause::invalid("spec.selector", selector, e)),
            Ok(s) if s.is_empty() => checks.add(Cause::invalid("spec.selector", selector, format!("empty selector is invalid for {name}"))),
            Ok(s) if !s.matches(labels) => {
                let labels = labels.map_or(Value::Null, |l| Value::Object(l.clone()));
                checks.add(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"));
            }
            Ok(_) => {}
        },
    }
    pod::validate_template(checks, &"spec.template", template);
    restarted(checks, template.get("spec").unwrap_or(&Value::Null));
}

/// The pods are to run for good: only the policy that restarts them is accepted, and no deadline.
fn restarted(checks: &mut Checks, pod: &Value) {
    let policy = text(pod, "restartPolicy");
    if matches!(policy, "Never" | "OnFailure") {
        checks.add(Cause::not_supported("spec.template.spec.restartPolicy", &policy.into(), &["Always"]));
    }
    if pod.get("activeDeadlineSeconds").is_some() {
        checks.add(Cause::forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

/// The selector stays what it was.
pub(super) fn validate_update(new: &Object, old: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    checks.immutable("spec.selector", new.at(&["spec", "selector"]), old.at(&["spec", "selector"]));
    checks.0
}
