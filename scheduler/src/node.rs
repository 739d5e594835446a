//! A node as the scheduler sees it.
use jiff::Timestamp;
pub use model::placement::error::ParseError;
pub use model::placement::node::{NodeInfo, Usage, normal_image};
pub use model::placement::taints::{Effect, Taint};
use std::sync::Arc;

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
    /// Its pods.
    pub(crate) pods: Vec<Arc<Resident>>,
    /// Breaks ties, by name.
    pub(crate) tie: u64,
}

/// A pod on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// UID.
    pub uid: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// `spec.priority`.
    pub priority: i32,
    /// When it started to run.
    pub started: Option<Timestamp>,
    /// Being deleted.
    pub leaving: bool,
    /// Being deleted to make room for a more important one.
    pub preempted: bool,
    /// `metadata.generation`.
    pub generation: i64,
    /// Number of its class.
    pub(crate) class: u32,
}
