//! Features of devices that aren't on: what they add to objects is dropped, unless it was there before.
use crate::object::Object;
use serde_json::Value;

const FIELDS: [&str; 5] = ["partitionTypeAttribute", "skipNodeOperations", "nodeAllocatableResources", "derivedAttributes", "compatibilityGroups"];
/// What is below these is the drivers' own.
const FOREIGN: [&str; 2] = ["parameters", "data"];

/// Drops from a part of an object what belongs to features that aren't on.
pub(super) fn drop(new: &mut Object, old: Option<&Object>, part: &str) {
    let before = old.and_then(|old| old.0.get(part));
    let unused: Vec<&str> = FIELDS.into_iter().filter(|field| !before.is_some_and(|before| has(before, field))).collect();
    if let Some(part) = new.0.get_mut(part) {
        without(part, &unused);
    }
}

fn has(value: &Value, field: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, inner)| key == field || (!FOREIGN.contains(&key.as_str()) && has(inner, field))),
        Value::Array(items) => items.iter().any(|item| has(item, field)),
        _ => false,
    }
}

fn without(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !fields.contains(&key.as_str()));
            map.iter_mut().filter(|(key, _)| !FOREIGN.contains(&key.as_str())).for_each(|(_, inner)| without(inner, fields));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, fields)),
        _ => {}
    }
}
