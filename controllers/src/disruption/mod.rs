//! PodDisruptionBudgets: counts how many of their pods are healthy and how many may be evicted. What an eviction takes of a budget, `state` writes itself; a
//! status is therefore written only over the one that was counted from.
mod budget;
mod controller;
mod expected;
mod selection;
mod stale;
#[cfg(test)]
mod tests;

pub use controller::Disruptions;
