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
            Self::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::SpreadLabel => "node(s) didn't match pod topology spread constraints (missing required label)",
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
        })
    }
}

/// What a filter says of a node: nothing, or all that it has against it.
pub type Verdict = Vec<Reason>;

/// Why no node takes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub nodes: u32,
    /// How many nodes have each reason.
    pub reasons: BTreeMap<Reason, u32>,
    /// What may change that.
    pub wakes: Wake,
}

impl Diagnosis {
    /// The sentence of the `FailedScheduling` event and of the pod's condition.
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let mut counts: Vec<String> = self.reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        counts.sort();
        format!("0/{} nodes are available: {}.", self.nodes, counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_text() {
        let taint = Reason::Taint { key: "gpu".into(), value: "yes".into() };
        let reasons = BTreeMap::from([(Reason::Insufficient("cpu".into()), 10), (taint, 2), (Reason::Cordoned, 1)]);
        let diagnosis = Diagnosis { nodes: 13, reasons, wakes: Wake::NONE };
        let text = "0/13 nodes are available: 1 node(s) were unschedulable, 10 Insufficient cpu, 2 node(s) had untolerated taint {gpu: yes}.";
        assert_eq!(diagnosis.message(), text);
        assert_eq!(Diagnosis::default().message(), "no nodes available to schedule pods");
    }
}
