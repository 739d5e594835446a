//! Patches applied to objects: both come from the input.
use crate::input::two;
use crate::store;
use model::patch::{apply_json, apply_merge, apply_strategic, diff};
use model::{Key, Object};
use serde_json::Value;

const SCHEMAS: [&str; 3] = ["io.k8s.api.core.v1.Pod", "io.k8s.api.apps.v1.Deployment", "io.k8s.api.core.v1.Service"];

/// What a patch makes can be stored and read back, or is refused when it is stored.
fn result(object: &Object) {
    store::comes_back(Key::new("", "pods", "a", "x"), object);
}

fn object_and_patch(bytes: &[u8]) -> Option<(Object, &[u8])> {
    let (object, patch) = two(bytes);
    Some((Object::from_json(object).ok()?, patch))
}

/// JSON patch: the result is bounded, whatever is copied into what.
pub fn json(bytes: &[u8]) {
    let Some((object, patch)) = object_and_patch(bytes) else { return };
    if let Ok(made) = apply_json(&object, patch) {
        assert!(serde_json::to_vec(&made).is_ok_and(|made| made.len() <= 64 << 20));
        result(&made);
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

/// Merge patch: applied twice it does nothing more; the difference of two objects leads from one to the other.
pub fn merge(bytes: &[u8]) {
    let Some((object, patch)) = object_and_patch(bytes) else { return };
    if let Ok(made) = apply_merge(&object, patch) {
        assert_eq!(apply_merge(&made, patch).as_ref(), Ok(&made), "merging twice is merging once");
        result(&made);
        if !made.0.values().any(has_null) {
            let difference = serde_json::to_vec(&diff(&object.0, &made.0)).unwrap_or_default();
            assert_eq!(apply_merge(&object, &difference), Ok(made), "the difference leads from one to the other");
        }
    }
}

/// Strategic merge patch.
pub fn strategic(bytes: &[u8]) {
    let Some((object, patch)) = object_and_patch(bytes) else { return };
    for schema in SCHEMAS {
        if let Ok(made) = apply_strategic(&object, patch, schema) {
            result(&made);
        }
    }
}
