//! The rules for `metadata`, which hold for every kind.
use crate::error::Cause;
use crate::kind::Kind;
use crate::names;
use crate::object::Object;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Most bytes of all annotations of an object, keys included.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// The metadata `old` with the labels and annotations of `given`: no more than these may change who writes a status, or converts an object.
pub fn with_words_of(old: Option<&Value>, given: &Map<String, Value>) -> Map<String, Value> {
    let mut metadata = old.and_then(Value::as_object).cloned().unwrap_or_default();
    for key in ["labels", "annotations"] {
        match given.get(key).filter(|words| !words.is_null()) {
            Some(words) => _ = metadata.insert(key.to_owned(), words.clone()),
            None => _ = metadata.remove(key),
        }
    }
    metadata
}

/// What is wrong with an object's metadata.
pub fn validate(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    name(kind, object, &mut causes);
    namespace(kind, object, &mut causes);
    if object.generation() < 0 {
        causes.push(Cause::invalid("metadata.generation", &object.generation().into(), "must be greater than or equal to 0"));
    }
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
    if new.generation() < old.generation() {
        causes.push(Cause::invalid("metadata.generation", &new.generation().into(), "must not be decremented"));
    }
    if old.deletion_timestamp().is_some() {
        let added: BTreeSet<&str> = new.finalizers().filter(|f| !old.finalizers().any(|o| o == *f)).collect();
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
        let shape = names::masked_prefix(prefix);
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

/// What is wrong with a finalizer that has no domain: few have none.
pub fn unqualified_finalizer(path: impl Display, finalizer: &str) -> Option<Cause> {
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    (!finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer)).then(|| Cause::invalid(path, &finalizer.into(), why))
}

fn finalizers(object: &Object, causes: &mut Vec<Cause>) {
    for (i, finalizer) in object.finalizers().enumerate() {
        let value = finalizer.into();
        causes.extend(names::qualified_name(finalizer).into_iter().map(|e| Cause::invalid("metadata.finalizers", &value, e)));
        causes.extend(unqualified_finalizer(format_args!("metadata.finalizers[{i}]"), finalizer));
    }
    let has = |name: &str| object.finalizers().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        let list = Value::from(object.list_at(&["metadata", "finalizers"]).to_vec());
        causes.push(Cause::invalid("metadata.finalizers", &list, "finalizer orphan and foregroundDeletion cannot be both set"));
    }
}

const OWNERS: &str = "metadata.ownerReferences";

fn owners(object: &Object, causes: &mut Vec<Cause>) {
    let list = object.list_at(&["metadata", "ownerReferences"]);
    let text = |owner: &'_ Value, key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut controller: Option<String> = None;
    for (i, owner) in list.iter().enumerate() {
        owner_rules(i, owner, |key| text(owner, key), causes);
        if owner.get("controller") != Some(&Value::Bool(true)) {
            continue;
        }
        let name = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        match &controller {
            Some(first) => {
                let why = format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}");
                causes.push(Cause::invalid(OWNERS, &Value::from(list.to_vec()), why));
            }
            None => controller = Some(name),
        }
    }
}

fn owner_rules(i: usize, owner: &Value, text: impl Fn(&str) -> String, causes: &mut Vec<Cause>) {
    for field in ["apiVersion", "kind", "name", "uid"].into_iter().filter(|field| text(field).is_empty()) {
        causes.push(Cause::required(format_args!("{OWNERS}[{i}].{field}"), "must not be empty"));
    }
    let api_version = text("apiVersion");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    if !api_version.is_empty() && (version.is_empty() || group.contains('/')) {
        let why = "must be <group>/<version> or <version>";
        causes.push(Cause::invalid(format_args!("{OWNERS}[{i}].apiVersion"), &api_version.as_str().into(), why));
    }
    // events are many and short-lived
    if (group, version, text("kind").as_str()) == ("", "v1", "Event") {
        causes.push(Cause::invalid(format_args!("{OWNERS}[{i}]"), owner, "/v1, Kind=Event is disallowed from being an owner"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is wrong with metadata that has a name and a namespace beside `more`; a null takes a field away.
    fn causes(more: Value) -> Vec<String> {
        let kinds = crate::kinds::builtin();
        let mut metadata = json!({"name": "a", "namespace": "b"});
        for (key, value) in more.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        metadata.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        let object = Object::from_value(json!({ "metadata": metadata })).unwrap();
        validate(kinds.resource("", "configmaps").unwrap(), &object).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    /// Each metadata, and the start of the one thing that is wrong with it; nothing when that is empty.
    fn check(rows: Vec<(Value, &str)>) {
        for (metadata, expected) in rows {
            let found = causes(metadata.clone());
            let count = usize::from(!expected.is_empty());
            assert!(found.len() == count && found.iter().all(|f| f.starts_with(expected)), "{metadata}\nfound    {found:?}\nexpected {expected}");
        }
    }

    #[test]
    fn words() {
        check(vec![
            (json!({"labels": {"k": "v", "a.b/c": ""}, "annotations": {"K/x": "…"}, "finalizers": ["a.b/c", "orphan"]}), ""),
            (json!({"generateName": "a-"}), ""),
            (json!({"name": null}), "metadata.name: Required value: name or generateName is required"),
            (json!({"name": "A"}), "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"),
            (json!({"namespace": null}), "metadata.namespace: Required value"),
            (json!({"namespace": "b.c"}), "metadata.namespace: Invalid value: \"b.c\": must not contain dots"),
            (json!({"generateName": "-"}), "metadata.generateName: Invalid value: \"-\": a lowercase RFC 1123 subdomain"),
            (json!({"generation": -1}), "metadata.generation: Invalid value: -1: must be greater than or equal to 0"),
            (json!({"labels": {"-": "v"}}), "metadata.labels: Invalid value: \"-\": name part must consist"),
            (json!({"labels": {"k": "v "}}), "metadata.labels: Invalid value: \"v \": a valid label must be"),
            (json!({"annotations": {"a b": ""}}), "metadata.annotations: Invalid value: \"a b\": name part must consist"),
            (json!({"annotations": {"k": "v".repeat(262_144)}}), "metadata.annotations: Too long: may not be more than 262144 bytes"),
            (json!({"annotations": {"k": "v".repeat(262_143)}}), ""),
            (
                json!({"finalizers": ["mine"]}),
                "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
            ),
            (json!({"finalizers": ["a.b/-"]}), "metadata.finalizers: Invalid value: \"a.b/-\": name part must consist"),
            (
                json!({"finalizers": ["orphan", "foregroundDeletion"]}),
                "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
            ),
        ]);
    }

    #[test]
    fn owners_of_an_object() {
        let owner = |change: Value| {
            let mut owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"});
            owner.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            owner
        };
        let one = |change: Value| json!({"ownerReferences": [owner(json!({})), owner(change)]});
        let controls = |name: &str| owner(json!({"controller": true, "name": name}));
        check(vec![
            (one(json!({"apiVersion": "apps/v1", "controller": true})), ""),
            (one(json!({"apiVersion": ""})), "metadata.ownerReferences[1].apiVersion: Required value: must not be empty"),
            (one(json!({"kind": ""})), "metadata.ownerReferences[1].kind: Required value: must not be empty"),
            (one(json!({"name": ""})), "metadata.ownerReferences[1].name: Required value: must not be empty"),
            (one(json!({"uid": ""})), "metadata.ownerReferences[1].uid: Required value: must not be empty"),
            (one(json!({"apiVersion": "a/"})), "metadata.ownerReferences[1].apiVersion: Invalid value: \"a/\": must be <group>/<version> or <version>"),
            (one(json!({"apiVersion": "a/b/c"})), "metadata.ownerReferences[1].apiVersion: Invalid value: \"a/b/c\": must be <group>/<version> or <version>"),
            (
                one(json!({"kind": "Event"})),
                "metadata.ownerReferences[1]: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"p\",\"uid\":\"1\"}: /v1, Kind=Event is disallowed from being an owner",
            ),
            (json!({"ownerReferences": [controls("p")]}), ""),
        ]);
        let two = causes(json!({"ownerReferences": [controls("p"), controls("q")]}));
        let why = "Only one reference can have Controller set to true. Found \"true\" in references for Pod/p and Pod/q";
        assert!(two.len() == 1 && two[0].starts_with("metadata.ownerReferences: Invalid value: [") && two[0].ends_with(why), "{two:?}");
    }

    #[test]
    fn what_stays() {
        let of = |field: &str, value: &Value| {
            let mut object = Object::from_value(json!({"metadata": {"name": "a", "namespace": "b", "uid": "u", "generation": 3}})).unwrap();
            object.set(&["metadata", field], value.clone());
            object
        };
        let time = json!("2026-01-01T00:00:00Z");
        for (field, value) in [
            ("name", json!("c")),
            ("namespace", json!("c")),
            ("uid", json!("v")),
            ("creationTimestamp", time.clone()),
            ("deletionTimestamp", time),
            ("deletionGracePeriodSeconds", json!(5)),
        ] {
            let refused = validate_update(&of(field, &value), &of("labels", &json!({})));
            let refused: Vec<String> = refused.into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(refused, [format!("metadata.{field}: Invalid value: {value}: field is immutable")]);
            assert!(validate_update(&of(field, &value), &of(field, &value)).is_empty());
        }
        let less = validate_update(&of("generation", &json!(2)), &of("generation", &json!(3)));
        assert_eq!((&*less[0].field, &*less[0].message), ("metadata.generation", "Invalid value: 2: must not be decremented"));
    }

    #[test]
    fn deleted_objects_get_no_new_finalizers() {
        let of = |finalizers: Value| {
            Object::from_value(json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}})).unwrap()
        };
        assert!(validate_update(&of(json!([])), &of(json!(["a/b"]))).is_empty());
        let refused = validate_update(&of(json!(["e/f", "c/d"])), &of(json!(["a/b"])));
        let why = r#"no new finalizers can be added if the object is being deleted, found new finalizers []string{"c/d", "e/f"}"#;
        assert_eq!((&*refused[0].field, &*refused[0].message), ("metadata.finalizers", &*format!("Forbidden: {why}")));
    }
}
