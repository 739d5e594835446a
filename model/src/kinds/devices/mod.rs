//! Devices that nodes offer, and claims to them: `resource.k8s.io`.
mod capacity;
mod claim;
mod features;
mod parts;
mod slice;
mod status;
mod taint_rule;

pub(super) use claim::{CLAIM, CLASS, TEMPLATE};
pub(super) use slice::SLICE;
pub(super) use taint_rule::TAINT_RULE;

#[cfg(test)]
mod tests;
