//! JSON patch, with bounds on what a small patch may grow into.
//!
//! RFC 6902 in the reading that Kubernetes has of it, which clients count on: a list's index may be negative and then counts from its end; `replace` adds
//! a key that a map lacks, and `test` takes such a key for null; a missing `value` is null.
use super::unprocessable;
use crate::error::{ApiError, Reason};
use crate::object::{MAX_DEPTH, Object, depth};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Most operations of one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Most bytes that all `copy` operations of a patch may duplicate: a request's own limit.
const MAX_COPIED: usize = 3 << 20;

/// Applies a JSON patch; either all of its operations or none.
///
/// # Errors
/// 400 when the patch isn't a list of maps, 413 when it has too many operations, 422 when an operation isn't one, doesn't apply, or its test fails.
pub fn apply_json(object: &Object, patch: &[u8]) -> Result<Object, ApiError> {
    let operations: Vec<Map<String, Value>> = serde_json::from_slice(patch).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    if operations.len() > MAX_OPERATIONS {
        let message = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len());
        return Err(ApiError::new(Reason::RequestEntityTooLarge, message));
    }
    let mut document = Value::Object(object.0.clone());
    let mut copied = 0;
    for (n, operation) in operations.into_iter().enumerate() {
        apply(&mut document, operation, &mut copied).map_err(|why| unprocessable(format!("patch[{n}]"), why))?;
    }
    Object::from_value(document)
}

type Outcome = Result<(), String>;

fn apply(document: &mut Value, mut operation: Map<String, Value>, copied: &mut usize) -> Outcome {
    let value = operation.remove("value").unwrap_or_default();
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let op = text("op").unwrap_or_default();
    let path = || text("path").ok_or_else(|| format!("{op} operation failed to decode path: missing value"));
    let from = || text("from").ok_or_else(|| format!("{op} operation failed to decode from: missing value"));
    match op {
        "add" => add(document, op, path()?, value),
        "remove" => remove(document, op, path()?).map(drop),
        "replace" => replace(document, path()?, value),
        "test" => test(document, path()?, &value),
        "move" => {
            let moved = remove(document, op, from()?)?;
            add(document, op, path()?, moved)
        }
        "copy" => {
            let value = find(document, op, from()?)?.cloned().unwrap_or_default();
            *copied += size(&value);
            if *copied > MAX_COPIED {
                return Err("the copy operations of this patch exceed the size limit".to_owned());
            }
            add(document, op, path()?, value)
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

/// A step of a path without its escapes.
fn step(text: &str) -> Cow<'_, str> {
    if text.contains('~') { text.replace("~1", "/").replace("~0", "~").into() } else { text.into() }
}

/// The steps of a path to what holds its end, and the end; `None` for a path without steps.
fn steps(path: &str) -> Option<(impl Iterator<Item = Cow<'_, str>>, Cow<'_, str>)> {
    let (_, steps) = path.split_once('/')?;
    let (parents, last) = steps.rsplit_once('/').map_or((None, steps), |(parents, last)| (Some(parents), last));
    Some((parents.into_iter().flat_map(|parents| parents.split('/')).map(step), step(last)))
}

fn missing(op: &str, path: &str) -> String {
    format!("{op} operation does not apply: doc is missing path: \"{path}\": missing value")
}

/// Where in a list of so many items a step points; negative ones count from the end.
fn index(step: &str, length: usize) -> Result<usize, String> {
    let n: isize = step.parse().map_err(|_| format!("value was not a proper array index: '{step}'"))?;
    let at = if n < 0 { length.checked_sub(n.unsigned_abs()) } else { usize::try_from(n).ok() };
    at.filter(|at| *at < length).ok_or_else(|| format!("Unable to access invalid index: {n}: invalid index referenced"))
}

/// What a step leads to; `None` for a key that a map lacks.
fn child<'a>(holder: &'a Value, step: &str) -> Result<Option<&'a Value>, String> {
    match holder {
        Value::Object(map) => Ok(map.get(step)),
        Value::Array(items) => Ok(items.get(index(step, items.len())?)),
        _ => Err("not a map or a list".to_owned()),
    }
}

/// The map or list that holds the end of a path, and that end.
fn holder<'a, 'p>(document: &'a mut Value, op: &str, path: &'p str) -> Result<(&'a mut Value, Cow<'p, str>), String> {
    let (parents, last) = steps(path).ok_or_else(|| missing(op, path))?;
    let mut at = document;
    for parent in parents {
        at = match at {
            Value::Object(map) => map.get_mut(&*parent),
            Value::Array(items) => index(&parent, items.len()).ok().and_then(|i| items.get_mut(i)),
            _ => None,
        }
        .ok_or_else(|| missing(op, path))?;
    }
    if at.is_object() || at.is_array() { Ok((at, last)) } else { Err(missing(op, path)) }
}

fn find<'a>(document: &'a Value, op: &str, path: &str) -> Result<Option<&'a Value>, String> {
    let (parents, last) = steps(path).ok_or_else(|| missing(op, path))?;
    let mut at = document;
    for parent in parents {
        at = child(at, &parent).ok().flatten().ok_or_else(|| missing(op, path))?;
    }
    child(at, &last).map_err(|why| format!("error in {op} for path: '{path}': {why}"))
}

fn add(document: &mut Value, op: &str, path: &str, value: Value) -> Outcome {
    shallow(path, &value)?;
    let (holder, last) = holder(document, op, path)?;
    match holder {
        Value::Object(map) => _ = map.insert(last.into_owned(), value),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&last, items.len() + 1).map_err(|why| format!("error in {op} for path: '{path}': {why}"))?;
            items.insert(at, value);
        }
        _ => return Err(missing(op, path)),
    }
    Ok(())
}

fn remove(document: &mut Value, op: &str, path: &str) -> Result<Value, String> {
    let (holder, last) = holder(document, op, path)?;
    let fault = |why: String| format!("error in {op} for path: '{path}': {why}");
    match holder {
        Value::Object(map) => map.remove(&*last).ok_or_else(|| fault(format!("Unable to remove nonexistent key: {last}: missing value"))),
        Value::Array(items) => Ok(items.remove(index(&last, items.len()).map_err(fault)?)),
        _ => Err(missing(op, path)),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Outcome {
    shallow(path, &value)?;
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let (holder, last) = holder(document, "replace", path)?;
    let slot = match holder {
        Value::Object(map) => Some(map.entry(last).or_insert(Value::Null)),
        Value::Array(items) => index(&last, items.len()).ok().and_then(|at| items.get_mut(at)),
        _ => None,
    };
    *slot.ok_or_else(|| format!("replace operation does not apply: doc is missing key: {path}: missing value"))? = value;
    Ok(())
}

fn test(document: &Value, path: &str, value: &Value) -> Outcome {
    let found = if path.is_empty() { Some(document) } else { find(document, "test", path)? };
    if found.unwrap_or(&Value::Null) == value { Ok(()) } else { Err(format!("testing value {path} failed: test failed")) }
}

/// Refuses what would nest too deep.
fn shallow(path: &str, value: &Value) -> Outcome {
    if path.matches('/').count() + depth(value) > MAX_DEPTH { Err("the patch nests too deep".to_owned()) } else { Ok(()) }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>() + 2,
        Value::Array(items) => items.iter().map(|v| 1 + size(v)).sum::<usize>() + 2,
        Value::String(text) => text.len() + 2,
        _ => 8,
    }
}
