//! Amounts that are a number or a percentage.
use serde_json::Value;

/// A number, or a percentage of `of`, rounded up or down.
pub fn scaled(value: &Value, of: i64, up: bool) -> i64 {
    match value {
        Value::String(text) => {
            let product = text.trim_end_matches('%').parse::<i64>().unwrap_or_default().saturating_mul(of);
            if up { product.saturating_add(99) / 100 } else { product / 100 }
        }
        number => number.as_i64().unwrap_or_default(),
    }
}
