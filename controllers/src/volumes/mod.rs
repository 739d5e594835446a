//! Volumes and claims: who is bound to whom, what becomes of a volume whose claim is gone, and what keeps either from going too early.
//!
//! A claim is bound in an order in which a cut does no harm: the volume names the claim first, then the claim its volume, then both say that they are bound.
//! Each is a write of its own that fails unless the object is as it was seen; so a volume never has two claims.
mod binder;
mod default_class;
mod ephemeral;
mod expansion;
mod index;
mod matching;
mod protection;
mod provisioner;

pub use binder::Binder;
pub use default_class::DefaultStorageClass;
pub use ephemeral::EphemeralVolumes;
pub use expansion::Expansion;
pub use index::{CLAIM_FIELDS, VOLUME_FIELDS};
pub use protection::{ClaimProtection, VolumeProtection};
pub use provisioner::Provisioner;

#[cfg(test)]
mod tests;
