//! On which nodes a DaemonSet has pods: node selector, node affinity and taints decide, as they would in the scheduler.
use crate::node::part::node;
use crate::runtime::{Item, Resource, View, ViewChange};
use model::Key;
use model::placement::needs::{Needs, RawSpec};
use model::placement::resources::BadQuantity;
use model::placement::taints::{Taint, Toleration};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Which nodes a DaemonSet means, decoded once a revision of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Rule {
    node: Option<String>,
    needs: Needs,
}

#[derive(Deserialize)]
struct Raw {
    spec: RawSet,
}

#[derive(Deserialize)]
struct RawSet {
    template: RawTemplate,
}

#[derive(Deserialize)]
struct RawTemplate {
    spec: RawSpec,
}

impl TryFrom<Raw> for Rule {
    type Error = BadQuantity;

    fn try_from(raw: Raw) -> Result<Self, BadQuantity> {
        let spec = raw.spec.template.spec;
        let mut needs = spec.needs()?;
        needs.tolerations.extend(tolerations(spec.host_network == Some(true)).iter().filter_map(Toleration::from_json));
        Ok(Self { node: spec.node_name.filter(|name| !name.is_empty()), needs })
    }
}

/// What a DaemonSet wants of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is to have a pod.
    pub run: bool,
    /// A pod that it has may stay.
    pub stay: bool,
}

impl Rule {
    /// What is wanted of a node.
    pub fn verdict(&self, item: &Item) -> Verdict {
        let meant = self.node.as_deref().is_none_or(|name| name == item.name());
        if !meant || !self.needs.may_run_on(item.name(), item) {
            return Verdict::default();
        }
        let taints: Vec<Taint> = node(item).taints().iter().filter_map(Taint::from_json).collect();
        Verdict { run: self.needs.untolerated(&taints).is_none(), stay: self.needs.evicted_by(&taints).is_none() }
    }
}

/// The rule of a DaemonSet; `None` for one that doesn't decode.
pub fn rule(set: &Item) -> Option<Arc<Rule>> {
    set.part::<Rule>().inspect_err(|error| tracing::warn!(%error, "a DaemonSet does not decode")).ok()
}

/// The DaemonSets that want something else of a node since it changed.
pub fn concerned(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let placed = |item: &Item| (item.labels().cloned(), node(item).taints().to_vec());
    if change.old.map(placed) == change.new.map(placed) {
        return Vec::new();
    }
    let differs = |set: &&Arc<Item>| {
        let verdict = |item: Option<&Item>, rule: &Rule| item.map(|item| rule.verdict(item)).unwrap_or_default();
        rule(set).is_some_and(|rule| verdict(change.old, &rule) != verdict(change.new, &rule))
    };
    view.all(&Resource::DAEMON_SETS).filter(differs).map(|set| set.key().clone()).collect()
}

/// The taints that every pod of a DaemonSet bears: it stays where others leave, and comes where others don't.
pub fn tolerations(host_network: bool) -> Vec<Value> {
    let all = [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    let network = host_network.then_some(("network-unavailable", "NoSchedule"));
    let toleration = |(key, effect)| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect});
    all.into_iter().chain(network).map(toleration).collect()
}
