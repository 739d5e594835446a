//! What nodes and pods use.
use super::{NAME, text};
use crate::kind::Column;
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// The sum of a resource over all that an object says is used of it.
fn sum(object: &Object, resource: &str) -> Value {
    let containers = object.list_at(&["containers"]).iter().filter_map(|container| container.get("usage"));
    let amounts = containers.chain(object.at(&["usage"])).filter_map(|usage| Quantity::from_json(usage.get(resource)?).ok());
    amounts.reduce(|a, b| a + b).unwrap_or(Quantity::ZERO).to_string().into()
}

fn measured() -> Vec<Column> {
    vec![
        NAME,
        text("cpu", "Processors that are used", |o, _| sum(o, "cpu")),
        text("memory", "Memory that is used", |o, _| sum(o, "memory")),
        text("Window", "Over how long that was measured", |o, _| o.str_at(&["window"]).into()),
    ]
}

pub(in crate::kinds) fn node_metrics() -> Vec<Column> {
    measured()
}

pub(in crate::kinds) fn pod_metrics() -> Vec<Column> {
    measured()
}
