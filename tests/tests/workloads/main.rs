//! Workloads other than Deployments, and what they need, as `kubectl` works with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod autoscalers;
mod budgets;
mod daemon_sets;
mod jobs;
mod replication_controllers;
mod stateful_sets;
mod volumes;
