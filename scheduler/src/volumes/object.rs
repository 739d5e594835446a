//! Claims, volumes and storage classes as the scheduler sees them.
use crate::labels::{Labels, NodeTerm, Selector};
use crate::node::ParseError;
use k8s_openapi::api::core::v1::{NodeSelectorTerm, TopologySelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use model::Stored;
use model::placement::resources::{RawList, Resources};
use model::storage::{BIND_COMPLETED, CLASS, SELECTED_NODE};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;

const STORAGE: &str = "storage";

/// A claim's namespace and name.
pub type ClaimKey = (Arc<str>, Arc<str>);

/// A claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its UID.
    pub uid: Arc<str>,
    /// Revision that it was parsed from.
    pub revision: u64,
    /// The volume that it is bound to; empty for none.
    pub volume: Arc<str>,
    /// Whether the binding is complete.
    pub bound: bool,
    /// Its volume is gone.
    pub lost: bool,
    /// Being deleted.
    pub terminating: bool,
    /// UID of the controller that it was made by.
    pub controller: Option<Arc<str>>,
    /// Storage class; empty for none.
    pub class: Arc<str>,
    /// The node that its volume is to be made on.
    pub selected_node: Option<Arc<str>>,
    /// What a volume must be like to be bound to it.
    pub wanted: Wanted,
}

/// What a claim asks of a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Bytes.
    pub size: i64,
    modes: Vec<String>,
    block: bool,
    selector: Option<Selector>,
    attributes: String,
}

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Revision that it was parsed from.
    pub revision: u64,
    /// Storage class; empty for none.
    pub class: Arc<str>,
    /// Bytes.
    pub size: i64,
    /// The claim that it is bound to or meant for, with that one's UID, which may be empty.
    pub claim: Option<(ClaimKey, Arc<str>)>,
    /// Its labels.
    pub labels: Labels,
    available: bool,
    terminating: bool,
    modes: Vec<String>,
    block: bool,
    attributes: String,
    nodes: Option<Vec<NodeTerm>>,
}

/// A storage class.
#[derive(Clone, Debug)]
pub struct Class {
    /// Who makes its volumes.
    pub provisioner: String,
    /// Whether volumes are bound once a pod that uses them has a node.
    pub delayed: bool,
    /// Where volumes can be made: one of these; empty: anywhere.
    pub topologies: Vec<Vec<(String, Vec<String>)>>,
}

#[derive(Deserialize)]
struct Raw<S> {
    metadata: RawMeta,
    spec: S,
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    uid: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<IgnoredAny>,
    owner_references: Option<Vec<RawOwner>>,
}

impl RawMeta {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
    fn class(&self, named: Option<&str>) -> Arc<str> {
        self.annotation(CLASS).or(named).unwrap_or_default().into()
    }
}

#[derive(Deserialize)]
struct RawOwner {
    uid: String,
    controller: Option<bool>,
}

#[derive(Deserialize)]
struct RawStatus {
    phase: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawClaim {
    volume_name: Option<String>,
    storage_class_name: Option<String>,
    access_modes: Option<Vec<String>>,
    volume_mode: Option<String>,
    volume_attributes_class_name: Option<String>,
    selector: Option<LabelSelector>,
    resources: Option<RawRequests>,
}

#[derive(Deserialize)]
struct RawRequests {
    requests: Option<RawList>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVolume {
    storage_class_name: Option<String>,
    access_modes: Option<Vec<String>>,
    volume_mode: Option<String>,
    volume_attributes_class_name: Option<String>,
    capacity: Option<RawList>,
    claim_ref: Option<RawClaimRef>,
    node_affinity: Option<RawAffinity>,
}

#[derive(Deserialize)]
struct RawClaimRef {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize)]
struct RawAffinity {
    required: Option<RawTerms>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTerms {
    node_selector_terms: Vec<NodeSelectorTerm>,
}

fn bytes(list: Option<&RawList>) -> Result<i64, ParseError> {
    Ok(list.map(Resources::parse).transpose()?.unwrap_or_default().extended(STORAGE))
}

fn is_block(mode: Option<&str>) -> bool {
    mode == Some("Block")
}

impl Claim {
    /// From a stored claim.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        let Raw { metadata, spec, status } = serde_json::from_slice::<Raw<RawClaim>>(stored.json())?;
        let volume: Arc<str> = spec.volume_name.as_deref().unwrap_or_default().into();
        let controller = metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true));
        Ok(Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            revision: stored.revision,
            bound: !volume.is_empty() && metadata.annotation(BIND_COMPLETED).is_some(),
            volume,
            lost: status.and_then(|s| s.phase).as_deref() == Some("Lost"),
            terminating: metadata.deletion_timestamp.is_some(),
            controller: controller.map(|o| o.uid.as_str().into()),
            class: metadata.class(spec.storage_class_name.as_deref()),
            selected_node: metadata.annotation(SELECTED_NODE).map(Arc::from),
            wanted: Wanted {
                size: bytes(spec.resources.as_ref().and_then(|r| r.requests.as_ref()))?,
                modes: spec.access_modes.unwrap_or_default(),
                block: is_block(spec.volume_mode.as_deref()),
                selector: spec.selector.as_ref().map(|s| Selector::parse(Some(s))),
                attributes: spec.volume_attributes_class_name.unwrap_or_default(),
            },
        })
    }
    /// Whether only one pod may use it at a time.
    pub fn is_for_one_pod(&self) -> bool {
        self.wanted.modes.iter().any(|m| m == "ReadWriteOncePod")
    }
}

impl Volume {
    /// From a stored volume.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        let Raw { metadata, spec, status } = serde_json::from_slice::<Raw<RawVolume>>(stored.json())?;
        let text = |field: &Option<String>| Arc::from(field.as_deref().unwrap_or_default());
        let terms = spec.node_affinity.and_then(|a| a.required).map(|r| r.node_selector_terms.iter().map(NodeTerm::parse).collect());
        Ok(Self {
            revision: stored.revision,
            class: metadata.class(spec.storage_class_name.as_deref()),
            size: bytes(spec.capacity.as_ref())?,
            claim: spec.claim_ref.map(|c| ((text(&c.namespace), text(&c.name)), text(&c.uid))),
            labels: metadata.labels.unwrap_or_default().into(),
            available: status.and_then(|s| s.phase).as_deref() == Some("Available"),
            terminating: metadata.deletion_timestamp.is_some(),
            modes: spec.access_modes.unwrap_or_default(),
            block: is_block(spec.volume_mode.as_deref()),
            attributes: spec.volume_attributes_class_name.unwrap_or_default(),
            nodes: terms,
        })
    }
    /// Whether it can be reached from a node.
    pub fn is_reached_from(&self, name: &str, labels: &Labels) -> bool {
        self.nodes.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(name, labels)))
    }
    /// Whether it is bound to this claim or meant for it.
    pub fn is_for(&self, key: &ClaimKey, uid: &str) -> bool {
        self.claim.as_ref().is_some_and(|(of, id)| of == key && (id.is_empty() || **id == *uid))
    }
    /// Whether it is what a claim asks for, wherever it is.
    pub fn suits(&self, key: &ClaimKey, claim: &Claim) -> bool {
        let wanted = &claim.wanted;
        let alike = self.size >= wanted.size && self.block == wanted.block && self.attributes == wanted.attributes && !self.terminating;
        match &self.claim {
            Some(_) => alike && self.is_for(key, &claim.uid),
            None => alike && self.available && self.class == claim.class && wanted.takes(self),
        }
    }
}

impl Wanted {
    fn takes(&self, volume: &Volume) -> bool {
        self.selector.as_ref().is_none_or(|s| s.matches(&volume.labels)) && self.modes.iter().all(|mode| volume.modes.contains(mode))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawClass {
    provisioner: String,
    volume_binding_mode: Option<String>,
    allowed_topologies: Option<Vec<TopologySelectorTerm>>,
}

impl Class {
    /// From a stored storage class.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        let raw: RawClass = serde_json::from_slice(stored.json())?;
        let term = |t: TopologySelectorTerm| t.match_label_expressions.into_iter().flatten().map(|e| (e.key, e.values)).collect();
        Ok(Self {
            provisioner: raw.provisioner,
            delayed: raw.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
            topologies: raw.allowed_topologies.into_iter().flatten().map(term).collect(),
        })
    }
    /// Whether somebody makes volumes of it.
    pub fn has_provisioner(&self) -> bool {
        !matches!(self.provisioner.as_str(), "" | "kubernetes.io/no-provisioner")
    }
    /// Whether a volume can be made for a node.
    pub fn reaches(&self, labels: &Labels) -> bool {
        let holds = |(key, values): &(String, Vec<String>)| labels.get(key).is_some_and(|v| values.iter().any(|one| one == v));
        self.topologies.is_empty() || self.topologies.iter().any(|all| all.iter().all(holds))
    }
}
