//! Takes out of a custom object what its schema doesn't know, and puts defaults in.
use super::schema::{Schema, Values};
use serde_json::{Map, Value};

/// Most fields that are named.
const NAMED_MAX: usize = 100;

/// Takes out the fields that a schema doesn't know, and names them: `unknown field "spec.x"`.
pub fn prune(object: &mut Map<String, Value>, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    fields(object, schema, true, "", &mut unknown);
    unknown
}

fn fields(map: &mut Map<String, Value>, schema: &Schema, is_object: bool, path: &str, unknown: &mut Vec<String>) {
    let of_every_object = |field: &str| is_object && matches!(field, "apiVersion" | "kind" | "metadata");
    map.retain(|field, _| {
        let known = schema.preserves || schema.values.is_some() || schema.properties.contains_key(field.as_str()) || of_every_object(field);
        if !known && unknown.len() < NAMED_MAX {
            unknown.push(format!("unknown field \"{}\"", below(path, field)));
        }
        known
    });
    for (field, value) in map.iter_mut().filter(|(field, _)| !(is_object && *field == "metadata")) {
        match (schema.properties.get(field.as_str()), &schema.values) {
            (Some(inner), _) => inside(value, inner, &below(path, field), unknown),
            (None, Some(Values::Schema(inner))) => inside(value, inner, &below(path, field), unknown),
            _ => {}
        }
    }
}

fn inside(value: &mut Value, schema: &Schema, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => fields(map, schema, schema.embedded, path, unknown),
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                schema.items.iter().for_each(|inner| inside(item, inner, &format!("{path}[{i}]"), unknown));
            }
        }
        _ => {}
    }
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Puts defaults where there is nothing, or a `null` that is no value, and takes the other such `null`s out.
pub fn default(object: &mut Map<String, Value>, schema: &Schema) {
    for (field, inner) in &schema.properties {
        let absent = object.get(&**field).is_none_or(|value| value.is_null() && !inner.nullable);
        match &inner.default {
            Some(default) if absent => _ = object.insert(field.to_string(), default.clone()),
            _ if absent => _ = object.remove(&**field),
            _ => {}
        }
    }
    for (field, value) in object.iter_mut() {
        let inner = schema.properties.get(field.as_str()).or(match &schema.values {
            Some(Values::Schema(inner)) => Some(&**inner),
            _ => None,
        });
        inner.into_iter().for_each(|inner| default_inside(value, inner));
    }
}

fn default_inside(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => default(map, schema),
        Value::Array(items) => items.iter_mut().for_each(|item| schema.items.iter().for_each(|inner| default_inside(item, inner))),
        value @ Value::Null if !schema.nullable => schema.default.iter().for_each(|default| *value = default.clone()),
        _ => {}
    }
}
