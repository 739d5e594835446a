//! What controllers read of pods.
use crate::runtime::view::FieldIndex;
use crate::runtime::{Item, later};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// The part of a pod that controllers read, decoded once a revision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    annotations: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<Arc<str>>,
    hostname: Option<String>,
    subdomain: Option<String>,
    restart_policy: Option<String>,
    affinity: Affinity,
    containers: Option<Box<[Container]>>,
    init_containers: Option<Box<[Container]>>,
    volumes: Claims,
}

/// What is read of the volumes: those that mean claims.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Option<Vec<Volume>>")]
struct Claims(Box<[ClaimSource]>);

#[derive(Clone, Debug)]
enum ClaimSource {
    /// A claim by its name.
    Named(Box<str>),
    /// The pod's own, for a volume of this name.
    Own(Box<str>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Volume {
    name: Box<str>,
    persistent_volume_claim: Option<ClaimName>,
    ephemeral: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimName {
    claim_name: Box<str>,
}

impl From<Option<Vec<Volume>>> for Claims {
    fn from(all: Option<Vec<Volume>>) -> Self {
        let source = |volume: Volume| match volume {
            Volume { persistent_volume_claim: Some(claim), .. } => Some(ClaimSource::Named(claim.claim_name)),
            Volume { ephemeral: Some(_), name, .. } => Some(ClaimSource::Own(name)),
            _ => None,
        };
        Self(all.into_iter().flatten().filter_map(source).collect())
    }
}

/// What is read of the affinity: the one node that a DaemonSet's pod is for, before it is bound to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Option<RawAffinity>")]
struct Affinity(Option<Arc<str>>);

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawAffinity {
    node_affinity: Option<RawNodeAffinity>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawNodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<RawNodeSelector>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawNodeSelector {
    node_selector_terms: Option<Vec<RawTerm>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawTerm {
    match_fields: Option<Vec<RawField>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawField {
    key: String,
    operator: String,
    values: Option<Vec<Arc<str>>>,
}

impl From<Option<RawAffinity>> for Affinity {
    fn from(raw: Option<RawAffinity>) -> Self {
        let required = raw.and_then(|raw| raw.node_affinity?.required_during_scheduling_ignored_during_execution);
        let terms = required.and_then(|selector| selector.node_selector_terms).unwrap_or_default();
        let mut fields = terms.into_iter().flat_map(|term| term.match_fields.unwrap_or_default());
        let named = fields.find(|field| field.key == "metadata.name" && field.operator == "In").and_then(|field| field.values);
        Self(named.and_then(|values| <[Arc<str>; 1]>::try_from(values).ok()).map(|[name]| name))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: Option<String>,
    ports: Option<Box<[ContainerPort]>>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name.
    pub name: Option<String>,
    /// Its number.
    pub container_port: i64,
    /// `TCP` where `None`.
    pub protocol: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Box<[PodIp]>>,
    conditions: Conditions,
    container_statuses: Option<Box<[ContainerStatus]>>,
    init_container_statuses: Option<Box<[ContainerStatus]>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    restart_count: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    last_transition_time: Option<Timestamp>,
}

/// What is read of the conditions. All of them would be half of what is held of a pod, and there are many pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Option<Vec<Condition>>")]
struct Conditions {
    scheduled_at: Option<Timestamp>,
    ready: bool,
    ready_since: Option<Timestamp>,
    disruption_since: Option<Timestamp>,
}

impl From<Option<Vec<Condition>>> for Conditions {
    fn from(all: Option<Vec<Condition>>) -> Self {
        let find = |r#type: &str| all.iter().flatten().find(|c| c.r#type == r#type);
        let ready = find("Ready").filter(|c| c.status == "True");
        // what a node ends itself may take its time
        let disruption = find("DisruptionTarget").filter(|c| c.status == "True" && c.reason != "TerminationByKubelet");
        Self {
            scheduled_at: find("PodScheduled").and_then(|c| c.last_transition_time),
            ready: ready.is_some(),
            ready_since: ready.and_then(|c| c.last_transition_time),
            disruption_since: disruption.and_then(|c| c.last_transition_time),
        }
    }
}

/// The part of the pod; what doesn't decode counts as empty.
pub fn pod(item: &Item) -> Arc<Pod> {
    item.part::<Pod>().unwrap_or_else(|error| {
        tracing::warn!(%error, "a pod does not decode");
        Arc::default()
    })
}

impl Pod {
    /// `status.phase`; `Pending` before the first.
    pub fn phase(&self) -> &str {
        self.status.phase.as_deref().unwrap_or("Pending")
    }
    /// Whether its containers ended for good.
    pub fn terminal(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }
    /// The node that it is bound to; `""` before.
    pub fn node(&self) -> &str {
        self.spec.node_name.as_deref().unwrap_or_default()
    }
    /// The node that it is bound to, or that is the only one that it may be bound to.
    pub fn target_node(&self) -> Option<&Arc<str>> {
        self.spec.node_name.as_ref().filter(|name| !name.is_empty()).or(self.spec.affinity.0.as_ref())
    }
    /// When it was bound to its node.
    pub fn scheduled_at(&self) -> Option<Timestamp> {
        self.status.conditions.scheduled_at
    }
    /// Whether it is ready.
    pub fn ready(&self) -> bool {
        self.status.conditions.ready
    }
    /// Whether it runs and is ready.
    pub fn serves(&self) -> bool {
        self.phase() == "Running" && self.ready()
    }
    /// Whether it has been ready for `min_ready_seconds`.
    pub fn available(&self, min_ready_seconds: i64, now: Timestamp) -> bool {
        self.available_at(min_ready_seconds).is_some_and(|at| at <= now)
    }
    /// Since when it has been ready.
    pub fn ready_since(&self) -> Option<Timestamp> {
        self.status.conditions.ready_since
    }
    /// Since when it has said that it is evicted, by others than its node.
    pub fn disruption_since(&self) -> Option<Timestamp> {
        self.status.conditions.disruption_since
    }
    /// When it has been ready for `min_ready_seconds`: it is available from then on. `None` while it isn't ready.
    pub fn available_at(&self, min_ready_seconds: i64) -> Option<Timestamp> {
        match (self.ready(), min_ready_seconds) {
            (false, _) => None,
            (true, 0) => Some(Timestamp::MIN),
            (true, seconds) => Some(later(self.ready_since()?, SignedDuration::from_secs(seconds))),
        }
    }
    /// The most restarts of any of its containers.
    pub fn restarts(&self) -> i64 {
        self.status.container_statuses.iter().flatten().map(|s| s.restart_count).max().unwrap_or_default()
    }
    /// The restarts of all of its containers.
    pub fn all_restarts(&self) -> i64 {
        [&self.status.container_statuses, &self.status.init_container_statuses].into_iter().flatten().flatten().map(|s| s.restart_count).sum()
    }
    /// One of its annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key)?.as_str()
    }
    /// `controller.kubernetes.io/pod-deletion-cost`: pods of lower cost go first.
    pub fn deletion_cost(&self) -> i32 {
        self.annotation("controller.kubernetes.io/pod-deletion-cost").and_then(|c| c.parse().ok()).unwrap_or_default()
    }
    /// The names of the claims that its volumes mean; the pod's own name is `name`.
    pub fn claims<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        self.spec.volumes.0.iter().map(move |source| match source {
            ClaimSource::Named(claim) => Cow::Borrowed(&**claim),
            ClaimSource::Own(volume) => Cow::Owned(model::storage::own_claim(name, volume)),
        })
    }
    /// Whether claims of its own are made for its volumes.
    pub fn has_own_claims(&self) -> bool {
        self.spec.volumes.0.iter().any(|source| matches!(source, ClaimSource::Own(_)))
    }
    /// Its addresses, the first one first.
    pub fn ips(&self) -> Vec<&str> {
        let all: Vec<&str> = self.status.pod_ips.iter().flatten().map(|p| p.ip.as_str()).filter(|ip| !ip.is_empty()).collect();
        if all.is_empty() { self.status.pod_ip.as_deref().filter(|ip| !ip.is_empty()).into_iter().collect() } else { all }
    }
    /// Its host name, if it has one of its own below `subdomain`.
    pub fn hostname_under(&self, subdomain: &str) -> Option<&str> {
        let hostname = self.spec.hostname.as_deref().filter(|h| !h.is_empty())?;
        (self.spec.subdomain.as_deref() == Some(subdomain)).then_some(hostname)
    }
    /// Whether its containers are never started again once they ended.
    pub fn restarts_never(&self) -> bool {
        self.spec.restart_policy.as_deref() == Some("Never")
    }
    /// Whether its failed containers are started again.
    pub fn restarts_always(&self) -> bool {
        self.spec.restart_policy.as_deref().is_none_or(|p| p == "Always")
    }
    /// The ports of its containers, and of its restartable init containers, which run as long as they do.
    pub fn ports(&self) -> impl Iterator<Item = &ContainerPort> {
        let sidecars = self.spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        self.spec.containers.iter().flatten().chain(sidecars).flat_map(|c| c.ports.iter().flatten())
    }
}

/// The index of pods by the node that they are bound to.
pub const BY_NODE: &str = "spec.nodeName";
/// The index of pods that ended for good.
pub const BY_END: &str = "ended";
/// The index of pods by the claims that their volumes mean, as [`claim_key`] names them.
pub const BY_CLAIM: &str = "claims";
/// The fields that pods are looked up by.
pub const FIELDS: [FieldIndex; 3] = [
    (BY_NODE, |item, index| pod(item).spec.node_name.clone().filter(|n| !n.is_empty()).into_iter().for_each(index)),
    (BY_END, |item, index| {
        if pod(item).terminal() {
            index(Arc::default());
        }
    }),
    (BY_CLAIM, |item, index| pod(item).claims(item.name()).for_each(|claim| index(claim_key(item.namespace(), &claim)))),
];

/// How an index names a claim.
pub fn claim_key(namespace: &str, claim: &str) -> Arc<str> {
    format!("{namespace}/{claim}").into()
}

/// Whether a pod counts as a replica: it hasn't ended, and isn't being deleted.
pub fn active(item: &Item) -> bool {
    !item.deleting() && !pod(item).terminal()
}
