//! The rules for `metadata`, which hold for every kind.
use crate::error::Cause;
use crate::kind::Kind;
use crate::names;
use crate::object::Object;
use serde_json::{Map, Value};
use std::fmt::Display;

/// Most bytes of all annotations of an object, keys included.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What is wrong with an object's metadata.
pub fn validate(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    name(kind, object, &mut causes);
    namespace(kind, object, &mut causes);
    causes.extend(labels("metadata.labels", object.labels()));
    causes.extend(annotations(&"metadata.annotations", object.annotations()));
    finalizers(object, &mut causes);
    owners(object, &mut causes);
    causes
}

/// What is wrong with a change of metadata.
pub fn validate_update(new: &Object, old: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (after, before) = (new.at(&["metadata", field]), old.at(&["metadata", field]));
        if let (Some(after), true) = (after, after != before) {
            causes.push(Cause::invalid(format!("metadata.{field}"), after, "field is immutable"));
        }
    }
    if old.deletion_timestamp().is_some() {
        let added: Vec<&str> = new.finalizers().filter(|f| !old.finalizers().any(|o| o == *f)).collect();
        if !added.is_empty() {
            let list = added.iter().map(|f| format!("\"{f}\"")).collect::<Vec<_>>().join(", ");
            let why = format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}");
            causes.push(Cause::forbidden("metadata.finalizers", why));
        }
    }
    causes
}

fn name(kind: &Kind, object: &Object, causes: &mut Vec<Cause>) {
    let (name, prefix) = (object.name(), object.str_at(&["metadata", "generateName"]));
    if !prefix.is_empty() {
        // what follows the prefix makes a trailing dash valid
        let shape = if prefix.ends_with('-') { format!("{prefix}a") } else { prefix.to_owned() };
        causes.extend(kind.strategy.name_errors(&shape).into_iter().map(|e| Cause::invalid("metadata.generateName", &prefix.into(), e)));
    }
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        causes.extend(kind.strategy.name_errors(name).into_iter().map(|e| Cause::invalid("metadata.name", &name.into(), e)));
    }
}

fn namespace(kind: &Kind, object: &Object, causes: &mut Vec<Cause>) {
    let namespace = object.namespace();
    match (kind.namespaced(), namespace.is_empty()) {
        (true, true) => causes.push(Cause::required("metadata.namespace", "")),
        (true, false) => causes.extend(names::dns_label(namespace).into_iter().map(|e| Cause::invalid("metadata.namespace", &namespace.into(), e))),
        (false, false) => causes.push(Cause::forbidden("metadata.namespace", "not allowed on this type")),
        (false, true) => {}
    }
}

/// What is wrong with a map of labels at `path`.
pub fn labels(path: impl Display, labels: Option<&Map<String, Value>>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.into_iter().flatten() {
        causes.extend(names::qualified_name(key).into_iter().map(|e| Cause::invalid(&path, &key.as_str().into(), e)));
        causes.extend(names::label_value(value.as_str().unwrap_or_default()).into_iter().map(|e| Cause::invalid(&path, value, e)));
    }
    causes
}

/// What is wrong with a map of annotations at `path`.
pub fn annotations(path: &dyn Display, annotations: Option<&Map<String, Value>>) -> Vec<Cause> {
    let (mut causes, mut size) = (Vec::new(), 0);
    for (key, value) in annotations.into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        causes.extend(names::qualified_name(&key.to_lowercase()).into_iter().map(|e| Cause::invalid(path, &key.as_str().into(), e)));
    }
    if size > ANNOTATIONS_MAX {
        causes.push(Cause::too_long(path, ANNOTATIONS_MAX));
    }
    causes
}

fn finalizers(object: &Object, causes: &mut Vec<Cause>) {
    for (i, finalizer) in object.finalizers().enumerate() {
        let value = finalizer.into();
        causes.extend(names::qualified_name(finalizer).into_iter().map(|e| Cause::invalid("metadata.finalizers", &value, e)));
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{i}]"), &value, why));
        }
    }
    let has = |name: &str| object.finalizers().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        let list = Value::from(object.list_at(&["metadata", "finalizers"]).to_vec());
        causes.push(Cause::invalid("metadata.finalizers", &list, "finalizers orphan and foregroundDeletion cannot both be set"));
    }
}

fn owners(object: &Object, causes: &mut Vec<Cause>) {
    let owners = object.owner_references();
    for owner in &owners {
        let version = owner.api_version.split_once('/').map_or(owner.api_version.as_str(), |(_, v)| v);
        if version.is_empty() {
            causes.push(Cause::invalid("metadata.ownerReferences.apiVersion", &owner.api_version.as_str().into(), "version must not be empty"));
        }
        for (field, text) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if text.is_empty() {
                causes.push(Cause::invalid(format!("metadata.ownerReferences.{field}"), &"".into(), "must not be empty"));
            }
        }
        if owner.kind == "Event" && matches!(owner.api_version.as_str(), "v1" | "events.k8s.io/v1") {
            causes.push(Cause::invalid("metadata.ownerReferences", &owner.kind.as_str().into(), "is disallowed from being an owner"));
        }
    }
    let mut controllers = owners.iter().filter(|o| o.controller == Some(true));
    if let (Some(one), Some(other)) = (controllers.next(), controllers.next()) {
        let why = format!("Only one reference can have Controller set to true. Found \"true\" in references for {} and {}", one.name, other.name);
        causes.push(Cause::invalid("metadata.ownerReferences", &Value::from(object.list_at(&["metadata", "ownerReferences"]).to_vec()), why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(metadata: Value) -> Vec<String> {
        let kinds = crate::kinds::builtin();
        let object = Object::from_value(json!({ "metadata": metadata })).unwrap();
        validate(kinds.resource("", "configmaps").unwrap(), &object).into_iter().map(|c| c.field).collect()
    }

    #[test]
    fn refused() {
        assert_eq!(
            fields(json!({"name": "a", "namespace": "b", "labels": {"k": "v"}, "annotations": {"K/x": "…"}, "finalizers": ["a.b/c", "orphan"]})),
            Vec::<String>::new()
        );
        for (metadata, field) in [
            (json!({"namespace": "b"}), "metadata.name"),
            (json!({"name": "A", "namespace": "b"}), "metadata.name"),
            (json!({"name": "a"}), "metadata.namespace"),
            (json!({"name": "a", "namespace": "b.c"}), "metadata.namespace"),
            (json!({"name": "a", "namespace": "b", "generateName": "-"}), "metadata.generateName"),
            (json!({"name": "a", "namespace": "b", "labels": {"-": "v"}}), "metadata.labels"),
            (json!({"name": "a", "namespace": "b", "labels": {"k": "v "}}), "metadata.labels"),
            (json!({"name": "a", "namespace": "b", "annotations": {"k": "v".repeat(262_144)}}), "metadata.annotations"),
            (json!({"name": "a", "namespace": "b", "finalizers": ["mine"]}), "metadata.finalizers[0]"),
            (json!({"name": "a", "namespace": "b", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}), "metadata.ownerReferences.uid"),
        ] {
            assert_eq!(fields(metadata.clone()), [field], "{metadata}");
        }
    }

    #[test]
    fn deleted_objects_get_no_new_finalizers() {
        let of = |finalizers: Value| {
            Object::from_value(json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}})).unwrap()
        };
        assert!(validate_update(&of(json!([])), &of(json!(["a/b"]))).is_empty());
        assert_eq!(validate_update(&of(json!(["c/d"])), &of(json!(["a/b"])))[0].field, "metadata.finalizers");
    }
}
