//! Conditions of the form that newer kinds share: `metav1.Condition`.
use super::fields::{Checks, int, items, text};
use crate::error::Cause;
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// Most bytes of a condition's reason and of its message.
const REASON_BYTES: usize = 1 << 10;
const MESSAGE_BYTES: usize = 32 << 10;

/// The conditions of the status of an object.
pub(super) fn of_status(checks: &mut Checks, status: &Value) {
    for (path, condition) in items(status, &"status", "conditions") {
        validate(checks, &path, condition);
    }
}

/// One condition at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, condition: &Value) {
    let (kind, reason) = (text(condition, "type"), text(condition, "reason"));
    match kind {
        "" => checks.required(format_args!("{path}.type"), "is required"),
        kind => checks.all(format_args!("{path}.type"), kind, names::qualified_name(kind)),
    }
    checks.one_of(format_args!("{path}.status"), text(condition, "status"), &["False", "True", "Unknown"]);
    checks.not_negative(format_args!("{path}.observedGeneration"), int(condition, "observedGeneration"));
    checks.filled(format_args!("{path}.lastTransitionTime"), text(condition, "lastTransitionTime"));
    checks.name(format_args!("{path}.reason"), reason, names::condition_reason);
    for (field, value, most) in [("reason", reason, REASON_BYTES), ("message", text(condition, "message"), MESSAGE_BYTES)] {
        if value.len() > most {
            checks.add(Cause::too_long(format_args!("{path}.{field}"), most));
        }
    }
}
