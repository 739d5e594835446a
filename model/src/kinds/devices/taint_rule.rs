//! DeviceTaintRules: taints of devices that somebody else than their driver gives them.
use crate::error::Cause;
use crate::kinds::conditions;
use crate::kinds::fields::{Checks, keep, list};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const CONDITIONS_MAX: usize = 8;

/// The rules of DeviceTaintRules.
pub(in crate::kinds) static TAINT_RULE: TaintRule = TaintRule;

/// The rules of DeviceTaintRules.
pub(in crate::kinds) struct TaintRule;

impl Strategy for TaintRule {
    fn prepare_create(&self, rule: &mut Object) {
        rule.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn validate(&self, rule: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let selector = rule.at(&["spec", "deviceSelector"]).unwrap_or(&Value::Null);
        let of = |field: &str| selector.get(field).and_then(Value::as_str);
        if let Some(driver) = of("driver") {
            checks.name("spec.deviceSelector.driver", driver, |name| names::dns_subdomain(&name.to_ascii_lowercase()));
        }
        if let Some(pool) = of("pool") {
            checks.name("spec.deviceSelector.pool", pool, |pool| pool.split('/').flat_map(names::dns_subdomain).collect());
        }
        if let Some(device) = of("device") {
            checks.all("spec.deviceSelector.device", device, names::dns_label(device));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        let said = list(status, "conditions").len();
        if said > CONDITIONS_MAX {
            checks.add(Cause::too_many("status.conditions", said, CONDITIONS_MAX));
        }
        conditions::of_status(&mut checks, status);
        checks.0
    }
}
