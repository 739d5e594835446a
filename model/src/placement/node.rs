//! A node as placement sees it: what its object says, and what its pods use.
use super::error::ParseError;
use super::labels::Labels;
use super::needs::Needs;
use super::ports::HostPort;
use super::resources::{RawList, Requests, Resources};
use super::taints::{Effect, Taint};
use crate::Stored;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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

impl Usage {
    /// Counts a pod.
    pub fn add(&mut self, needs: &Needs) {
        self.requests.add(&needs.requests);
        self.pods += 1;
        for port in &needs.ports {
            *self.ports.entry(port.clone()).or_default() += 1;
        }
    }
    /// Counts a pod no longer.
    pub fn remove(&mut self, needs: &Needs) {
        self.requests.subtract(&needs.requests);
        self.pods -= 1;
        for port in &needs.ports {
            if let Some(n) = self.ports.get_mut(port) {
                *n = n.saturating_sub(1);
            }
        }
        self.ports.retain(|_, n| *n > 0);
    }
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
