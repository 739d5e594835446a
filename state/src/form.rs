//! Shows objects of kinds that are another form of a stored kind (`stored_as`): `events.k8s.io` Events are stored as core Events.
use crate::store::RecordedChange;
use model::{ApiError, Kind, Stored};
use std::sync::Arc;

/// The form in which `kind` shows a stored object.
///
/// # Errors
/// 500 when the object doesn't serialise.
pub fn outward(kind: &Kind, stored: Arc<Stored>) -> Result<Arc<Stored>, ApiError> {
    let Some(shown) = kind.stored_as.as_ref().map(|other| stored.read(|object| other.conversion.outward(object))) else { return Ok(stored) };
    let mut key = stored.key.clone();
    (key.group, key.resource) = (kind.group.clone(), kind.resource.clone());
    Ok(Arc::new(Stored::from_object(key, shown)?))
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
