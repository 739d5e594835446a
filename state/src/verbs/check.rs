//! What every written object passes: its schema, its metadata, its kind's rules.
use crate::request_context::RequestContext;
use bytes::Bytes;
use model::schema::FieldValidation;
use model::{ApiError, Cause, Object, meta, schema};
use state_client::{Body, PatchKind};

/// Checks a client's object against its kind's schema. What the schema doesn't know, and what the JSON that it came as has twice, is dropped, warned
/// of or refused, as the request asks. Returns the warnings, in the order of the JSON.
///
/// # Errors
/// 400 for wrong types, and for such fields where the request is strict; all of them are named.
pub fn shape(call: &RequestContext, object: &mut Object, json: Option<&[u8]>) -> Result<Vec<String>, ApiError> {
    let mode = FieldValidation::parse(&call.options.field_validation)?;
    let unknown = schema::validate_and_prune(&call.kind, object)?;
    if mode == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let mut found = json.map(schema::duplicate_fields).unwrap_or_default();
    found.extend(unknown);
    if let Some(json) = json.filter(|_| found.len() > 1) {
        found = schema::in_order_of(json, found);
    }
    if mode == FieldValidation::Strict && !found.is_empty() {
        return Err(schema::refuse(&call.kind, &format!("strict decoding error: {}", found.join(", "))));
    }
    Ok(found)
}

/// Refuses a new object that names a revision.
///
/// # Errors
/// 400.
pub fn not_yet_stored(object: &Object) -> Result<(), ApiError> {
    match object.resource_version() {
        "" | "0" => Ok(()),
        _ => Err(ApiError::bad_request("resourceVersion should not be set on objects to be created")),
    }
}

/// The JSON that an object comes as, where it does.
pub fn json(body: &Body) -> Option<Bytes> {
    match body {
        Body::Json(json) | Body::Patch(PatchKind::Merge | PatchKind::Strategic, json) => Some(json.clone()),
        _ => None,
    }
}

fn refuse(call: &RequestContext, object: &Object, causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(&call.kind.group, &call.kind.kind, object.name(), causes)) }
}

/// Checks a new object in its stored form.
///
/// # Errors
/// 422 with every refused field.
pub fn new_object(call: &RequestContext, object: &Object) -> Result<(), ApiError> {
    refuse(call, object, wrong(call, object))
}

fn wrong(call: &RequestContext, object: &Object) -> Vec<Cause> {
    let mut causes = meta::validate(&call.row, object);
    // a kind that is stored as another has rules of its own for what is stored
    causes.extend(call.kind.strategy.validate(object));
    causes
}

/// Checks a changed object in its stored form. What was wrong with it before may stay as it is: an object that was stored when less was refused
/// can still be changed elsewhere, and deleted.
///
/// # Errors
/// 422 with every refused field.
pub fn changed_object(call: &RequestContext, new: &Object, old: &Object) -> Result<(), ApiError> {
    let mut causes = meta::validate_update(new, old);
    causes.extend(new_causes(call, new, old));
    causes.extend(call.kind.strategy.validate_update(new, old));
    refuse(call, new, causes)
}

/// Checks the labels and annotations that came with a status, where they are others than before.
///
/// # Errors
/// 422 with every refused field.
fn changed_words(call: &RequestContext, new: &Object, old: &Object) -> Result<(), ApiError> {
    if (new.labels(), new.annotations()) == (old.labels(), old.annotations()) { Ok(()) } else { refuse(call, new, meta::validate(&call.row, new)) }
}

/// Checks a changed status, and the words that came with it.
///
/// # Errors
/// 422 with every refused field.
pub fn changed_status(call: &RequestContext, new: &Object, old: &Object) -> Result<(), ApiError> {
    changed_words(call, new, old)?;
    refuse(call, new, call.row.strategy.validate_status(new, old))
}

/// What is refused of `new` and wasn't of `old`.
fn new_causes(call: &RequestContext, new: &Object, old: &Object) -> Vec<Cause> {
    let mut causes = wrong(call, new);
    if !causes.is_empty() {
        let before = wrong(call, old);
        causes.retain(|cause| !before.contains(cause));
    }
    causes
}
