//! A node as the scheduler sees it.
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
    /// Breaks ties, by name.
    pub(crate) tie: u64,
}
