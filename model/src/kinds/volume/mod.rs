//! Persistent volumes, and claims to them.
mod amount;
mod claim;
mod claim_template;
mod claim_update;
mod disks;
mod iscsi;
mod modes;
mod persistent;
mod place;
mod sources;
mod spec;

pub(super) use claim::{CLAIM, validate_spec as validate_claim};
pub(super) use claim_template::validate as validate_claim_template;
pub(super) use persistent::VOLUME;
pub(super) use place::Use;
pub(super) use sources::default as default_source;
pub(super) use spec::validate as validate_spec;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;
