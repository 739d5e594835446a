//! The part of a Node that controllers read, decoded once a revision, and the indexes by which nodes are found.
use super::{NOT_READY, UNREACHABLE, is_taint};
use crate::runtime::Item;
use crate::runtime::view::FieldIndex;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The part of a node that controllers read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    taints: Option<Vec<Value>>,
    unschedulable: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

/// The part of the node; what doesn't decode counts as empty.
pub fn node(item: &Item) -> Arc<Node> {
    item.part::<Node>().unwrap_or_else(|error| {
        tracing::warn!(%error, "a node does not decode");
        Arc::default()
    })
}

impl Node {
    /// A condition: `True`, `False`, `Unknown`; `""` without one.
    pub fn condition(&self, r#type: &str) -> &str {
        self.status.conditions.iter().flatten().find(|c| c.r#type == r#type).map(|c| c.status.as_str()).unwrap_or_default()
    }
    /// Whether it is ready.
    pub fn ready(&self) -> bool {
        self.condition("Ready") == "True"
    }
    /// Its taints.
    pub fn taints(&self) -> &[Value] {
        self.spec.taints.as_deref().unwrap_or_default()
    }
    /// Whether people keep new pods away from it.
    pub fn unschedulable(&self) -> bool {
        self.spec.unschedulable == Some(true)
    }
    /// When its pods were given up.
    pub fn given_up_at(&self) -> Option<Timestamp> {
        let ours = |t: &&Value| [NOT_READY, UNREACHABLE].iter().any(|key| is_taint(t, key, "NoExecute"));
        self.taints().iter().filter(ours).filter_map(|t| t["timeAdded"].as_str()?.parse().ok()).max()
    }
}

/// Region and zone.
pub fn zone(item: &Item) -> String {
    let label = |name| item.label(name).unwrap_or_default();
    format!("{}/{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

/// The index of nodes by zone.
pub const BY_ZONE: &str = "zone";
/// The index of nodes that are ready.
pub const READY: &str = "ready";
/// The index by zone of nodes that aren't ready.
pub const UNREADY: &str = "unready";
/// The index by zone of nodes that aren't ready, and whose pods have not been given up.
pub const WAITING: &str = "waiting";
/// The index by zone of nodes whose pods were given up.
pub const GIVEN_UP: &str = "given up";

fn unless(not: bool, item: &Item, index: &mut dyn FnMut(Arc<str>)) {
    if !not {
        index(zone(item).into());
    }
}

/// The fields that nodes are looked up by.
pub const FIELDS: [FieldIndex; 5] = [
    (BY_ZONE, |item, index| index(zone(item).into())),
    (READY, |item, index| node(item).ready().then(Arc::default).into_iter().for_each(index)),
    (UNREADY, |item, index| unless(node(item).ready(), item, index)),
    (WAITING, |item, index| unless(node(item).ready() || node(item).given_up_at().is_some(), item, index)),
    (GIVEN_UP, |item, index| unless(node(item).given_up_at().is_none(), item, index)),
];
