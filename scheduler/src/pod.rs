//! A pod as the scheduler sees it: what it asks of a node ([`PodClass`], shared by all pods of a template) and who it is ([`PodInfo`]).
use crate::labels::{Labels, NodeTerm, Requirement, Selector};
use crate::node::{ParseError, normal_image};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodAffinityTerm, TopologySpreadConstraint};
use model::Stored;
use model::placement::needs::{Needs, RawSize, RawSpec, RawVolume};
use model::placement::resources::BadQuantity;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The scheduler's name: the pods that name another are left alone.
pub const NAME: &str = "default-scheduler";
/// Kinds whose pods are spread by default, as members of one workload.
const SPREAD_OWNERS: [&str; 3] = ["ReplicaSet", "StatefulSet", "ReplicationController"];

/// One term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodTerm {
    /// The node label whose value makes a place.
    pub topology_key: Arc<str>,
    selector: Selector,
    namespaces: Vec<Arc<str>>,
    namespace_selector: Option<Selector>,
}

impl PodTerm {
    fn parse(term: &PodAffinityTerm, namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut selector = Selector::parse(term.label_selector.as_ref());
        for key in term.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector = selector.and(Requirement::is_in(key, [value.clone()]));
            }
        }
        for key in term.mismatch_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector = selector.and(Requirement::not_in(key, [value.clone()]));
            }
        }
        let mut namespaces: Vec<Arc<str>> = term.namespaces.iter().flatten().map(|n| n.as_str().into()).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.into());
        }
        let namespace_selector = term.namespace_selector.as_ref().map(|s| Selector::parse(Some(s)));
        Self { topology_key: term.topology_key.as_str().into(), selector, namespaces, namespace_selector }
    }
    /// Whether it means a pod of this class, whose namespace has these labels.
    pub fn matches(&self, pod: &PodClass, namespace: &Labels) -> bool {
        let there = self.namespaces.contains(&pod.namespace) || self.namespace_selector.as_ref().is_some_and(|s| s.matches(namespace));
        there && self.selector.matches(&pod.labels)
    }
}

/// A term with its weight, 1 to 100.
pub type Weighted<T> = (i64, T);

/// Pod affinity or anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodTerms {
    /// Must hold.
    pub required: Vec<PodTerm>,
    /// Counts in scores.
    pub preferred: Vec<Weighted<PodTerm>>,
}

/// Whom a spread constraint counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Pods of the namespace with these labels.
    Labels(Selector),
    /// Pods of the same workload: the cluster's default.
    Workload,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spread {
    /// The node label whose values are the domains.
    pub topology_key: Arc<str>,
    /// How uneven it may be.
    pub max_skew: i64,
    /// Below so many domains the least count is taken as 0.
    pub min_domains: i64,
    /// `DoNotSchedule`, otherwise `ScheduleAnyway`.
    pub hard: bool,
    /// Whom it counts.
    pub counted: Counted,
    /// Whether nodes that the pod's node affinity excludes are left out (`nodeAffinityPolicy`).
    pub honor_affinity: bool,
    /// Whether nodes with taints that the pod doesn't tolerate are left out (`nodeTaintsPolicy`).
    pub honor_taints: bool,
}

impl Spread {
    fn parse(c: &TopologySpreadConstraint, labels: &BTreeMap<String, String>) -> Self {
        let mut selector = Selector::parse(c.label_selector.as_ref());
        for key in c.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector = selector.and(Requirement::is_in(key, [value.clone()]));
            }
        }
        Self {
            topology_key: c.topology_key.as_str().into(),
            max_skew: c.max_skew.into(),
            min_domains: c.min_domains.unwrap_or(1).into(),
            hard: c.when_unsatisfiable == "DoNotSchedule",
            counted: Counted::Labels(selector),
            honor_affinity: c.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: c.node_taints_policy.as_deref() == Some("Honor"),
        }
    }
    /// Kubernetes' default constraints for pods of a workload that name none.
    fn defaults() -> Vec<Self> {
        let of = |key: &str, max_skew| Self {
            topology_key: key.into(),
            max_skew,
            min_domains: 1,
            hard: false,
            counted: Counted::Workload,
            honor_affinity: true,
            honor_taints: false,
        };
        vec![of(crate::labels::HOSTNAME, 3), of("topology.kubernetes.io/zone", 5)]
    }
}

/// A claim that a pod's volume is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimUse {
    /// Its name.
    pub name: Arc<str>,
    /// UID and name of the pod that it has to be made for, where it is the claim of an ephemeral volume.
    pub made_for: Option<(Arc<str>, Arc<str>)>,
}

/// All that decides where a pod may and should run. Pods of one template share it, and so the work of deciding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodClass {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its labels.
    pub labels: Labels,
    /// UID of the workload whose pods are spread by default.
    pub workload: Option<Arc<str>>,
    /// Being deleted: no longer counted by spread constraints.
    pub terminating: bool,
    /// Images of all containers, as often as containers use them.
    pub images: Vec<Arc<str>>,
    /// What it asks of its node.
    pub needs: Needs,
    /// Preferred node affinity.
    pub node_preferences: Vec<Weighted<NodeTerm>>,
    /// Pods to be near to.
    pub affinity: PodTerms,
    /// Pods to be away from.
    pub anti_affinity: PodTerms,
    /// How its like are to be spread.
    pub spread: Vec<Spread>,
    /// Whether `spread` is the pod's own and not the cluster's default: nodes without one of the keys are then the last choice.
    pub own_spread: bool,
    /// Claims of its volumes.
    pub claims: Vec<ClaimUse>,
}

impl PodClass {
    /// Whether other pods' scores or filters depend on where this pod is, by its own terms.
    pub fn has_terms(&self) -> bool {
        let any = |t: &PodTerms| !t.required.is_empty() || !t.preferred.is_empty();
        any(&self.affinity) || any(&self.anti_affinity)
    }
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// UID.
    pub uid: Arc<str>,
    /// Revision that it was parsed from.
    pub revision: u64,
    /// `spec.priority`.
    pub priority: i32,
    /// What it asks of a node.
    pub class: Arc<PodClass>,
    /// `spec.nodeName`, once bound.
    pub node: Option<Arc<str>>,
    /// Succeeded or Failed: it needs no place any more.
    pub finished: bool,
    /// Whether scheduling gates hold it back.
    pub gated: bool,
    /// Whether it is this scheduler's to place.
    pub ours: bool,
    /// `preemptionPolicy: Never`.
    pub never_preempts: bool,
    /// Message of its condition `PodScheduled=False`, where it has one.
    pub refusal: Option<Arc<str>>,
    /// `status.nominatedNodeName`: the node that was made room on for it.
    pub nominated: Option<Arc<str>>,
    /// When it started to run.
    pub started: Option<Timestamp>,
    /// Whether it is being deleted to make room for a more important one.
    pub preempted: bool,
    /// `metadata.generation`.
    pub generation: i64,
}

#[derive(Deserialize)]
struct RawPod {
    metadata: RawMeta,
    spec: RawSpec,
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    uid: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<IgnoredAny>,
    owner_references: Option<Vec<RawOwner>>,
}

#[derive(Deserialize)]
struct RawOwner {
    uid: String,
    kind: String,
    controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    container_statuses: Option<Vec<RawSize>>,
    init_container_statuses: Option<Vec<RawSize>>,
    phase: Option<String>,
    conditions: Option<Vec<RawCondition>>,
    nominated_node_name: Option<String>,
    start_time: Option<String>,
}

#[derive(Deserialize)]
struct RawCondition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

impl RawPod {
    fn workload(&self) -> Option<Arc<str>> {
        let mut owners = self.metadata.owner_references.iter().flatten();
        owners.find(|o| o.controller == Some(true) && SPREAD_OWNERS.contains(&o.kind.as_str())).map(|o| o.uid.as_str().into())
    }
    fn claims(&self, pod: &str) -> Vec<ClaimUse> {
        let uid: Arc<str> = self.metadata.uid.as_deref().unwrap_or_default().into();
        let of = |volume: &RawVolume| match (&volume.persistent_volume_claim, volume.ephemeral.is_some()) {
            (Some(claim), _) => Some(ClaimUse { name: claim.claim_name.as_str().into(), made_for: None }),
            (None, true) => Some(ClaimUse { name: format!("{pod}-{}", volume.name).into(), made_for: Some((uid.clone(), pod.into())) }),
            (None, false) => None,
        };
        let mut claims: Vec<ClaimUse> = self.spec.volumes.iter().flatten().filter_map(of).collect();
        claims.sort_by(|a, b| a.name.cmp(&b.name));
        claims.dedup();
        claims
    }
    fn class(&self, namespace: &str, name: &str) -> Result<PodClass, ParseError> {
        let spec = &self.spec;
        let labels = self.metadata.labels.clone().unwrap_or_default();
        let affinity = spec.affinity.clone().unwrap_or_default();
        let (node, near, away) =
            (affinity.node_affinity.unwrap_or_default(), affinity.pod_affinity.unwrap_or_default(), affinity.pod_anti_affinity.unwrap_or_default());
        let required = |terms: Option<Vec<PodAffinityTerm>>| terms.iter().flatten().map(|t| PodTerm::parse(t, namespace, &labels)).collect();
        let workload = self.workload();
        let own_spread = spec.topology_spread_constraints.as_ref().is_some_and(|all| !all.is_empty());
        let spread = match &spec.topology_spread_constraints {
            Some(all) if !all.is_empty() => all.iter().map(|c| Spread::parse(c, &labels)).collect(),
            _ if workload.is_some() => Spread::defaults(),
            _ => Vec::new(),
        };
        let weighted =
            |t: &k8s_openapi::api::core::v1::WeightedPodAffinityTerm| (i64::from(t.weight), PodTerm::parse(&t.pod_affinity_term, namespace, &labels));
        Ok(PodClass {
            namespace: namespace.into(),
            workload,
            terminating: self.metadata.deletion_timestamp.is_some(),
            images: spec.all_containers().filter_map(|c| c.image.as_deref()).map(normal_image).collect(),
            needs: self.needs()?,
            node_preferences: node
                .preferred_during_scheduling_ignored_during_execution
                .iter()
                .flatten()
                .map(|t| (i64::from(t.weight), NodeTerm::parse(&t.preference)))
                .collect(),
            affinity: PodTerms {
                required: required(near.required_during_scheduling_ignored_during_execution),
                preferred: near.preferred_during_scheduling_ignored_during_execution.iter().flatten().map(weighted).collect(),
            },
            anti_affinity: PodTerms {
                required: required(away.required_during_scheduling_ignored_during_execution),
                preferred: away.preferred_during_scheduling_ignored_during_execution.iter().flatten().map(weighted).collect(),
            },
            spread,
            own_spread,
            claims: self.claims(name),
            labels: labels.into(),
        })
    }
    fn needs(&self) -> Result<Needs, BadQuantity> {
        let Some(status) = &self.status else { return self.spec.needs() };
        let infeasible = status.conditions.iter().flatten().any(|c| c.r#type == "PodResizePending" && c.reason.as_deref() == Some("Infeasible"));
        let sizes: Vec<&RawSize> = status.container_statuses.iter().chain(&status.init_container_statuses).flatten().collect();
        self.spec.needs_with(&sizes, infeasible)
    }
    fn condition(&self, r#type: &str, status: &str) -> Option<&RawCondition> {
        self.status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.r#type == r#type && c.status == status)
    }
    /// The message of `PodScheduled=False`, if that is its condition now.
    fn refusal(&self) -> Option<Arc<str>> {
        self.condition("PodScheduled", "False").map(|c| c.message.as_deref().unwrap_or_default().into())
    }
    fn preempted(&self) -> bool {
        self.condition("DisruptionTarget", "True").is_some_and(|c| c.reason.as_deref() == Some("PreemptionByScheduler"))
    }
}

impl PodInfo {
    /// From a stored Pod.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't a Pod.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        let raw: RawPod = serde_json::from_slice(stored.json())?;
        let status = raw.status.as_ref();
        let phase = status.and_then(|s| s.phase.as_deref()).unwrap_or_default();
        Ok(Self {
            namespace: stored.key.namespace.clone(),
            name: stored.key.name.clone(),
            uid: raw.metadata.uid.as_deref().unwrap_or_default().into(),
            revision: stored.revision,
            priority: raw.spec.priority.unwrap_or_default(),
            class: Arc::new(raw.class(&stored.key.namespace, &stored.key.name)?),
            node: raw.spec.node_name.as_deref().filter(|n| !n.is_empty()).map(Arc::from),
            finished: matches!(phase, "Succeeded" | "Failed"),
            gated: raw.spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty()),
            ours: raw.spec.scheduler_name.as_deref().is_none_or(|n| n.is_empty() || n == NAME),
            never_preempts: raw.spec.preemption_policy.as_deref() == Some("Never"),
            refusal: raw.refusal(),
            nominated: status.and_then(|s| s.nominated_node_name.as_deref()).filter(|n| !n.is_empty()).map(Arc::from),
            started: status.and_then(|s| s.start_time.as_deref()).and_then(|t| t.parse().ok()),
            preempted: raw.preempted(),
            generation: raw.metadata.generation.unwrap_or_default(),
        })
    }
}

/// The UID of a stored object, without reading the rest.
pub fn uid(stored: &Stored) -> Option<Arc<str>> {
    Some(stored.uid()).filter(|uid| !uid.is_empty()).map(Arc::from)
}
