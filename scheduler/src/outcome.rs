//! What is to become of a pod.
use crate::node::Resident;
use crate::pod::PodInfo;
use crate::reason::{Counts, Diagnosis, unavailable};
use crate::writes::Write;
use std::sync::Arc;

/// What is to become of a pod.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It goes to this node. The snapshot counts it there already.
    Bind(Arc<str>),
    /// No node takes it now.
    Unschedulable(Refusal),
}

impl Outcome {
    /// Who has to go for the pod.
    pub fn victims(&self) -> &[Arc<Resident>] {
        match self {
            Self::Unschedulable(Refusal { preemption: Preemption::Planned { victims, .. }, .. }) => victims,
            _ => &[],
        }
    }
}

/// A pod and its outcome.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// What is to become of it.
    pub outcome: Outcome,
    /// What is to be written, and to come about, before it is bound.
    pub before: Vec<Write>,
}

/// Why no node takes a pod, and whether room is made for it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub diagnosis: Arc<Diagnosis>,
    /// Whether.
    pub preemption: Preemption,
}

/// Whether room is made for a pod.
#[derive(Clone, Debug)]
pub enum Preemption {
    /// There is nowhere to make any.
    Nowhere,
    /// It doesn't want others to go (`preemptionPolicy: Never`).
    Never,
    /// Others go already.
    Waiting,
    /// That wouldn't help: so many nodes for each reason.
    Futile(Arc<Counts>),
    /// On a node, by the going of these pods.
    Planned {
        /// The node.
        node: Arc<str>,
        /// Who goes.
        victims: Vec<Arc<Resident>>,
        /// Less important pods that were nominated to that node, and no longer are.
        displaced: Vec<Arc<PodInfo>>,
    },
}

impl Refusal {
    /// The sentence of the `FailedScheduling` event and of the pod's condition.
    pub fn message(&self) -> String {
        let why = self.diagnosis.message();
        match &self.preemption {
            Preemption::Nowhere => why,
            Preemption::Never => format!("{why} preemption: not eligible due to preemptionPolicy=Never."),
            Preemption::Waiting => format!("{why} preemption: not eligible due to a terminating pod on the nominated node."),
            Preemption::Futile(counts) => format!("{why} preemption: {}", unavailable(self.diagnosis.nodes, counts)),
            Preemption::Planned { node, victims, .. } => {
                format!("{why} preemption: found a potential placement for pod on node {node}, preempting {} victims", victims.len())
            }
        }
    }
}
