//! Preemption: a pod that no node takes gets one by the going of less important pods. Pure: which pods these are, and on which node.
//!
//! * [`plan`]: the victims on one node;
//! * [`search`]: the best node.
pub mod plan;
#[cfg(test)]
mod properties;
pub mod search;
#[cfg(test)]
mod tests;
