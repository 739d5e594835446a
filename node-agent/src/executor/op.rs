//! An op on its way: the pod that it is for, what comes of it, and why it fails.
use crate::pod::probe::ProbeKind;
use crate::pod::{Observed, TroubleKind};
use crate::recorder::Subject;
use crate::runtime::{Container, PodRef, RuntimeError, Sandbox};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What came of an op.
#[derive(Debug)]
pub enum OpOutcome {
    /// Volumes are there, until when.
    Volumes(Option<Timestamp>),
    /// The sandbox, or that it is gone.
    Sandbox(Option<Sandbox>),
    /// A run as it is now.
    Run(Container),
    /// A run that is gone.
    Removed(String),
    /// A probe's result, and the container's words when it failed.
    Probed {
        /// Of which container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
        /// Of which run.
        run: String,
        /// Why it failed.
        failure: Option<String>,
    },
    /// A run has another size.
    Resized {
        /// Of which container.
        container: String,
        /// Which run.
        attempt: u32,
        /// What it has.
        size: ResourceRequirements,
    },
    /// Nothing is left on the node.
    Released,
    /// The object is deleted.
    Confirmed,
    /// It was asked for and is under way.
    Done,
    /// It didn't work.
    Failed(TroubleKind, String),
}

/// A pod and what was known of it when an op began.
#[derive(Clone)]
pub struct OpContext {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What was there.
    pub seen: Arc<Observed>,
    /// Cancelled when the pod is to end: pulls and waits are given up.
    pub ending: CancellationToken,
}

impl OpContext {
    /// Which pod.
    pub fn pod_ref(&self) -> PodRef {
        pod_ref(&self.pod)
    }
    /// As events name it.
    pub fn subject(&self) -> Subject {
        Subject::pod(&self.pod)
    }
}

/// How the runtime names a pod.
pub fn pod_ref(pod: &Pod) -> PodRef {
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    PodRef { uid: text(&pod.metadata.uid), namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name) }
}

/// A failure on the way of an op.
pub struct OpError(pub TroubleKind, pub String);

impl From<RuntimeError> for OpError {
    fn from(e: RuntimeError) -> Self {
        Self(TroubleKind::Failed, e.to_string())
    }
}
