//! Rules of kinds that are data: what Kubernetes' API declares of a field (required, an enumeration, a minimum, immutable …) and its defaults.
//!
//! `model/schema/rules.yaml` has those that are written by hand; `cargo run -p xtask -- rules` adds the ones that the tags of Kubernetes' Go types
//! declare, and packs both. A definition that has no rule, and leads to none, costs a look-up. What isn't of such a form is code: a kind's
//! [`crate::strategy::Strategy`].
mod check;
mod default;
mod format;
mod rule;
mod table;
mod update;

pub use check::validate;
pub use default::default;
pub use update::{validate_status, validate_update};

#[cfg(test)]
mod tests;
