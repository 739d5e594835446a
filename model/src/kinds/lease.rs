//! Leases.
use super::fields::Checks;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;

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
        checks.0
    }
}
