//! Whether objects of the log are of the form in which a kind shows them, and what has to be done where they aren't. A kind may be another form of a stored
//! one (`stored_as`): `events.k8s.io` Events are stored as core Events, versions of a custom resource as the one that its definition says. Those of a custom
//! resource may also have been written under an older definition.
use model::custom::{self, StoredObjects};
use model::{Kind, Object};
use serde_json::Value;
use std::sync::Arc;

/// What is known of a custom resource's objects in the log.
fn stored_objects(kind: &Kind) -> Option<&StoredObjects> {
    kind.schema.custom().map(|schema| &schema.stored)
}

/// Whether every object in the log is of the form in which `kind` shows it.
pub fn is_as_stored(kind: &Kind) -> bool {
    kind.stored_as.is_none() && stored_objects(kind).is_none_or(|stored| !stored.mixed && stored.without_defaults == 0)
}

/// The webhook that converts objects between the versions of a kind.
pub fn webhook(kind: &Kind) -> Option<&Arc<Value>> {
    stored_objects(kind)?.webhook.as_ref()
}

/// Whether a webhook may have to be asked before an object of the log can be shown as `kind`.
pub fn is_remote(kind: &Kind) -> bool {
    webhook(kind).is_some() && (kind.stored_as.is_some() || stored_objects(kind).is_some_and(|stored| stored.mixed))
}

/// What has to be done with an object of the log so that it is one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Nothing.
    None,
    /// It follows from the object.
    Here,
    /// A webhook has to be asked.
    Remote,
}

/// How an object of this `apiVersion` becomes one of `kind`.
pub fn conversion(kind: &Kind, api_version: &str) -> Conversion {
    match stored_objects(kind) {
        None if kind.stored_as.is_none() => Conversion::None,
        None => Conversion::Here,
        Some(_) if api_version == kind.api_version() => Conversion::None,
        Some(stored) if stored.webhook.is_some() => Conversion::Remote,
        Some(_) => Conversion::Here,
    }
}

/// A client's object in the form that is worked on: his own, where a webhook converts.
pub fn inward(kind: &Kind, object: Object) -> Object {
    if webhook(kind).is_some() { object } else { kind.inward(object) }
}

/// An object of the log as one of `kind`, where that follows from it.
pub fn outward(kind: &Kind, object: &Object) -> Object {
    match &kind.stored_as {
        Some(other) => other.conversion.outward(object),
        None => {
            let mut object = object.clone();
            object.set(&["apiVersion"], kind.api_version());
            object
        }
    }
}

/// Fills in what an object of this revision may lack because its kind's schema had no default for it when it was written. Returns whether that was anything.
pub fn complete(kind: &Kind, object: &mut Object, revision: u64) -> bool {
    let Some(schema) = kind.schema.custom().filter(|schema| revision <= schema.stored.without_defaults) else { return false };
    let before = object.clone();
    custom::default(&mut object.0, &schema.schema);
    *object != before
}

/// Whether an object of this revision may lack defaults.
pub fn may_be_incomplete(kind: &Kind, revision: u64) -> bool {
    stored_objects(kind).is_some_and(|stored| revision <= stored.without_defaults)
}
