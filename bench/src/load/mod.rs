//! The loads on an API server. Each returns one line of figures.
pub mod definitions;
pub mod failure;
pub mod fleet;
pub mod growth;
pub mod kubelet;
pub mod nodes;
pub mod podman;
pub mod pods;
pub mod rest;
pub mod restart;
pub mod rollout;
pub mod watch;
pub mod writes;

use crate::api::ApiError;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether a pod or a node is Ready.
pub fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Counts failures, and says the first one.
#[derive(Default)]
pub struct Failures(AtomicUsize);

impl Failures {
    /// Whether it went well; a failure is counted.
    pub fn ok<T>(&self, what: &str, result: Result<T, ApiError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                    eprintln!("{what}: {error}");
                }
                None
            }
        }
    }
    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
