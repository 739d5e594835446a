//! The harness of the end-to-end tests: the clusters on simulated machines of `testbed`, and what is watched of them.
//!
//! * [`Terminal`]: a program on a terminal.
//! * [`Syncs`]: how often the log is brought to the disk.
//! * [`WebhookServer`]: a server of webhooks.
//! * [`history`]: what clients wrote, were told and watched, held against each other.
// all of this crate is test code: a failure is a panic, with what went wrong
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod allocations;
pub mod history;
pub mod syncs;
pub mod terminal;
pub mod webhook_server;

pub use syncs::Syncs;
pub use terminal::Terminal;
pub use testbed::{Answer, Cluster, Lab, Machine, cluster, eventually, lab, machine, output, run, sh, target_dir, whalesong};
pub use webhook_server::WebhookServer;
