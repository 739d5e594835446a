//! Quotas and limits of namespaces.
use super::{AGE, NAME, column, text};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

fn usage(quota: &Object, limits: bool) -> String {
    let hard = quota.at(&["status", "hard"]).or_else(|| quota.at(&["spec", "hard"])).and_then(Value::as_object);
    let used = |name: &str| quota.at(&["status", "used", name]).and_then(Value::as_str).unwrap_or("0").to_owned();
    let entries = hard.into_iter().flatten().filter(|(name, _)| name.starts_with("limits") == limits);
    entries.map(|(name, amount)| format!("{name}: {}/{}", used(name), amount.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
}

pub(in crate::kinds) fn quota() -> Vec<Column> {
    vec![
        NAME,
        text("Request", "What is asked for, of what may be", |o, _| usage(o, false).into()),
        text("Limit", "Limits, of what they may be", |o, _| usage(o, true).into()),
        AGE,
    ]
}

pub(in crate::kinds) fn limits() -> Vec<Column> {
    vec![NAME, column("Created At", "string", "date-time", "When it was created", |o, _| o.creation_timestamp().into())]
}
