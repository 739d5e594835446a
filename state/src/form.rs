//! Converts objects of kinds that are another view of a stored kind (`stored_as`): `events.k8s.io` Events are stored as core Events.
use crate::store::RecordedChange;
use model::kinds::event;
use model::{ApiError, Kind, Object, Stored};
use std::sync::Arc;

/// The stored form of an object of `kind`.
pub fn inward(kind: &Kind, object: Object) -> Object {
    if kind.stored_as.is_some() { event::to_core(&object) } else { object }
}

/// The form in which `kind` shows a stored object.
///
/// # Errors
/// 500 when the object doesn't serialise.
pub fn outward(kind: &Kind, stored: Arc<Stored>) -> Result<Arc<Stored>, ApiError> {
    if kind.stored_as.is_none() {
        return Ok(stored);
    }
    let mut key = stored.key.clone();
    (key.group, key.resource) = (kind.group.clone(), kind.resource.clone());
    Ok(Arc::new(Stored::from_object(key, stored.read(event::from_core))?))
}

/// The form in which `kind` shows a change.
///
/// # Errors
/// As [`outward`].
pub fn outward_change(kind: &Kind, change: &Arc<RecordedChange>) -> Result<Arc<RecordedChange>, ApiError> {
    if kind.stored_as.is_none() {
        return Ok(change.clone());
    }
    let old = change.old.clone().map(|old| outward(kind, old)).transpose()?;
    Ok(Arc::new(RecordedChange { old, new: outward(kind, change.new.clone())?, deleted: change.deleted, revision: change.revision }))
}
