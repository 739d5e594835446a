//! What is known of a connection: whether it carries, when something last came over it, and what the server refused.
use async_nats::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::time::Instant;

/// What is known of the connection.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) connected: watch::Sender<bool>,
    pub(crate) heard: watch::Sender<Instant>,
    /// The last thing that the server refused; multiplexers fail what waits for it.
    pub(crate) refused: watch::Sender<String>,
    /// Whether the loss of the connection is meant.
    pub(crate) leaving: AtomicBool,
    /// Whether it was said already that the server lets us in no more.
    denied: AtomicBool,
}

impl Health {
    pub(crate) fn new(connected: bool) -> Arc<Self> {
        Arc::new(Self {
            connected: watch::Sender::new(connected),
            heard: watch::Sender::new(Instant::now()),
            refused: watch::Sender::new(String::new()),
            leaving: AtomicBool::new(false),
            denied: AtomicBool::new(false),
        })
    }

    /// Takes note of what happened to the connection.
    pub(super) fn event(&self, event: &Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to NATS");
                self.denied.store(false, Ordering::Relaxed);
                self.connected.send_replace(true);
            }
            Event::Disconnected | Event::Closed => {
                if !self.leaving.load(Ordering::Relaxed) {
                    tracing::warn!("the connection to NATS is lost");
                }
                self.connected.send_replace(false);
            }
            Event::ServerError(async_nats::ServerError::Other(words)) if words.to_ascii_lowercase().contains("permissions violation") => {
                tracing::error!(%words, "NATS refuses");
                self.refused.send_replace(words.clone());
            }
            // each try to come back ends so
            other if other.to_string().contains("authorization violation") => {
                if !self.denied.swap(true, Ordering::Relaxed) {
                    tracing::error!("NATS doesn't let us in any more: the key was revoked, or the server is another one");
                }
            }
            other => tracing::warn!(event = %other, "NATS"),
        }
    }
}
