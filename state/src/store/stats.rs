//! Counters of the store's own work.
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a stream's committer and tail count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) singles: Counter,
    pub(crate) batches: Counter,
    pub(crate) batched: Counter,
    pub(crate) split: Counter,
    pub(crate) stored: Counter,
    pub(crate) stale: Counter,
    pub(crate) again: Counter,
    pub(crate) resolved: Counter,
    pub(crate) barriers: Counter,
    pub(crate) follows: Counter,
    pub(crate) loads: Counter,
}

/// What one stream has done since it was opened, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// The stream's name.
    pub stream: String,
    /// Up to which revision the cache is complete.
    pub revision: u64,
    /// Objects in the cache.
    pub objects: u64,
    /// Writes that wait for the committer.
    pub queued: u64,
    /// Messages that were published one by one.
    pub singles: u64,
    /// Atomic batches that were published.
    pub batches: u64,
    /// Messages in them.
    pub batched: u64,
    /// Batches that were refused for a wrong expectation.
    pub split: u64,
    /// Writes that reached the log.
    pub stored: u64,
    /// Writes that were refused for a wrong expectation.
    pub stale: u64,
    /// Writes that went again.
    pub again: u64,
    /// Writes whose acknowledgement was lost and that were looked for.
    pub resolved: u64,
    /// Questions for the log's end.
    pub barriers: u64,
    /// How often the tail (re)started its consumer.
    pub follows: u64,
    /// How often everything was loaded.
    pub loads: u64,
}

impl Counters {
    pub(crate) fn stats(&self) -> StreamStats {
        StreamStats {
            singles: self.singles.get(),
            batches: self.batches.get(),
            batched: self.batched.get(),
            split: self.split.get(),
            stored: self.stored.get(),
            stale: self.stale.get(),
            again: self.again.get(),
            resolved: self.resolved.get(),
            barriers: self.barriers.get(),
            follows: self.follows.get(),
            loads: self.loads.get(),
            ..StreamStats::default()
        }
    }
}
