//! What a pod gets for its claims.
use super::object::ClaimKey;
use std::collections::HashMap;
use std::sync::Arc;

/// What is to become of a pod's claims that wait for a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Volumes that are there, each for a claim.
    pub found: Vec<(Arc<str>, ClaimKey)>,
    /// Claims that a volume is to be made for.
    pub made: Vec<ClaimKey>,
}

impl Choice {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.made.is_empty()
    }
}

/// What is reserved for a pod.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub(super) node: Arc<str>,
    pub(super) choice: Choice,
    /// Revisions at which the writes were made, by the written object's name.
    pub(super) written: HashMap<Arc<str>, u64>,
}

impl Reserved {
    /// Reserved and not yet written.
    pub fn new(node: Arc<str>, choice: Choice) -> Self {
        Self { node, choice, written: HashMap::new() }
    }
}
