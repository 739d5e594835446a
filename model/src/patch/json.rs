//! JSON patch, with bounds on what a small patch may grow into.
use super::unprocessable;
use crate::error::{ApiError, Reason};
use crate::object::{MAX_DEPTH, Object, depth};
use json_patch::{Patch, PatchOperation, jsonptr::PointerBuf};
use serde_json::Value;

/// Most operations of one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Most bytes that all `copy` operations of a patch may duplicate: a request's own limit.
const MAX_COPIED: usize = 3 << 20;

/// Applies a JSON patch; either all of its operations or none.
///
/// # Errors
/// 400 when the patch isn't one, 413 when it has too many operations, 422 when an operation doesn't apply or a test fails.
pub fn apply_json(object: &Object, patch: &[u8]) -> Result<Object, ApiError> {
    let Patch(operations) = serde_json::from_slice(patch).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    if operations.len() > MAX_OPERATIONS {
        let message = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len());
        return Err(ApiError::new(Reason::RequestEntityTooLarge, message));
    }
    let mut document = Value::Object(object.0.clone());
    let mut copied = 0;
    for operation in &operations {
        copied += check(&document, operation)?;
        if copied > MAX_COPIED {
            return Err(unprocessable("the copy operations of this patch exceed the size limit"));
        }
        json_patch::patch(&mut document, std::slice::from_ref(operation)).map_err(unprocessable)?;
    }
    Object::from_value(document)
}

/// Refuses what would nest too deep, and returns the bytes that the operation duplicates.
fn check(document: &Value, operation: &PatchOperation) -> Result<usize, ApiError> {
    let at = |from: &PointerBuf| from.resolve(document).ok();
    let (path, value, duplicates) = match operation {
        PatchOperation::Add(add) => (&add.path, Some(&add.value), false),
        PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value), false),
        PatchOperation::Copy(copy) => (&copy.path, at(&copy.from), true),
        PatchOperation::Move(moved) => (&moved.path, at(&moved.from), false),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(0),
    };
    let Some(value) = value else { return Ok(0) };
    if path.tokens().count() + depth(value) > MAX_DEPTH {
        return Err(unprocessable("the patch nests too deep"));
    }
    Ok(if duplicates { size(value) } else { 0 })
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>() + 2,
        Value::Array(items) => items.iter().map(|v| 1 + size(v)).sum::<usize>() + 2,
        Value::String(text) => text.len() + 2,
        _ => 8,
    }
}
