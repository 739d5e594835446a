//! OpenAPI documents, made on demand from the definitions and the table of kinds. Making one costs milliseconds and some megabytes
//! for a moment: keep its bytes.
use super::definitions::{fingerprint, raw_definitions};
use super::paths::{self, Version, subresource_schema};
use crate::hash::content_hash;
use crate::kind::{Kind, Kinds};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
/// The kind whose documentation of the common fields custom resources have, too.
const OWN: &str = "io.k8s.api.core.v1.ConfigMap";
/// The API level that the definitions have.
const LEVEL: &str = "v1.37.0";

/// `api/v1` or `apis/apps/v1`.
fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn served(kinds: &Kinds) -> impl Iterator<Item = &Kind> {
    kinds.rows().iter().map(|k| &**k).filter(|k| k.is_served())
}

/// Changes when what a document says of a kind does, the definitions of Kubernetes aside.
fn fingerprint_of(kind: &Kind) -> String {
    let own = kind.schema.custom().map_or("", |custom| &custom.fingerprint);
    format!("{}/{}/{:?}/{:?}/{own}", kind.kind, kind.resource, kind.verbs, kind.subresources)
}

/// `/openapi/v3`: where the document of each group and version is.
pub fn openapi_v3_index(kinds: &Kinds) -> Value {
    let groups: BTreeSet<(&str, &str)> = served(kinds).map(|k| (&*k.group, &*k.version)).collect();
    let entry = |(group, version): (&str, &str)| {
        let (root, hash) = (root(group, version), openapi_v3_hash(kinds, group, version));
        (root.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{root}?hash={hash}")}))
    };
    json!({"paths": groups.into_iter().map(entry).collect::<Map<_, _>>()})
}

/// The hash in the address of a group's and version's document, which changes with it.
pub fn openapi_v3_hash(kinds: &Kinds, group: &str, version: &str) -> String {
    let names: Vec<String> = kinds.served_in(group, version).map(|kind| fingerprint_of(kind)).collect();
    content_hash(&json!([fingerprint(), names]))
}

/// `/openapi/v3/apis/<group>/<version>`: paths and schemas of one group and version; `None` when no kind is served there.
pub fn openapi_v3(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let rows: Vec<&Kind> = kinds.served_in(group, version).map(|kind| &**kind).collect();
    if rows.is_empty() {
        return None;
    }
    let schemas = schemas(&rows, Version::V3);
    let paths: Map<String, Value> = rows.iter().flat_map(|k| paths::of(k, Version::V3)).collect();
    Some(json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": LEVEL}, "paths": paths, "components": {"schemas": schemas}}))
}

/// `/openapi/v2`: everything in one Swagger document.
pub fn openapi_v2(kinds: &Kinds) -> Value {
    let rows: Vec<&Kind> = served(kinds).collect();
    let schemas = schemas(&rows, Version::V2);
    let paths: Map<String, Value> = rows.iter().flat_map(|k| paths::of(k, Version::V2)).collect();
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": LEVEL}, "paths": paths, "definitions": schemas})
}

/// The definitions that these kinds need, with their lists.
fn schemas(rows: &[&Kind], version: Version) -> Map<String, Value> {
    let mut all = raw_definitions();
    let own = all.get(OWN).cloned().unwrap_or_default();
    all.extend(rows.iter().filter_map(|k| Some((k.schema.name().to_owned(), custom_schema(k, &k.schema.custom()?.raw, &own, version)))));
    let mut wanted: Vec<String> = rows.iter().map(|k| k.schema.name().to_owned()).collect();
    wanted.extend(["DeleteOptions", "ListMeta", "Status"].map(|n| format!("{META}.{n}")));
    wanted.extend(rows.iter().flat_map(|k| k.subresources.iter().filter_map(|s| subresource_schema(*s))).map(str::to_owned));
    let mut out = Map::new();
    while let Some(name) = wanted.pop() {
        if let Some(mut schema) = all.remove(&name) {
            references(&schema, &mut wanted);
            rewrite(&mut schema, Some(&name), version);
            out.insert(name, schema);
        }
    }
    out.extend(rows.iter().filter(|k| k.verbs.contains(&"list")).map(|k| list_schema(k, version)));
    out
}

/// The schema of a custom resource, with what every object has, as in `own`. Clients of version 2 read a schema with properties as one that
/// allows no others, so that of a kind that keeps unknown fields has none, as Kubernetes' has not.
fn custom_schema(kind: &Kind, raw: &Value, own: &Value, version: Version) -> Value {
    let open = version == Version::V2 && keeps_unknown_fields(raw);
    let mut schema = if open { json!({"type": "object"}) } else { raw.clone() };
    if !open {
        if version == Version::V2 {
            simplify(&mut schema);
        }
        add_common(&mut schema, own);
    }
    schema["x-kubernetes-group-version-kind"] = json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
    schema
}

/// Adds to a custom resource's schema the fields that every kind has, as Kubernetes documents them of its own.
fn add_common(schema: &mut Value, own: &Value) {
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    for field in ["apiVersion", "kind", "metadata"] {
        schema["properties"][field] = own["properties"][field].clone();
    }
}

fn keeps_unknown_fields(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

/// Takes out of a custom resource's schema what version 2 can't say, or what its clients misread: choices, null, and the parts
/// of what keeps unknown fields (Kubernetes' `ToStructuralOpenAPIV2`).
fn simplify(schema: &mut Value) {
    let (nullable, open) = (schema["nullable"] == true, keeps_unknown_fields(schema));
    let Some(map) = schema.as_object_mut() else { return };
    map.retain(|field, _| !matches!(field.as_str(), "allOf" | "anyOf" | "oneOf" | "not" | "nullable"));
    if nullable || open {
        map.retain(|field, _| !matches!(field.as_str(), "items" | "properties"));
    }
    let kind = map.get("type").and_then(Value::as_str);
    if nullable || open && kind == Some("object") || kind == Some("array") && !map.contains_key("items") {
        map.remove("type");
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    for child in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(child) {
            simplify(child);
        }
    }
}

fn references(schema: &Value, out: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            out.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| references(v, out));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, out)),
        _ => {}
    }
}

/// Brings a schema into the form of a document. `name` is the definition's own.
fn rewrite(schema: &mut Value, name: Option<&str>, version: Version) {
    let Some(map) = schema.as_object_mut() else { return };
    if let Some(Value::String(target)) = map.remove("$ref") {
        version.refer(map, &target);
    }
    if map.remove("x-kubernetes-int-or-string").is_some() {
        map.extend(number_or_text(name.unwrap_or_default(), version));
    }
    if map.contains_key("x-kubernetes-group-version-kind") {
        // a client may leave metadata out: what is missing in it is said when the object is checked
        map.remove("required");
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for property in properties.values_mut() {
            rewrite(property, None, version);
        }
    }
    for child in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(child) {
            rewrite(child, None, version);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("oneOf") {
        choices.iter_mut().for_each(|c| rewrite(c, None, version));
    }
    if version == Version::V2 {
        map.remove("oneOf").into_iter().for_each(drop);
    }
}

fn number_or_text(name: &str, version: Version) -> Map<String, Value> {
    let quantity = name.ends_with(".Quantity");
    let form = match (version, quantity) {
        (Version::V3, true) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (Version::V3, false) => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        (Version::V2, true) => json!({"type": "string"}),
        (Version::V2, false) => json!({"type": "string", "format": "int-or-string"}),
    };
    match form {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn list_schema(kind: &Kind, version: Version) -> (String, Value) {
    let reference = |target: &str, description: &str| {
        let mut map = Map::from_iter([("description".to_owned(), description.into())]);
        version.refer(&mut map, target);
        Value::Object(map)
    };
    let schema = json!({
        "description": format!("A list of {}.", kind.resource), "type": "object", "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this list's form."},
            "kind": {"type": "string", "description": "Name of this list's form."},
            "metadata": reference(&format!("{META}.ListMeta"), "Revision and continuation of the list."),
            "items": {"type": "array", "description": "The objects.", "items": reference(kind.schema.name(), "")},
        },
        "x-kubernetes-group-version-kind": [{"group": kind.group, "version": kind.version, "kind": kind.list_kind()}],
    });
    (format!("{}List", kind.schema.name()), schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::builtin;

    /// Every `$ref` in a document, and what it must resolve in.
    fn dangling(document: &Value, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(Value::as_str)
                    && document.pointer(target.trim_start_matches('#')).is_none()
                {
                    out.push(target.to_owned());
                }
                map.values().for_each(|v| dangling(document, v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| dangling(document, v, out)),
            _ => {}
        }
    }

    #[test]
    fn version_3() {
        let kinds = builtin();
        let index = openapi_v3_index(&kinds);
        for (root, entry) in index["paths"].as_object().unwrap() {
            assert!(entry["serverRelativeURL"].as_str().unwrap().starts_with(&format!("/openapi/v3/{root}?hash=")));
            let (group, version) = root.trim_start_matches("apis/").trim_start_matches("api/").rsplit_once('/').unwrap_or(("", "v1"));
            let document = openapi_v3(&kinds, group, version).unwrap();
            let mut missing = Vec::new();
            dangling(&document, &document, &mut missing);
            assert_eq!(missing, Vec::<String>::new(), "{root}");
        }
        assert_eq!(openapi_v3(&kinds, "none", "v1"), None);
    }

    #[test]
    fn what_kubectl_reads() {
        let document = openapi_v3(&builtin(), "apps", "v1").unwrap();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"], json!({"group": "apps", "version": "v1", "kind": "Deployment"}));
        assert!(patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation"));
        let pod_spec = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!((&pod_spec["x-kubernetes-patch-merge-key"], &pod_spec["x-kubernetes-patch-strategy"]), (&json!("name"), &json!("merge")));
        let deployment = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(deployment["x-kubernetes-group-version-kind"], json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]));
        assert!(deployment["description"].as_str().is_some_and(|d| !d.is_empty()));
    }

    #[test]
    fn version_2() {
        let document = openapi_v2(&builtin());
        let mut missing = Vec::new();
        dangling(&document, &document, &mut missing);
        assert_eq!(missing, Vec::<String>::new());
        assert!(document["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"].is_object());
    }
    #[test]
    fn custom_resources_in_version_2() {
        let mut schema = json!({"type": "object", "properties": {
            "maybe": {"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "string"}}},
            "list": {"type": "array", "x-kubernetes-preserve-unknown-fields": true, "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "anyOf": [{"pattern": "a"}]}},
        }});
        simplify(&mut schema);
        let want = json!({"type": "object", "properties": {
            "maybe": {},
            "open": {"x-kubernetes-preserve-unknown-fields": true},
            "list": {"x-kubernetes-preserve-unknown-fields": true},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        assert_eq!(schema, want);
        assert!(keeps_unknown_fields(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})));
    }

    #[test]
    fn common_fields_of_custom_resources() {
        let (mut schema, own) = (json!({"type": "object"}), &raw_definitions()[OWN]);
        add_common(&mut schema, own);
        let described = |field: &str| schema["properties"][field]["description"].as_str().unwrap_or_default().to_owned();
        assert!(described("apiVersion").starts_with("APIVersion defines"), "{schema}");
        assert!(described("metadata").starts_with("Standard object's metadata"), "{schema}");
        assert_eq!(schema["properties"]["metadata"]["$ref"], format!("{META}.ObjectMeta"));
    }
}
