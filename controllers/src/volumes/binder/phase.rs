//! The phase of a volume.
use crate::runtime::{Item, Plan, Write};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The write of a phase, where it is another one.
pub fn phase<'p>(volume: &Item, phase: &str, message: &str, now: Timestamp, plan: &'p mut Plan) -> Option<&'p mut Write> {
    if volume.object().str_at(&["status", "phase"]) == phase {
        return None;
    }
    let message = if message.is_empty() { Value::Null } else { json!(message) };
    let status = json!({"phase": phase, "message": message, "lastPhaseTransitionTime": model::time::format(now)});
    Some(plan.merge(volume, "status", json!({"status": status})))
}
