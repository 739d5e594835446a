//! The strategy of a kind: its own rules for defaults, preparation and validation. Each is one small file under `kinds/`.
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::subresource::Subresource;

/// The rules of one kind. Each method has a default that does nothing, so that a plain kind needs none.
pub trait Strategy: Sync {
    /// What is wrong with a name of this kind; empty when nothing is.
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::dns_subdomain(name)
    }
    /// Fills in what a client left out, as Kubernetes' API reference says.
    fn default(&self, _object: &mut Object) {}
    /// Before a create: drops what a client may not set, sets the initial status.
    fn prepare_create(&self, _object: &mut Object) {}
    /// Before an update of the main resource: carries over what a client may not change.
    fn prepare_update(&self, _new: &mut Object, _old: &Object) {}
    /// Whether a PUT makes an object that isn't there.
    fn create_on_update(&self) -> bool {
        false
    }
    /// Whether a PUT may leave out the revision that it was made from.
    fn unconditional_update(&self) -> bool {
        true
    }
    /// Whether who writes the status may change labels and annotations with it, as Kubernetes lets. Not where nodes write it: what these may say of
    /// themselves and of pods is decided elsewhere.
    fn status_has_metadata(&self) -> bool {
        true
    }
    /// Before an update of `status`: `new` already has everything but its status, and perhaps labels and annotations, from `old`.
    fn prepare_status(&self, _new: &mut Object, _old: &Object) {}
    /// Refused fields of a new or changed object, beyond names, labels and schema, which are checked for every kind.
    fn validate(&self, _object: &Object) -> Vec<Cause> {
        Vec::new()
    }
    /// Refused fields of a new object that an old one may have.
    fn validate_create(&self, _object: &Object) -> Vec<Cause> {
        Vec::new()
    }
    /// Refused changes.
    fn validate_update(&self, _new: &Object, _old: &Object) -> Vec<Cause> {
        Vec::new()
    }
    /// Of a proposal for this part of an object what the part covers, where that is more than one field: the rest is as in `old`.
    fn narrow(&self, _part: Subresource, new: Object, _old: Object) -> Object {
        new
    }
    /// Refused changes of a part of the object that has rules of its own.
    fn validate_part(&self, _part: Subresource, new: &Object, old: &Object) -> Vec<Cause> {
        self.validate_update(new, old)
    }
    /// Refused fields of a changed status.
    fn validate_status(&self, _new: &Object, _old: &Object) -> Vec<Cause> {
        Vec::new()
    }
    /// Seconds of grace that a deletion gives; `None` where the object goes at once.
    /// `requested` is the client's `gracePeriodSeconds`.
    fn grace_seconds(&self, _object: &Object, _requested: Option<i64>) -> Option<i64> {
        None
    }
    /// Whether a deletion that doesn't say it leaves dependents where they are: what some kinds did before there was a choice.
    fn orphans_dependents(&self) -> bool {
        false
    }
    /// The finalizer that a deletion adds, because a controller has something to do before the object may go.
    fn cleanup_finalizer(&self) -> Option<&'static str> {
        None
    }
    /// When a deletion begins and the object stays for the time being: what else shows it (a namespace's phase).
    fn prepare_delete(&self, _object: &mut Object) {}
    /// Whether something beyond `metadata.finalizers` keeps a deleted object (a namespace's `spec.finalizers`).
    fn held(&self, _object: &Object) -> bool {
        false
    }
}

/// The rules of a kind with a status, and without other rules.
pub struct Observed;
impl Strategy for Observed {
    fn prepare_create(&self, object: &mut Object) {
        object.remove(&["status"]);
    }
}

/// The rules of a kind without rules.
pub struct Plain;
impl Strategy for Plain {}
