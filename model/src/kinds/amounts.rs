//! Numbers of pods that may be percentages: `maxUnavailable`, `minAvailable` and the like.
use super::fields::{Checks, shown};
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

/// A strategy of an unknown type, which Kubernetes shows as it has it in memory.
pub(super) fn unsupported(path: &str, kind: &str, rolling: Option<&Value>, types: &[&str]) -> Cause {
    let part = |rolling: &Value, key: &str| rolling.get(key).cloned().unwrap_or_else(|| 0.into());
    let rolling = rolling.map(|r| shown(&[("MaxUnavailable", part(r, "maxUnavailable")), ("MaxSurge", part(r, "maxSurge"))]));
    let given = format!("{{\"Type\":{},\"RollingUpdate\":{}}}", Value::from(kind), rolling.as_deref().unwrap_or("null"));
    let mut cause = Cause::not_supported(path, &kind.into(), types);
    cause.message = cause.message.replacen(&Value::from(kind).to_string(), &given, 1);
    cause
}
