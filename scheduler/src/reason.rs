//! Why a node doesn't take a pod, and what that adds up to over all nodes: in Kubernetes' words.
use crate::wake::Wake;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Why one node doesn't take a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Cordoned.
    Cordoned,
    /// A taint that the pod doesn't tolerate.
    Taint {
        /// Its key.
        key: Arc<str>,
        /// Its value.
        value: Arc<str>,
    },
    /// Node selector or required node affinity.
    NodeAffinity,
    /// The pod names the nodes that it may run on, and this isn't one.
    NotNamed,
    /// A host port is taken.
    Ports,
    /// The node's number of pods is reached.
    TooManyPods,
    /// Too little of a resource is left.
    Insufficient(Arc<str>),
    /// The node has less of a resource than the pod asks for.
    TooSmall(Arc<str>),
    /// The pods of a spread constraint would become too uneven.
    Spread,
    /// The node lacks a label that a spread constraint goes by.
    SpreadLabel,
    /// No pod that the pod must be near to is there.
    Affinity,
    /// A pod that the pod must be away from is there.
    AntiAffinity,
    /// A pod is there that must be away from this one.
    ExistingAntiAffinity,
    /// A claim for one pod only is in use by another.
    ClaimInUse,
    /// The volume of a claim can't be reached from the node.
    VolumeAffinity,
    /// No volume that can be reached from the node is there for a claim, and none can be made.
    NoVolume,
    /// The volume of a claim isn't there.
    VolumeGone,
    /// The volume of a claim is in another zone.
    VolumeZone,
    /// No pod of the node is less important than this one.
    NoVictims,
    /// The pod wouldn't fit whichever pods the node were rid of.
    NotHelpful,
}

impl Reason {
    /// Whether the node might take the pod if other pods went.
    pub fn is_resolvable(&self) -> bool {
        matches!(
            self,
            Self::Ports | Self::TooManyPods | Self::Insufficient(_) | Self::Spread | Self::AntiAffinity | Self::ExistingAntiAffinity | Self::ClaimInUse
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cordoned => "node(s) were unschedulable",
            Self::Taint { key, value } => return write!(f, "node(s) had untolerated taint {{{key}: {value}}}"),
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::NotNamed => "node(s) didn't satisfy plugin(s) [NodeAffinity]",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::TooManyPods => "Too many pods",
            Self::Insufficient(resource) | Self::TooSmall(resource) => return write!(f, "Insufficient {resource}"),
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::SpreadLabel => "node(s) didn't match pod topology spread constraints (missing required label)",
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Self::ClaimInUse => "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
            Self::VolumeAffinity => "node(s) didn't match PersistentVolume's node affinity",
            Self::NoVolume => "node(s) didn't find available persistent volumes to bind",
            Self::VolumeGone => "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
            Self::VolumeZone => "node(s) had no available volume zone",
            Self::NoVictims => "No preemption victims found for incoming pod",
            Self::NotHelpful => "Preemption is not helpful for scheduling",
        })
    }
}

/// What a filter says of a node: nothing, or all that it has against it.
pub type Verdict = Vec<Reason>;

/// How many nodes have each reason.
pub type Counts = BTreeMap<Reason, u32>;

/// Why no node takes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub nodes: u32,
    /// Why the pod can't run anywhere, whatever the nodes are like.
    pub whole: Option<String>,
    /// How many nodes have each reason.
    pub reasons: Counts,
    /// What may change that.
    pub wakes: Wake,
    /// Nodes that might take the pod if other pods went.
    pub(crate) resolvable: Vec<u32>,
}

impl Diagnosis {
    /// The sentence of the `FailedScheduling` event and of the pod's condition.
    pub fn message(&self) -> String {
        match &self.whole {
            _ if self.nodes == 0 => "no nodes available to schedule pods".to_owned(),
            Some(why) => format!("0/{} nodes are available: {why}.", self.nodes),
            None => unavailable(self.nodes, &self.reasons),
        }
    }
}

/// How many of all nodes have which reason, sorted as text.
pub fn unavailable(nodes: u32, reasons: &Counts) -> String {
    let mut texts: BTreeMap<String, u32> = BTreeMap::new();
    for (reason, n) in reasons {
        *texts.entry(reason.to_string()).or_default() += n;
    }
    let mut counts: Vec<String> = texts.into_iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    counts.sort();
    format!("0/{nodes} nodes are available: {}.", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_text() {
        let taint = Reason::Taint { key: "gpu".into(), value: "yes".into() };
        let reasons = BTreeMap::from([(Reason::Insufficient("cpu".into()), 10), (taint, 2), (Reason::Cordoned, 1)]);
        let diagnosis = Diagnosis { nodes: 13, reasons, ..Diagnosis::default() };
        let text = "0/13 nodes are available: 1 node(s) were unschedulable, 10 Insufficient cpu, 2 node(s) had untolerated taint {gpu: yes}.";
        assert_eq!(diagnosis.message(), text);
        assert_eq!(Diagnosis::default().message(), "no nodes available to schedule pods");
    }
}
