//! Persistent volumes, and claims to them.
mod claim;
mod claim_update;
mod disks;
mod iscsi;
mod modes;
mod persistent;
mod place;
mod sources;
mod spec;

pub(super) use claim::{CLAIM, validate_spec as validate_claim};
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
