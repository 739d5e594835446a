//! Numbers of pods that may be percentages: `maxUnavailable`, `minAvailable` and the like.
use super::fields::Checks;
use crate::error::Cause;
use serde_json::Value;
use std::fmt::Display;

/// A number of pods or a percentage: its number, where it has a valid form.
pub(super) fn pods(checks: &mut Checks, path: &dyn Display, value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(percent) => {
            let number = percentage(percent);
            if number.is_none() {
                let why =
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                checks.add(Cause::invalid(path, &percent.as_str().into(), why));
            }
            number
        }
        number => {
            checks.not_negative(path, number.as_i64());
            number.as_i64()
        }
    }
}

fn percentage(text: &str) -> Option<i64> {
    text.strip_suffix('%').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok())
}

/// Refuses a percentage above all.
pub(super) fn at_most_all(checks: &mut Checks, path: &dyn Display, value: Option<&Value>) {
    if let Some(Value::String(text)) = value
        && percentage(text).is_some_and(|n| n > 100)
    {
        checks.add(Cause::invalid(path, &text.as_str().into(), "must not be greater than 100%"));
    }
}
