//! Leases.
use super::fields::{Checks, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

/// The rules of Leases.
pub static STRATEGY: Lease = Lease;

/// The rules of Leases.
pub struct Lease;

impl Strategy for Lease {
    fn create_on_update(&self) -> bool {
        true
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, lease: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if let Some(seconds) = lease.int_at(&["spec", "leaseDurationSeconds"]).filter(|s| *s <= 0) {
            checks.add(Cause::invalid("spec.leaseDurationSeconds", &seconds.into(), "must be greater than 0"));
        }
        checks.not_negative("spec.leaseTransitions", lease.int_at(&["spec", "leaseTransitions"]));
        let spec = lease.at(&["spec"]).unwrap_or(&Value::Null);
        strategy(&mut checks, spec.get("strategy").and_then(Value::as_str));
        if text(spec, "strategy").is_empty() && !text(spec, "preferredHolder").is_empty() {
            checks.add(Cause::forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
        }
        checks.0
    }
}

/// How a leader is chosen. Kubernetes names the field twice in the path.
fn strategy(checks: &mut Checks, strategy: Option<&str>) {
    match strategy {
        None => {}
        Some(own) if own.contains('/') => checks.all("spec.strategy.strategy", own, names::qualified_name(own)),
        Some(known) => checks.choice("spec.strategy.strategy", Some(&known.into()), &["OldestEmulationVersion"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::check;
    use serde_json::json;

    #[test]
    fn leases() {
        let of = |spec: Value| json!({ "spec": spec });
        check(
            &STRATEGY,
            vec![
                (json!({}), ""),
                (of(json!({"leaseDurationSeconds": 1, "leaseTransitions": 0, "strategy": "OldestEmulationVersion", "preferredHolder": "a"})), ""),
                (of(json!({"strategy": "a.b/c"})), ""),
                (of(json!({"leaseDurationSeconds": 0})), "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
                (of(json!({"leaseTransitions": -1})), "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
                (of(json!({"strategy": ""})), "spec.strategy.strategy: Unsupported value: \"\": supported values: \"OldestEmulationVersion\""),
                (of(json!({"strategy": "X"})), "spec.strategy.strategy: Unsupported value: \"X\": supported values: \"OldestEmulationVersion\""),
                (of(json!({"strategy": "a/-"})), "spec.strategy.strategy: Invalid value: \"a/-\": name part…"),
                (of(json!({"preferredHolder": "a"})), "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"),
            ],
        );
    }
}
