//! The metadata that the system owns: names it makes, times, UIDs, generations, and what an update may not change.
use model::{ApiError, Kind, Object};
use serde_json::{Value, json};

/// Kubernetes' alphabet for generated names: no vowels, nothing that looks alike.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// A generated name fits a label.
const LONGEST_BASE: usize = 63 - SUFFIX;

/// Five random characters from one random number.
pub fn suffix(mut entropy: u64) -> String {
    let mut out = String::with_capacity(SUFFIX);
    for _ in 0..SUFFIX {
        let at = usize::try_from(entropy % 27).unwrap_or_default();
        out.extend(ALPHABET.get(at).map(|b| char::from(*b)));
        entropy /= 27;
    }
    out
}

/// Gives a nameless object with a `generateName` its name. Returns whether it did.
pub fn generate_name(object: &mut Object, entropy: u64) -> bool {
    let base = object.str_at(&["metadata", "generateName"]);
    if base.is_empty() || !object.name().is_empty() {
        return false;
    }
    let end = base.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= LONGEST_BASE).last().unwrap_or_default();
    let name = format!("{}{}", base.get(..end).unwrap_or_default(), suffix(entropy));
    object.set(&["metadata", "name"], name);
    true
}

/// Stamps a new object: what only the system says replaces what the client said.
pub fn stamp(kind: &Kind, object: &mut Object, uid: &str, now: &str) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "resourceVersion", "generation"] {
        object.remove(&["metadata", field]);
    }
    object.set(&["metadata", "uid"], uid);
    object.set(&["metadata", "creationTimestamp"], now);
    if kind.generation {
        object.set(&["metadata", "generation"], 1);
    }
}

/// Puts back what only the system writes into what somebody else made of the object `before`.
pub fn keep(new: &mut Object, before: &Object) {
    const SYSTEM: [&str; 8] =
        ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion", "managedFields", "selfLink"];
    for field in SYSTEM {
        match before.at(&["metadata", field]) {
            Some(value) => new.set(&["metadata", field], value.clone()),
            None => _ = new.remove(&["metadata", field]),
        }
    }
}

/// Puts the old values of what only the system writes into an update.
pub fn carry_over(new: &mut Object, old: &Object) {
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName"] {
        match old.at(&["metadata", field]) {
            Some(value) => new.set(&["metadata", field], value.clone()),
            None => _ = new.remove(&["metadata", field]),
        }
    }
    new.remove(&["metadata", "managedFields"]);
    new.remove(&["metadata", "selfLink"]);
}

fn is_bookkeeping(field: &str) -> bool {
    matches!(field, "metadata" | "status" | "apiVersion" | "kind")
}

/// Counts a change outside of metadata and status.
pub fn count_generation(kind: &Kind, new: &mut Object, old: &Object) {
    let differs = |a: &Object, b: &Object| a.0.iter().any(|(field, value)| !is_bookkeeping(field) && b.0.get(field) != Some(value));
    if kind.generation && (differs(new, old) || differs(old, new)) {
        new.set(&["metadata", "generation"], old.generation() + 1);
    }
}

/// Whether a write would change nothing. `resourceVersion` doesn't count.
pub fn unchanged(new: &Object, old: &Object) -> bool {
    let fields = |o: &Object| o.0.iter().filter(|(k, _)| *k != "metadata").count();
    let same = |(field, value): (&String, &Value)| match (field.as_str(), value, old.0.get(field)) {
        ("metadata", Value::Object(a), Some(Value::Object(b))) => {
            let count = |m: &serde_json::Map<String, Value>| m.keys().filter(|k| *k != "resourceVersion").count();
            count(a) == count(b) && a.iter().all(|(k, v)| k == "resourceVersion" || b.get(k) == Some(v))
        }
        (_, value, other) => other == Some(value),
    };
    fields(new) == fields(old) && new.0.iter().all(same)
}

/// Fills `apiVersion` and `kind`, and refuses an object of another kind.
///
/// # Errors
/// 400 in Kubernetes' words.
pub fn check_kind(kind: &Kind, object: &mut Object) -> Result<(), ApiError> {
    let expected = kind.api_version();
    if object.kind().is_empty() {
        object.set(&["kind"], &*kind.kind);
    }
    if object.api_version().is_empty() {
        object.set(&["apiVersion"], expected.clone());
    }
    if object.kind() != &*kind.kind {
        let (found, version) = (object.kind(), object.api_version());
        return Err(ApiError::bad_request(format!(
            "{found} in version \"{version}\" cannot be handled as a {}: converting to {expected}.{} is not possible",
            kind.kind, kind.kind
        )));
    }
    if object.api_version() != expected {
        let found = object.api_version();
        return Err(ApiError::bad_request(format!("the API version in the data ({found}) does not match the expected API version ({expected})")));
    }
    match object.at(&["metadata"]) {
        Some(Value::Object(_)) => {}
        None | Some(Value::Null) => object.set(&["metadata"], json!({})),
        Some(_) => {
            return Err(ApiError::bad_request(format!(
                "{} in version \"{expected}\" cannot be handled as a {}: metadata is not an object",
                kind.kind, kind.kind
            )));
        }
    }
    Ok(())
}

/// Puts the request's namespace into the object, and refuses another one.
///
/// # Errors
/// 400 in Kubernetes' words.
pub fn check_namespace(kind: &Kind, object: &mut Object, namespace: &str) -> Result<(), ApiError> {
    if !kind.namespaced() {
        return match object.namespace() {
            "" => {
                object.remove(&["metadata", "namespace"]);
                Ok(())
            }
            _ => Err(ApiError::bad_request("namespace may not be set on a cluster-scoped object")),
        };
    }
    match object.namespace() {
        "" if namespace.is_empty() => Err(ApiError::bad_request("an empty namespace may not be set during creation")),
        "" => {
            object.set(&["metadata", "namespace"], namespace);
            Ok(())
        }
        same if same == namespace => Ok(()),
        _ => Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request")),
    }
}

/// Refuses an object whose name isn't the request's; a nameless one gets it.
///
/// # Errors
/// 400 in Kubernetes' words.
pub fn check_name(object: &mut Object, name: &str) -> Result<(), ApiError> {
    match object.name() {
        "" => object.set(&["metadata", "name"], name),
        same if same == name => {}
        other => {
            return Err(ApiError::bad_request(format!("the name of the object ({other}) does not match the name on the URL ({name})")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(v: Value) -> Object {
        Object::from_value(v).unwrap()
    }

    #[test]
    fn names_are_generated() {
        let mut o = object(json!({"metadata": {"generateName": "web-"}}));
        assert!(generate_name(&mut o, 12_345));
        assert_eq!((o.name().len(), o.name().starts_with("web-")), (9, true));
        assert!(!generate_name(&mut o, 1));
        let mut long = object(json!({"metadata": {"generateName": "x".repeat(80)}}));
        generate_name(&mut long, 99);
        assert_eq!(long.name().len(), 63);
        assert_ne!(suffix(1), suffix(2));
    }

    #[test]
    fn no_ops() {
        let old = json!({"metadata": {"name": "a", "resourceVersion": "5"}, "data": {"x": "1"}});
        let cases = [
            (json!({"metadata": {"name": "a", "resourceVersion": "5"}, "data": {"x": "1"}}), true),
            (json!({"metadata": {"name": "a"}, "data": {"x": "1"}}), true),
            (json!({"metadata": {"name": "a", "labels": {}}, "data": {"x": "1"}}), false),
            (json!({"metadata": {"name": "a"}, "data": {"x": "2"}}), false),
            (json!({"metadata": {"name": "a"}}), false),
            (json!({"metadata": {"name": "a"}, "data": {"x": "1"}, "more": 1}), false),
        ];
        for (new, want) in cases {
            assert_eq!(unchanged(&object(new.clone()), &object(old.clone())), want, "{new}");
        }
    }
}
