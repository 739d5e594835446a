//! Workloads other than Deployments, and what they need, as `kubectl` works with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod volumes;
