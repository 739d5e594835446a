//! Tables of what a strategy refuses.
use crate::error::Cause;
use crate::kind::Kind;
use crate::object::Object;
use crate::rules;
use crate::strategy::Strategy;
use serde_json::Value;
use std::sync::Arc;

/// Puts `change` over `value`: maps are merged, all else is replaced.
pub fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(into), Value::Object(from)) => from.into_iter().for_each(|(key, inner)| merge(into.entry(key).or_insert(Value::Null), inner)),
        (value, change) => *value = change,
    }
}

/// Without what is null, as the schema leaves it.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, pruned(v))).collect()),
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        other => other,
    }
}

fn object(value: &Value) -> Object {
    Object::from_value(pruned(value.clone())).unwrap()
}

/// Compares causes with what is expected: nothing, or all of them with ` | ` between; `…` stands for the rest of one.
#[track_caller]
fn compare(causes: Vec<Cause>, expected: &str, of: &str) {
    let found: Vec<String> = causes.into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let expected: Vec<&str> = expected.split(" | ").filter(|e| !e.is_empty()).collect();
    let same = |(found, expected): (&String, &&str)| expected.strip_suffix('…').map_or(found == expected, |start| found.starts_with(start));
    assert!(found.len() == expected.len() && found.iter().zip(&expected).all(same), "{of}\nfound    {found:?}\nexpected {expected:?}");
}

/// Each new object, and what is wrong with it.
#[track_caller]
pub fn check(strategy: &dyn Strategy, rows: Vec<(Value, &str)>) {
    for (value, expected) in rows {
        let mut new = object(&value);
        strategy.default(&mut new);
        compare(strategy.validate(&new), expected, &value.to_string());
    }
}

/// Each object as it was, as a client changes it, and what is wrong with the change.
#[track_caller]
pub fn check_change(strategy: &dyn Strategy, rows: Vec<(Value, Value, &str)>) {
    for (before, after, expected) in rows {
        let (mut old, mut new) = (object(&before), object(&after));
        strategy.default(&mut old);
        strategy.default(&mut new);
        strategy.prepare_update(&mut new, &old);
        compare(strategy.validate_update(&new, &old), expected, &format!("{before} to {after}"));
    }
}

/// Each object as it was, with another status, and what is wrong with that.
#[track_caller]
pub fn check_status(strategy: &dyn Strategy, rows: Vec<(Value, Value, &str)>) {
    for (before, after, expected) in rows {
        let (old, mut new) = (object(&before), object(&after));
        strategy.prepare_status(&mut new, &old);
        compare(strategy.validate_status(&new, &old), expected, &format!("{before} to {after}"));
    }
}

fn row(group: &str, resource: &str) -> Arc<Kind> {
    super::builtin().resource(group, resource).unwrap_or_else(|| panic!("{group}/{resource}")).clone()
}

/// As it is when a client has sent it and the row's defaults, those that are declared too, are in.
fn defaulted(kind: &Kind, value: &Value) -> Object {
    let mut object = object(value);
    rules::default(kind.schema.name(), &mut object);
    kind.strategy.default(&mut object);
    object
}

/// Each new object of a row of the table, and what is wrong with it, by what is declared and by its strategy.
#[track_caller]
pub fn check_kind(group: &str, resource: &str, rows: Vec<(Value, &str)>) {
    let kind = row(group, resource);
    for (value, expected) in rows {
        let mut new = defaulted(&kind, &value);
        kind.strategy.prepare_create(&mut new);
        let mut causes = rules::validate(kind.schema.name(), &new);
        causes.extend(kind.strategy.validate(&new));
        causes.extend(kind.strategy.validate_create(&new));
        compare(causes, expected, &value.to_string());
    }
}

/// Each object of a row of the table as it was, as a client changes it, and what is wrong with the change.
#[track_caller]
pub fn check_kind_change(group: &str, resource: &str, rows: Vec<(Value, Value, &str)>) {
    let kind = row(group, resource);
    for (before, after, expected) in rows {
        let (old, mut new) = (defaulted(&kind, &before), defaulted(&kind, &after));
        kind.strategy.prepare_update(&mut new, &old);
        let mut causes = rules::validate_update(kind.schema.name(), &new, &old);
        causes.extend(kind.strategy.validate_update(&new, &old));
        compare(causes, expected, &format!("{before} to {after}"));
    }
}

/// Each object of a row of the table as it was, with another status, and what is wrong with that.
#[track_caller]
pub fn check_kind_status(group: &str, resource: &str, rows: Vec<(Value, Value, &str)>) {
    let kind = row(group, resource);
    for (before, after, expected) in rows {
        let (old, mut new) = (defaulted(&kind, &before), defaulted(&kind, &after));
        kind.strategy.prepare_status(&mut new, &old);
        let mut causes = rules::validate_status(kind.schema.name(), &new, &old);
        causes.extend(kind.strategy.validate_status(&new, &old));
        compare(causes, expected, &format!("{before} to {after}"));
    }
}

/// What a row's defaults make of an object.
#[track_caller]
pub fn check_defaults(group: &str, resource: &str, given: Value, want: Value) {
    assert_eq!(Value::Object(defaulted(&row(group, resource), &given).0), want, "{group}/{resource}");
}
