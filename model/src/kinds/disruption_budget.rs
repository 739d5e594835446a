//! PodDisruptionBudgets: their rules, and what those have in common who count by them and who spend of them.
use super::fields::{Checks, keep, shown};
use super::{amounts, conditions};
use crate::error::Cause;
use crate::object::Object;
use crate::selector::LabelSelector;
use crate::strategy::Strategy;
use crate::time;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The condition that says whether pods may be evicted.
pub const ALLOWED: &str = "DisruptionAllowed";
/// Why they may not when the controller couldn't count.
pub const SYNC_FAILED: &str = "SyncFailed";

/// The pods that a budget is about: none without a selector, or with one that nothing can be made of.
pub fn selector(budget: &Object) -> LabelSelector {
    LabelSelector::from_json(budget.at(&["spec", "selector"]).unwrap_or(&Value::Null)).unwrap_or_else(|_| LabelSelector::nothing())
}

/// What the condition [`ALLOWED`] of a budget says that allows so many evictions.
pub fn allowed_condition(allowed: i64, observed: i64) -> Value {
    let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    condition(status, reason, "", observed)
}

/// A condition [`ALLOWED`], of a budget whose generation `observed` was looked at.
pub fn condition(status: &str, reason: &str, message: &str, observed: i64) -> Value {
    let mut condition = json!({"type": ALLOWED, "status": status, "reason": reason, "message": message});
    if observed != 0 {
        condition["observedGeneration"] = observed.into();
    }
    condition
}

/// Sets a condition. It has the time of its transition from before while its status stays.
pub fn set_condition(conditions: &mut Vec<Value>, mut condition: Value, now: Timestamp) {
    let old = conditions.iter_mut().find(|c| c["type"] == condition["type"]);
    let since = old.as_ref().filter(|old| old["status"] == condition["status"]).map(|old| old["lastTransitionTime"].clone());
    condition["lastTransitionTime"] = since.unwrap_or_else(|| time::format(now).into());
    match old {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

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
