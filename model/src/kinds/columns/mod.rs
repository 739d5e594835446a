//! What `kubectl get` prints of each kind.
mod access;
mod admission;
mod event;
mod metrics;
mod network;
mod networking;
mod node;
mod pod;
mod quotas;
mod scaling;
mod storage;
mod volume;
mod workload;

pub(super) use access::{binding, role};
pub(super) use admission::{
    api_service, flow_schema, mutating_policy, pod_certificate, policy, policy_binding, priority_level, resource_claim, resource_slice, signing_request,
    trust_bundle, webhooks,
};
pub(super) use event::event;
pub(super) use metrics::{node_metrics, pod_metrics};
pub(super) use network::{endpoint_slice, endpoints, service};
pub(super) use networking::{ingress, ingress_class, ip_address, network_policy, service_cidr};
pub(super) use node::node;
pub(super) use pod::pod;
pub(super) use quotas::{limits, quota};
pub(super) use scaling::{autoscaler, autoscaler_v1, disruption_budget};
pub(super) use storage::{csi_driver, csi_node, csi_storage_capacity, storage_class, storage_version_migration, volume_attachment, volume_attributes_class};
pub(super) use volume::{persistent_volume, persistent_volume_claim};
pub(super) use workload::{cron_job, daemon_set, deployment, job, pod_template, replica_set, replication_controller, revision, stateful_set};

use crate::kind::{Cell, Column, Compute};
use crate::object::Object;
use crate::time;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What is printed where there is nothing.
const NONE: &str = "<none>";

/// The object's name.
pub(crate) const NAME: Column = column("Name", "string", "name", "The object's name", |o, _| o.name().into());
/// The time since the object was created.
pub(crate) const AGE: Column = text("Age", "Time since the object was created", |o, now| time::age_of(o.creation_timestamp(), now).into());

const fn column(name: &'static str, kind: &'static str, format: &'static str, description: &'static str, compute: Compute) -> Column {
    let (name, kind, format, description) = (Cow::Borrowed(name), Cow::Borrowed(kind), Cow::Borrowed(format), Cow::Borrowed(description));
    Column { name, kind, format, description, priority: 0, cell: Cell::Computed(compute) }
}
const fn text(name: &'static str, description: &'static str, compute: Compute) -> Column {
    column(name, "string", "", description, compute)
}
const fn integer(name: &'static str, description: &'static str, compute: Compute) -> Column {
    column(name, "integer", "", description, compute)
}
const fn boolean(name: &'static str, description: &'static str, compute: Compute) -> Column {
    column(name, "boolean", "", description, compute)
}
/// Shown with `-o wide` only.
const fn wide(mut column: Column) -> Column {
    column.priority = 1;
    column
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
/// The name of an object, and whether an annotation makes it the default.
fn marked(object: &Object, annotations: &[&str]) -> String {
    let default = annotations.iter().any(|key| object.annotation(key) == Some("true"));
    if default { format!("{} (default)", object.name()) } else { object.name().to_owned() }
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
pub(super) fn definition() -> Vec<Column> {
    vec![NAME, column("Created At", "date", "", "When it was created", |o, _| o.creation_timestamp().into())]
}
pub(super) fn runtime_class() -> Vec<Column> {
    vec![NAME, text("Handler", "Which runtime runs its pods", |o, _| o.str_at(&["handler"]).into()), AGE]
}
pub(super) fn priority_class() -> Vec<Column> {
    vec![
        NAME,
        integer("Value", "The priority that pods of this class get", |o, _| o.int_at(&["value"]).unwrap_or_default().into()),
        boolean("Global-Default", "Whether pods without a class get this one", |o, _| {
            o.at(&["globalDefault"]).and_then(Value::as_bool).unwrap_or_default().into()
        }),
        AGE,
        text("PreemptionPolicy", "Whether pods of this class displace others", |o, _| o.str_at(&["preemptionPolicy"]).into()),
    ]
}

#[cfg(test)]
mod storage_tests;
#[cfg(test)]
mod tests;
