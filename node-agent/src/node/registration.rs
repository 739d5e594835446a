//! What a node says of itself when it registers.
use super::machine::Machine;
use crate::proxy::Unserved;
use std::collections::BTreeMap;
use tokio::sync::watch::Receiver;

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The range that its pods' addresses come from.
    pub pod_cidr: String,
    /// Labels beside the standard ones.
    pub labels: BTreeMap<String, String>,
    /// Where the directories of volumes are.
    pub directories: String,
    /// The most pods.
    pub max_pods: u32,
    /// The machine.
    pub machine: Machine,
    /// What of the Services it doesn't serve; `None` where it serves none.
    pub unserved: Option<Receiver<Vec<Unserved>>>,
}
