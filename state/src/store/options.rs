//! How a store is opened: what its caller chooses, and the defaults.
use super::window::WindowLimits;
use arc_swap::ArcSwap;
use model::Kinds;
use std::sync::Arc;
use std::time::Duration;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The cluster's name: letters, digits, `-`.
    pub cluster: String,
    /// Replicas of each stream: 1, 3 or 5.
    pub replicas: usize,
    /// The table of kinds: tells where a resource is kept.
    pub kinds: Arc<ArcSwap<Kinds>>,
    /// How much of the past each resource keeps.
    pub window: WindowLimits,
    /// How long deletion markers stay in the log. A process that was cut off for less catches up without loading anew.
    pub marker_ttl: Duration,
    /// Whether writes are gathered into atomic batches where the server can do that.
    pub group_commit: bool,
    /// How long an acknowledgement may take before the write is looked for.
    pub ack_timeout: Duration,
    /// How long a write is tried, and looked for when its acknowledgement was lost, before its outcome is called unknown.
    pub resolve_for: Duration,
    /// How long a consistent read waits for the log.
    pub barrier_timeout: Duration,
    /// How long opening waits for the first load.
    pub open_timeout: Duration,
    /// A connection of the server's system account, to ask whether it syncs each write.
    pub system: Option<async_nats::Client>,
    /// Accept a server that acknowledges writes before they are on its disk.
    pub allow_unsafe_sync: bool,
}

impl StoreOptions {
    /// The defaults for a cluster.
    pub fn new(cluster: impl Into<String>, kinds: Arc<ArcSwap<Kinds>>) -> Self {
        Self {
            cluster: cluster.into(),
            replicas: 1,
            kinds,
            window: WindowLimits::default(),
            marker_ttl: Duration::from_secs(3_600),
            group_commit: true,
            ack_timeout: Duration::from_secs(3),
            resolve_for: Duration::from_secs(15),
            barrier_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(60),
            system: None,
            allow_unsafe_sync: false,
        }
    }
}
