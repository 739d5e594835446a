//! What a request weighs.
use serde_json::Value;
use state_client::{Body, Request};

/// How many bytes a request brings, about.
pub fn weight(request: &Request) -> usize {
    let options = &request.options;
    let body = match &request.body {
        Body::None => 0,
        Body::Json(json) | Body::Patch(_, json) => json.len(),
        Body::Object(object) => object.0.iter().map(|(name, value)| name.len() + of(value)).sum(),
    };
    body + options.label_selector.len() + options.field_selector.len() + options.continue_token.len()
}

/// A value's bytes as JSON, about.
fn of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(|v| of(v) + 1).sum(),
        Value::Object(map) => map.iter().map(|(name, v)| name.len() + 4 + of(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}
