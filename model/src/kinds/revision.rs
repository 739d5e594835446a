//! ControllerRevisions: data that never changes.
use super::fields::Checks;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;

/// The rules of ControllerRevisions.
pub static STRATEGY: Revision = Revision;

/// The rules of ControllerRevisions.
pub struct Revision;

impl Strategy for Revision {
    fn validate(&self, revision: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.not_negative("revision", revision.int_at(&["revision"]));
        if revision.at(&["data"]).is_none() {
            checks.required("data", "data is mandatory");
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("data", new.at(&["data"]), old.at(&["data"]));
        checks.0
    }
}
