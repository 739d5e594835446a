//! Which words a schema has, wherever it stands: those that custom resources don't know, and those that contradict each other
//! (`ValidateCustomResourceDefinitionOpenAPISchema`).
use super::read::{children, fields, flag, given, list, text};
use crate::error::Cause;
use serde_json::{Map, Value};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// What no schema of a custom resource may have.
const UNKNOWN: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
/// What the root of a schema may have where the status is a subresource, so that nothing is lost when the status is looked at alone; as Go names it.
const AT_ROOT: &str = "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";
/// What it may not have, of what a schema can have at all.
const NOT_AT_ROOT: [&str; 14] = [
    "default",
    "enum",
    "maxProperties",
    "minProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "additionalProperties",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];

/// Where a schema is, as far as its words depend on it.
#[derive(Clone, Default)]
struct Place {
    root: bool,
    /// Whether it is of an object's metadata.
    in_metadata: bool,
    /// Why it may have no default.
    no_default: Option<String>,
}

/// What is wrong with the root of a schema alone.
pub(super) fn root(schema: &Value, has_status: bool, path: &str) -> Vec<Cause> {
    let Value::Object(map) = schema else { return Vec::new() };
    let mut causes = Vec::new();
    let said = |key: &&str| map.get(*key).is_some_and(|value| !value.is_null() && *value != false);
    match text(map, "type") {
        "" | "object" if has_status && (NOT_AT_ROOT.iter().any(said) || flag(map, "nullable")) => {
            causes.push(Cause::wrong(path, format!("only [{AT_ROOT}] fields are allowed at the root of the schema if the status subresource is enabled")));
        }
        "" | "object" => {}
        kind if has_status => {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            causes.push(Cause::invalid(format!("{path}.type"), &kind.into(), why));
        }
        _ => {}
    }
    if flag(map, "nullable") {
        causes.push(Cause::forbidden(format!("{path}.nullable"), "nullable cannot be true at the root"));
    }
    causes
}

/// What of a schema, or of a schema in it, can't be brought into a structural form.
pub(super) fn unsupported(schema: &Value) -> Option<String> {
    let map = schema.as_object()?;
    let own = UNKNOWN.into_iter().chain(["$schema"]).find(|key| has(map, key) && map.get(*key) != Some(&Value::from("")));
    if let Some(key) = own {
        return Some(format!("OpenAPIV3Schema '{}' is not supported", if key == "$schema" { "schema" } else { key }));
    }
    if map.get("items").is_some_and(Value::is_array) {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        return Some("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned());
    }
    children(map).into_iter().find_map(|(_, inner)| unsupported(inner))
}

/// What is wrong with the words of a schema at `path`, and of those in it.
pub(super) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    one(schema, path, &Place { root: true, ..Place::default() }, &mut causes);
    causes
}

fn one(schema: &Value, path: &str, place: &Place, causes: &mut Vec<Cause>) {
    let Value::Object(map) = schema else { return };
    own(map, path, place, causes);
    for (step, inner) in children(map) {
        one(inner, &format!("{path}.{step}"), &beneath(map, &step, place), causes);
    }
    extensions(map, path, causes);
    keys(map, path, causes);
    items_of_keys(map, path, causes);
}

/// The place of a schema that stands in another one.
fn beneath(map: &Map<String, Value>, step: &str, place: &Place) -> Place {
    let mut inner = Place { root: false, ..place.clone() };
    let field = step.strip_prefix("properties[").and_then(|step| step.strip_suffix(']'));
    if step == "additionalProperties" && place.in_metadata {
        inner.no_default = Some("inside additionalProperties applying to object metadata".to_owned());
    } else if let Some(field @ ("metadata" | "kind" | "apiVersion")) = field
        && (place.root || flag(map, "x-kubernetes-embedded-resource"))
    {
        inner.in_metadata = true;
        if place.root {
            inner.no_default = Some(format!("in top-level {field}"));
        }
    }
    inner
}

/// Whether a schema has a word that isn't supported; some count where they are empty, too.
fn has(map: &Map<String, Value>, key: &str) -> bool {
    match map.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Object(inner)) => !inner.is_empty() || matches!(key, "additionalItems" | "dependencies"),
        Some(Value::String(text)) => !text.is_empty() || key == "$ref",
        Some(_) => true,
    }
}

fn own(map: &Map<String, Value>, path: &str, place: &Place, causes: &mut Vec<Cause>) {
    let kind = text(map, "type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::not_supported(format!("{path}.type"), &kind.into(), &TYPES));
    }
    if let Some(why) = &place.no_default
        && map.get("default").is_some_and(|value| !value.is_null())
    {
        causes.push(Cause::forbidden(format!("{path}.default"), format!("must not be set {why}")));
    }
    for key in UNKNOWN.iter().filter(|key| has(map, key)) {
        causes.push(Cause::forbidden(format!("{path}.{key}"), format!("{key} is not supported")));
    }
    if kind == "null" {
        causes.push(Cause::forbidden(format!("{path}.type"), "type cannot be set to null, use nullable as an alternative"));
    }
    if map.get("items").is_some_and(Value::is_array) {
        causes.push(Cause::forbidden(format!("{path}.items"), "items must be a schema object and not an array"));
    }
    if place.in_metadata && flag(map, "x-kubernetes-embedded-resource") {
        causes.push(Cause::forbidden(format!("{path}.x-kubernetes-embedded-resource"), "must not be used inside of resource meta"));
    }
    if flag(map, "uniqueItems") {
        causes.push(Cause::forbidden(format!("{path}.uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
    }
    let narrows = map.get("additionalProperties").is_some_and(|values| values.is_object() || *values == false);
    if narrows && fields(map).next().is_some() {
        causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "additionalProperties and properties are mutual exclusive"));
    }
}

/// That a type is the one that an extension is for.
fn needs_type(map: &Map<String, Value>, wanted: &str, extension: &str, path: &str, causes: &mut Vec<Cause>) {
    let why = format!("must be {wanted} if {extension} is specified");
    match text(map, "type") {
        "" => causes.push(Cause::required(format!("{path}.type"), why)),
        kind if kind != wanted => causes.push(Cause::invalid(format!("{path}.type"), &kind.into(), why)),
        _ => {}
    }
}

fn extensions(map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        causes.push(Cause::invalid(format!("{path}.x-kubernetes-preserve-unknown-fields"), &false.into(), "must be true or undefined"));
    }
    for (extension, wanted, supported) in
        [("x-kubernetes-map-type", "object", &["atomic", "granular"][..]), ("x-kubernetes-list-type", "array", &["atomic", "set", "map"])]
    {
        let Some(kind) = given(map, extension) else { continue };
        needs_type(map, wanted, extension, path, causes);
        if extension == "x-kubernetes-list-type" && kind == "set" && text(map, "type") == "array" {
            set_items(map, path, causes);
        }
        if !supported.contains(&kind) {
            causes.push(Cause::not_supported(format!("{path}.{extension}"), &kind.into(), supported));
        }
    }
}

/// The items of a set are compared as a whole.
fn set_items(map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let Some(Value::Object(items)) = map.get("items") else { return };
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let list_type = given(items, "x-kubernetes-list-type");
    let shown = list_type.map_or(Value::Null, Value::from);
    match text(items, "type") {
        "array" if list_type.is_some_and(|kind| kind != "atomic") => {
            causes.push(Cause::invalid(format!("{path}.items.x-kubernetes-list-type"), &shown, why));
        }
        "object" if given(items, "x-kubernetes-map-type") != Some("atomic") => {
            causes.push(Cause::invalid(format!("{path}.items.x-kubernetes-map-type"), &shown, why));
        }
        _ => {}
    }
}

/// The keys of a list are there where its items are told apart by them, and there alone; they are fields of its items with a value in each.
fn keys(map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let (at, keys) = (format!("{path}.x-kubernetes-list-map-keys"), list(map, "x-kubernetes-list-map-keys"));
    let list_type = given(map, "x-kubernetes-list-type");
    if !keys.is_empty() && list_type != Some("map") {
        let (at, why) = (format!("{path}.x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
        causes.push(list_type.map_or_else(|| Cause::required(&at, why), |other| Cause::invalid(&at, &other.into(), why)));
    }
    if list_type != Some("map") {
        return;
    }
    if keys.is_empty() {
        causes.push(Cause::required(&at, "must not be empty if x-kubernetes-list-type is map"));
    }
    let items = match map.get("items") {
        None | Some(Value::Null) => return causes.push(Cause::required(format!("{path}.items"), "must have a schema if x-kubernetes-list-type is map")),
        Some(Value::Object(items)) => items,
        Some(other) => return causes.push(Cause::invalid(format!("{path}.items"), other, "must only have a single schema if x-kubernetes-list-type is map")),
    };
    let kind = text(items, "type");
    if kind != "object" {
        return causes.push(Cause::invalid(format!("{path}.items.type"), &kind.into(), "must be object if parent array's x-kubernetes-list-type is map"));
    }
    let all = Value::Array(keys.to_vec());
    for (i, key) in keys.iter().enumerate() {
        match fields(items).find(|(field, _)| key == field.as_str()) {
            None => causes.push(Cause::invalid(&at, &all, "entries must all be names of item properties")),
            Some((field, inner)) if matches!(inner["type"].as_str(), Some("array" | "object")) => {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                causes.push(Cause::invalid(format!("{path}.items.properties[{field}].type"), &kind.into(), why));
            }
            Some(_) => {}
        }
        if keys.get(..i).is_some_and(|before| before.contains(key)) {
            causes.push(Cause::invalid(&at, &all, "must not contain duplicate entries"));
        }
    }
}

/// The items of a set or a map of items are never null, and keys are always there.
fn items_of_keys(map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let (Some(Value::Object(items)), Some(list_type @ ("set" | "map"))) = (map.get("items"), given(map, "x-kubernetes-list-type")) else { return };
    if flag(items, "nullable") {
        causes.push(Cause::forbidden(format!("{path}.items.nullable"), format!("cannot be nullable when x-kubernetes-list-type is {list_type}")));
    }
    let keys = list(map, "x-kubernetes-list-map-keys").iter().filter(|_| list_type == "map");
    for (key, field) in keys.filter_map(|key| key.as_str().and_then(|key| Some((key, items.get("properties")?.get(key)?)))) {
        let at = format!("{path}.items.properties[{key}]");
        if !list(items, "required").contains(&key.into()) && field.get("default").is_none_or(Value::is_null) {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            causes.push(Cause::required(format!("{at}.default"), why));
        }
        if field["nullable"] == true {
            causes.push(Cause::forbidden(format!("{at}.nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"));
        }
    }
}
