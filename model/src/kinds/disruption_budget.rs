//! PodDisruptionBudgets.
use super::fields::{Checks, keep, shown};
use super::{amounts, conditions};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

/// The rules of PodDisruptionBudgets.
pub static STRATEGY: DisruptionBudget = DisruptionBudget;

/// The rules of PodDisruptionBudgets.
pub struct DisruptionBudget;

impl Strategy for DisruptionBudget {
    fn prepare_create(&self, budget: &mut Object) {
        budget.set(&["status"], json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, budget: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = budget.at(&["spec"]).unwrap_or(&Value::Null);
        if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
            let part = |key: &str| spec.get(key).cloned().unwrap_or_default();
            let fields = ["MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy"];
            let given = fields.map(|field| (field, part(&format!("{}{}", field[..1].to_ascii_lowercase(), &field[1..]))));
            checks.add(Cause::wrong("spec", format_args!("{}: minAvailable and maxUnavailable cannot be both set", shown(&given))));
        }
        for key in ["minAvailable", "maxUnavailable"] {
            let path = format!("spec.{key}");
            amounts::pods(&mut checks, &path, spec.get(key));
            amounts::at_most_all(&mut checks, &path, spec.get(key));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for key in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            checks.not_negative(format_args!("status.{key}"), new.int_at(&["status", key]));
        }
        conditions::of_status(&mut checks, new.at(&["status"]).unwrap_or(&Value::Null));
        checks.0
    }
}
