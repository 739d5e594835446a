//! Claims and volumes: what there is, what pods use, and what is reserved for pods that are about to be bound.
//!
//! * [`object`]: claims, volumes and storage classes;
//! * [`choice`]: what a pod gets, and what of it is reserved;
//! * [`state`]: all of them;
//! * [`choose`]: which volumes a pod gets on a node;
//! * [`filter`]: the filters;
//! * [`reserve`]: what is written before a pod is bound, and when that has come about.
pub mod choice;
pub mod choose;
pub mod filter;
pub mod object;
pub mod reserve;
pub mod state;
#[cfg(test)]
mod tests;

pub use state::Volumes;
