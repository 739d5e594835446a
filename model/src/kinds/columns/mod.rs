//! What `kubectl get` prints of each kind.
mod access;
mod event;
mod network;
mod node;
mod pod;
mod workload;

pub(super) use access::{binding, role};
pub(super) use event::event;
pub(super) use network::{endpoint_slice, endpoints, service};
pub(super) use node::node;
pub(super) use pod::pod;
pub(super) use workload::{deployment, pod_template, replica_set, revision};

use crate::kind::{Cell, Column};
use crate::object::Object;
use crate::time;
use serde_json::{Map, Value};

/// What is printed where there is nothing.
const NONE: &str = "<none>";

/// The object's name.
pub(crate) const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", description: "The object's name", priority: 0, cell: |o, _| o.name().into() };
/// The time since the object was created.
pub(crate) const AGE: Column = Column {
    name: "Age",
    kind: "string",
    format: "",
    description: "Time since the object was created",
    priority: 0,
    cell: |o, now| time::age_of(o.creation_timestamp(), now).into(),
};

const fn text(name: &'static str, description: &'static str, cell: Cell) -> Column {
    Column { name, kind: "string", format: "", description, priority: 0, cell }
}
const fn integer(name: &'static str, description: &'static str, cell: Cell) -> Column {
    Column { name, kind: "integer", format: "", description, priority: 0, cell }
}
/// Shown with `-o wide` only.
const fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

fn or_none(text: String) -> Value {
    if text.is_empty() { NONE.into() } else { text.into() }
}
fn at(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
fn size(object: &Object, key: &str) -> usize {
    object.at(&[key]).map_or(0, |v| v.as_object().map_or_else(|| v.as_array().map_or(0, Vec::len), Map::len))
}
/// Labels as `a=b,c=d`.
fn labels(map: Option<&Map<String, Value>>) -> String {
    map.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}
/// At most three items, and how many more there are.
fn some_of(items: &[String]) -> String {
    let shown = items.get(..3).unwrap_or(items).join(",");
    if items.len() > 3 { format!("{shown} + {} more...", items.len() - 3) } else { shown }
}

pub(super) fn namespace() -> Vec<Column> {
    vec![NAME, text("Status", "The phase of the namespace's life", |o, _| o.str_at(&["status", "phase"]).into()), AGE]
}
pub(super) fn config_map() -> Vec<Column> {
    vec![NAME, text("Data", "Number of keys", |o, _| (size(o, "data") + size(o, "binaryData")).into()), AGE]
}
pub(super) fn secret() -> Vec<Column> {
    vec![NAME, text("Type", "What the data means", |o, _| o.str_at(&["type"]).into()), integer("Data", "Number of keys", |o, _| size(o, "data").into()), AGE]
}
pub(super) fn service_account() -> Vec<Column> {
    vec![NAME, integer("Secrets", "Number of secrets that its pods may use", |o, _| size(o, "secrets").into()), AGE]
}
pub(super) fn lease() -> Vec<Column> {
    vec![NAME, text("Holder", "Who holds the lease", |o, _| o.str_at(&["spec", "holderIdentity"]).into()), AGE]
}
pub(super) fn runtime_class() -> Vec<Column> {
    vec![NAME, text("Handler", "Which runtime runs its pods", |o, _| o.str_at(&["handler"]).into()), AGE]
}
pub(super) fn priority_class() -> Vec<Column> {
    vec![
        NAME,
        integer("Value", "The priority that pods of this class get", |o, _| o.int_at(&["value"]).unwrap_or_default().into()),
        Column {
            name: "Global-Default",
            kind: "boolean",
            format: "",
            description: "Whether pods without a class get this one",
            priority: 0,
            cell: |o, _| o.at(&["globalDefault"]).and_then(Value::as_bool).unwrap_or_default().into(),
        },
        AGE,
        text("PreemptionPolicy", "Whether pods of this class displace others", |o, _| o.str_at(&["preemptionPolicy"]).into()),
    ]
}

#[cfg(test)]
mod tests;
