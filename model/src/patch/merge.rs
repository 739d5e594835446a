//! JSON merge patch: maps merge, `null` removes, everything else replaces.
use crate::error::ApiError;
use crate::object::Object;
use serde_json::{Map, Value};

/// Applies a merge patch.
///
/// # Errors
/// 400 when the patch is no JSON object.
pub fn apply_merge(object: &Object, patch: &[u8]) -> Result<Object, ApiError> {
    let patch: Value = serde_json::from_slice(patch).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    let Value::Object(patch) = patch else { return Err(ApiError::bad_request("error decoding patch: a merge patch must be a JSON object")) };
    let mut map = object.0.clone();
    merge(&mut map, patch);
    Ok(Object(map))
}

fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(change) => {
                let slot = target.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(inner) = slot {
                    merge(inner, change);
                }
            }
            other => {
                target.insert(key, other);
            }
        }
    }
}

/// The merge patch that makes `new` of `old`. It can't express a `null` inside of `new`.
pub fn diff(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let removed = old.keys().filter(|k| !new.contains_key(*k)).map(|k| (k.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| match (old.get(key), value) {
        (Some(before), after) if before == after => None,
        (Some(Value::Object(before)), Value::Object(after)) => Some((key.clone(), Value::Object(diff(before, after)))),
        _ => Some((key.clone(), value.clone())),
    });
    removed.chain(changed).collect()
}
