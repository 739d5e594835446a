//! What stands beneath `allOf`, `anyOf`, `oneOf` and `not` (`validateNestedValueValidation`): it constrains values, and says nothing of their form. Rules in
//! CEL aren't allowed there either: Kubernetes' own evaluator leaves them to its built-in kinds.
use super::read::{fields, flag, given, list, text};
use crate::custom::schema::Schema;
use crate::error::Cause;
use serde_json::{Map, Value, json};

/// What may not stand in a nested schema, and how Kubernetes says that it is there.
const REFUSED: [(&str, &str); 12] = [
    ("default", "must be undefined to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("title", "must be empty to be structural"),
    ("type", "must be empty to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

/// Whether a schema says with `anyOf` that a value is a number or a text, which is the one place where types may be nested.
pub(super) fn any_of_says_number_or_text(map: &Map<String, Value>) -> bool {
    list(map, "anyOf") == [json!({"type": "integer"}), json!({"type": "string"})]
}

/// Whether the first of `allOf` says it.
pub(super) fn all_of_says_number_or_text(map: &Map<String, Value>) -> bool {
    list(map, "allOf").first().and_then(Value::as_object).is_some_and(any_of_says_number_or_text)
}

/// What is wrong with what a schema says of values. `any_of` and `first_all_of` say that its `anyOf`, and that of the first of its `allOf`, may have types.
pub(super) fn values(map: &Map<String, Value>, any_of: bool, first_all_of: bool, path: &str, causes: &mut Vec<Cause>) {
    let junctors = [("allOf", first_all_of), ("anyOf", false), ("oneOf", false)];
    for (key, typed) in junctors.into_iter().filter(|(key, _)| !(any_of && *key == "anyOf")) {
        for (i, inner) in list(map, key).iter().enumerate() {
            nested(inner, typed && i == 0, &format!("{path}.{key}[{i}]"), causes);
        }
    }
    map.get("not").into_iter().for_each(|inner| nested(inner, false, &format!("{path}.not"), causes));
    if let Some(pattern) = given(map, "pattern")
        && let Err(e) = Schema::parse(&json!({ "pattern": pattern }))
    {
        causes.push(Cause::invalid(format!("{path}.pattern"), &pattern.into(), e.why));
    }
}

fn nested(schema: &Value, any_of: bool, path: &str, causes: &mut Vec<Cause>) {
    let Value::Object(map) = schema else { return };
    values(map, any_of, false, path, causes);
    map.get("items").into_iter().for_each(|inner| nested(inner, false, &format!("{path}.items"), causes));
    for (field, inner) in fields(map) {
        nested(inner, false, &format!("{path}.properties[{field}]"), causes);
    }
    if map.get("properties").is_some_and(|properties| properties.get("metadata").is_some()) {
        causes.push(Cause::forbidden(format!("{path}.properties[metadata]"), "must not be specified in a nested context"));
    }
    if map.get("additionalProperties").is_some_and(|values| values.is_object() || *values == true) {
        causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "must be undefined to be structural"));
    }
    for (key, why) in REFUSED.iter().filter(|(key, _)| is_there(map, key)) {
        causes.push(Cause::forbidden(format!("{path}.{key}"), why));
    }
}

fn is_there(map: &Map<String, Value>, key: &str) -> bool {
    match key {
        "default" => map.get(key).is_some_and(|value| !value.is_null()),
        "description" | "title" | "type" => !text(map, key).is_empty(),
        "x-kubernetes-list-type" | "x-kubernetes-map-type" => given(map, key).is_some(),
        "x-kubernetes-list-map-keys" | "x-kubernetes-validations" => !list(map, key).is_empty(),
        _ => flag(map, key),
    }
}
