//! What a client's object passes as it comes: its schema, and what the JSON that it came as has twice.
use crate::request_context::RequestContext;
use bytes::Bytes;
use model::schema::FieldValidation;
use model::{ApiError, Object, schema};
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
