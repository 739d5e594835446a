//! What must have come about before a pod is bound: plug-ins reserve it when a node is chosen, the scheduler writes what they return, and binds the pod once
//! the watches show that all of it is done. Each is three pure functions and one line in [`STEPS`].
use crate::node::Node;
use crate::pod::PodClass;
use crate::volumes::{Volumes, reserve as volumes};
use crate::watched::Watched;
use crate::writes::{Progress, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long it may take (Kubernetes' `bindTimeoutSeconds`).
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A plug-in that reserves.
pub struct Step {
    /// Kubernetes' name of it.
    pub name: &'static str,
    /// Reserves what the pod of this UID and class gets on the node; what is to be written for it.
    pub reserve: fn(&mut Volumes, &Arc<str>, &PodClass, &Node) -> Vec<Write>,
    /// A write was made: the object's name and revision.
    pub written: fn(&mut Volumes, &str, &Arc<str>, u64),
    /// How far it is, for the pod of this UID on this node.
    pub progress: fn(&Volumes, &str, Option<&Node>) -> Progress,
    /// What it reads.
    pub reads: &'static [Watched],
}

/// All of them.
pub const STEPS: [Step; 1] = [Step {
    name: "VolumeBinding",
    reserve: volumes::reserve,
    written: volumes::written,
    progress: volumes::progress,
    reads: &[Watched::NODES, Watched::CLAIMS, Watched::VOLUMES, Watched::STORAGE_CLASSES],
}];

/// A pod's write was made, with this revision: what watches show from there on is what came of it.
pub fn written(volumes: &mut Volumes, uid: &str, write: &Write, revision: u64) {
    for step in &STEPS {
        (step.written)(volumes, uid, &write.name, revision);
    }
}
