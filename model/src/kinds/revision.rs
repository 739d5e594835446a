//! ControllerRevisions: data that never changes.
use super::fields::Checks;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

/// The rules of ControllerRevisions.
pub static STRATEGY: Revision = Revision;

/// The rules of ControllerRevisions.
pub struct Revision;

impl Strategy for Revision {
    fn validate(&self, revision: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.not_negative("revision", revision.int_at(&["revision"]));
        checks.0
    }
    fn validate_create(&self, revision: &Object) -> Vec<Cause> {
        match revision.at(&["data"]) {
            None | Some(Value::Null) => vec![Cause::required("data", "data is mandatory")],
            Some(Value::Object(_)) => Vec::new(),
            Some(_) => vec![Cause::required("data", "data must be a valid JSON object")],
        }
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("data", new.at(&["data"]), old.at(&["data"]));
        checks.0
    }
}
