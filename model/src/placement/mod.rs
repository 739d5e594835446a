//! What pods require of nodes and what nodes offer. The scheduler chooses a node by these rules, and a node admits a pod by the same ones.
//!
//! * [`needs`]: what a pod requires, parsed once;
//! * [`node`]: what a Node object says, and what its pods use;
//! * [`fit`]: whether a node satisfies a pod;
//! * [`resources`], [`labels`], [`ports`], [`taints`]: the terms in which both are expressed.
pub mod at_once;
pub mod error;
pub mod fit;
pub mod labels;
pub mod needs;
pub mod node;
pub mod ports;
pub mod resources;
pub mod taints;
