//! What a pod asks of a node and what a node offers: the rules by which the scheduler chooses a node and by which the node itself admits a pod.
//!
//! * [`needs`]: what a pod asks of a node, parsed once;
//! * [`node`]: what a node's object says, and what its pods use;
//! * [`fit`]: whether the one suits the other;
//! * [`error`]: why an object is not taken into account;
//! * [`resources`], [`labels`], [`ports`], [`taints`]: the terms in which both are expressed.
pub mod error;
pub mod fit;
pub mod labels;
pub mod needs;
pub mod node;
pub mod ports;
pub mod resources;
pub mod taints;
