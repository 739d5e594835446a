//! The parts of a schema outside of the logical junctors (`validateStructuralInvariants`).
use super::nested;
use super::read::{fields, flag, text};
use crate::error::Cause;
use serde_json::{Map, Value};

/// Where in a schema a part is, as far as the rules care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

/// What is wrong with the parts of a schema at `path`.
pub(super) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    part(schema, Level::Root, path, &mut causes);
    causes
}

fn part(schema: &Value, level: Level, path: &str, causes: &mut Vec<Cause>) {
    let Value::Object(map) = schema else { return };
    match map.get("items") {
        Some(inner @ Value::Object(_)) => part(inner, Level::Item, &format!("{path}.items"), causes),
        _ if text(map, "type") == "array" => causes.push(Cause::required(format!("{path}.items"), "must be specified")),
        _ => {}
    }
    for (field, inner) in fields(map) {
        part(inner, Level::Field, &format!("{path}.properties[{field}]"), causes);
    }
    if let Some(values) = map.get("additionalProperties").filter(|values| !values.is_null()) {
        let at = format!("{path}.additionalProperties");
        if level == Level::Root {
            causes.push(Cause::forbidden(&at, "must not be used at the root"));
        }
        part(values, Level::Field, &at, causes);
    }
    kind(map, level, path, causes);
    extensions(map, path, causes);
    nested::values(map, nested::any_of_says_number_or_text(map), nested::all_of_says_number_or_text(map), path, causes);
    common(map, level, path, causes);
}

fn kind(map: &Map<String, Value>, level: Level, path: &str, causes: &mut Vec<Cause>) {
    let (at, kind) = (format!("{path}.type"), text(map, "type"));
    let embedded = "must be object if x-kubernetes-embedded-resource is true";
    let is_embedded = flag(map, "x-kubernetes-embedded-resource");
    let may_be_empty = flag(map, "x-kubernetes-int-or-string") || flag(map, "x-kubernetes-preserve-unknown-fields");
    match (kind, level) {
        ("", _) if is_embedded => causes.push(Cause::required(&at, embedded)),
        (kind, _) if is_embedded && kind != "object" => causes.push(Cause::invalid(&at, &kind.into(), embedded)),
        ("", _) if may_be_empty => {}
        ("", Level::Root) => causes.push(Cause::required(&at, "must not be empty at the root")),
        ("", Level::Item) => causes.push(Cause::required(&at, "must not be empty for specified array items")),
        ("", Level::Field) => causes.push(Cause::required(&at, "must not be empty for specified object fields")),
        _ => {}
    }
    if level == Level::Root && !matches!(kind, "" | "object") {
        causes.push(Cause::invalid(at, &kind.into(), "must be object at the root"));
    }
}

fn extensions(map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let is_embedded = flag(map, "x-kubernetes-embedded-resource");
    for key in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if flag(map, "x-kubernetes-int-or-string") && flag(map, key) {
            causes.push(Cause::invalid(format!("{path}.{key}"), &true.into(), "must be false if x-kubernetes-int-or-string is true"));
        }
    }
    if is_embedded && map.get("additionalProperties").is_some_and(|values| !values.is_null()) {
        causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set"));
    }
    if is_embedded && !flag(map, "x-kubernetes-preserve-unknown-fields") && fields(map).next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        causes.push(Cause::required(format!("{path}.properties"), why));
    }
}

/// The fields that every object has are what they are for every object.
fn common(map: &Map<String, Value>, level: Level, path: &str, causes: &mut Vec<Cause>) {
    if level != Level::Root && !flag(map, "x-kubernetes-embedded-resource") {
        return;
    }
    for (field, wanted) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
        let Some(Value::Object(inner)) = map.get("properties").and_then(|properties| properties.get(field)) else { continue };
        let at = format!("{path}.properties[{field}]");
        if text(inner, "type") != wanted {
            causes.push(Cause::invalid(format!("{at}.type"), &text(inner, "type").into(), format!("must be {wanted}")));
        }
        if field == "metadata" && level == Level::Root && says_more(inner) {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            causes.push(Cause::forbidden(at, why));
        }
    }
}

/// Whether the schema of an object's metadata constrains more than its names.
fn says_more(metadata: &Map<String, Value>) -> bool {
    metadata.iter().any(|(key, value)| match (key.as_str(), value) {
        ("type" | "default", _) | (_, Value::Null) => false,
        ("properties", Value::Object(known)) => known.keys().any(|field| !matches!(field.as_str(), "name" | "generateName")),
        ("additionalProperties", _) => true,
        (_, value) => *value != false && *value != "",
    })
}
