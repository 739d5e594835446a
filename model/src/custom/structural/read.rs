//! What is read of a schema as it is written.
use serde_json::{Map, Value};

/// The lists of schemas of which some or all must hold.
pub(super) const JUNCTORS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// The schemas that stand directly in one, each with the step that leads there.
pub(super) fn children(map: &Map<String, Value>) -> Vec<(String, &Value)> {
    let mut all: Vec<(String, &Value)> = fields(map).map(|(field, inner)| (format!("properties[{field}]"), inner)).collect();
    for key in ["additionalProperties", "items", "not"] {
        all.extend(map.get(key).filter(|inner| inner.is_object()).map(|inner| (key.to_owned(), inner)));
    }
    for key in JUNCTORS {
        all.extend(list(map, key).iter().enumerate().map(|(i, inner)| (format!("{key}[{i}]"), inner)));
    }
    all
}

/// The fields that a schema knows.
pub(super) fn fields(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    map.get("properties").and_then(Value::as_object).into_iter().flatten()
}

pub(super) fn list<'a>(map: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key) == Some(&Value::Bool(true))
}

/// A text, where there is one; an empty one says something, too.
pub(super) fn given<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    given(map, key).unwrap_or_default()
}
