//! A node as the scheduler sees it.
use crate::labels::Labels;
use crate::pod::HostPort;
use crate::resources::{BadQuantity, RawList, Requests, Resources};
use model::Stored;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a taint does to pods that don't tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Keeps them off.
    NoSchedule,
    /// Makes the node the last choice.
    PreferNoSchedule,
    /// Keeps them off and evicts those that run.
    NoExecute,
}

impl Effect {
    /// From the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }
}

/// A node's taint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Key.
    pub key: Arc<str>,
    /// Value; `""` for none.
    pub value: Arc<str>,
    /// What it does.
    pub effect: Effect,
}

/// What a Node object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its labels.
    pub labels: Labels,
    /// Its taints, in the object's order.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `status.allocatable`.
    pub allocatable: Resources,
    /// Bytes of each image that it holds, by each of the image's names.
    pub images: BTreeMap<Arc<str>, i64>,
}

/// What the pods on a node use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What they ask for together.
    pub requests: Requests,
    /// How many they are.
    pub pods: i64,
    /// Host ports in use, with the number of pods that use them.
    pub ports: HashMap<HostPort, u32>,
}

/// A node of the snapshot.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Whether its object exists; without one, this only keeps account of pods bound to that name.
    pub present: bool,
    /// What its object says.
    pub info: NodeInfo,
    /// What its pods use.
    pub used: Usage,
    /// Breaks ties, by name.
    pub(crate) tie: u64,
}

#[derive(Deserialize)]
struct RawNode {
    metadata: RawMeta,
    spec: Option<RawSpec>,
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
struct RawMeta {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct RawSpec {
    taints: Option<Vec<RawTaint>>,
    unschedulable: Option<bool>,
}

#[derive(Deserialize)]
struct RawTaint {
    key: String,
    value: Option<String>,
    effect: String,
}

#[derive(Default, Deserialize)]
struct RawStatus {
    allocatable: Option<RawList>,
    capacity: Option<RawList>,
    images: Option<Vec<RawImage>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawImage {
    names: Option<Vec<String>>,
    size_bytes: Option<i64>,
}

/// Why an object isn't taken into the snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It isn't what its kind says.
    #[error("the object does not decode: {0}")]
    Json(#[from] serde_json::Error),
    /// A resource amount in it.
    #[error(transparent)]
    Quantity(#[from] BadQuantity),
}

impl NodeInfo {
    /// From a stored Node.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't a Node.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        let raw: RawNode = serde_json::from_slice(stored.json())?;
        let (spec, status) = (raw.spec.unwrap_or_default(), raw.status.unwrap_or_default());
        let taint = |t: RawTaint| Some(Taint { key: t.key.into(), value: t.value.unwrap_or_default().into(), effect: Effect::parse(&t.effect)? });
        let mut images = BTreeMap::new();
        for image in status.images.into_iter().flatten() {
            let size = image.size_bytes.unwrap_or_default();
            images.extend(image.names.into_iter().flatten().map(|name| (normal_image(&name), size)));
        }
        Ok(Self {
            labels: raw.metadata.labels.unwrap_or_default().into(),
            taints: spec.taints.into_iter().flatten().filter_map(taint).collect(),
            unschedulable: spec.unschedulable.unwrap_or_default(),
            allocatable: Resources::parse(&status.allocatable.or(status.capacity).unwrap_or_default())?,
            images,
        })
    }
}

/// An image's name with the tag that it has by default.
pub fn normal_image(name: &str) -> Arc<str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.into() } else { format!("{name}:latest").into() }
}
