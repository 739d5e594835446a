//! ResourceQuotas: what an object takes of which resource, which quotas count it, and when that is too much. The rules are those of the Kubernetes
//! documentation, "Resource Quotas".
//!
//! [`Taken`] says what an object takes, by the names that quotas have for it. A [`Quota`] says how much of that it counts, and whether it has room.
mod limit;
mod pods;
mod scopes;
mod usage;

pub use limit::Quota;
pub use usage::{Taken, counts};

#[cfg(test)]
mod tests;
