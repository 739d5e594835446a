//! One stream and all that this process has of it: its log in memory, the loops that read and write it, and what a write may expect of it.
use super::barrier::Barrier;
use super::commit::{Committer, PendingGroup, Policy, PublishContext};
use super::error::{CommitError, StoreError};
use super::log::Log;
use super::options::StoreOptions;
use super::server::{OpenStream, StreamServer};
use super::stats::{Counters, StreamStats};
use super::streams::Which;
use super::table::Last;
use super::tail::Tail;
use super::wire::{self, Publisher};
use bus::actor::System;
use model::Key;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Writes that wait for the committer at most; who comes later waits for room.
const QUEUE: usize = 4_096;

/// Where a store's loops run, and what ends them: the last clone of the store, or the system.
#[derive(Clone, Copy)]
pub(super) struct Loops<'a> {
    pub(super) system: &'a System,
    pub(super) stop: &'a CancellationToken,
}

impl Loops<'_> {
    fn start<R: Future<Output = ()> + Send + 'static>(self, stream: &str, name: &str, run: impl FnOnce(CancellationToken) -> R) {
        let run = run(self.stop.clone());
        self.system.vital(&format!("{stream}-{name}"), |_| run);
    }
}

/// One stream and all that this process has of it.
pub(super) struct Shard {
    pub(super) log: Arc<Log>,
    pub(super) server: Arc<dyn StreamServer>,
    pub(super) barrier: Barrier,
    pub(super) counters: Arc<Counters>,
    pub(super) queue: mpsc::Sender<PendingGroup>,
    /// Whether the server takes several messages as one.
    pub(super) batches: bool,
}

impl Shard {
    pub(super) async fn start(OpenStream { server, batches }: OpenStream, which: Which, options: &StoreOptions, loops: Loops<'_>) -> Result<Self, StoreError> {
        let name = server.stream().to_owned();
        let log = Arc::new(Log::new(which.bucket(&options.cluster).prefix(), options.marker_ttl, options.window, loops.stop.clone()));
        let counters = Arc::new(Counters::default());
        let (barrier, questions) = Barrier::new(log.clone(), server.clone(), counters.clone(), options.barrier_timeout);
        let (queue, inbox) = mpsc::channel(QUEUE);
        let publisher = Publisher { server: server.clone(), session: log.session.clone(), timeout: options.ack_timeout };
        let context = PublishContext { log: log.clone(), publisher, server: server.clone(), barrier: barrier.clone(), counters: counters.clone() };
        let tail = Tail::new(log.clone(), server.clone(), counters.clone());
        loops.start(&name, "tail", |stop| tail.run(stop));
        loops.start(&name, "barrier", |stop| questions.run(stop));
        let policy = match (batches, options.replicas) {
            (false, _) => Policy::SINGLES,
            (true, 0 | 1) => Policy::ALONE,
            (true, _) => Policy::REPLICATED,
        };
        loops.start(&name, "commit", |stop| Committer::new(context, policy, inbox).run(stop));
        let shard = Self { log, server, barrier, counters, queue, batches };
        shard.loaded(options.open_timeout).await?;
        Ok(shard)
    }

    async fn loaded(&self, within: Duration) -> Result<(), StoreError> {
        let mut ready = self.log.ready();
        match tokio::time::timeout(within, ready.wait_for(|ready| *ready)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Unavailable(format!("{} was not loaded within {within:?}", self.server.stream()))),
        }
    }

    /// The sequence that a write expects of its subject, as far as the cache knows. It may be behind the log, which has the last word; only
    /// what can't become true any more is a conflict here.
    pub(super) async fn base(&self, key: &Key, expect: u64) -> Result<u64, CommitError> {
        match self.log.last(key) {
            Last::Live(revision) if expect == 0 => {
                tracing::trace!(%key, revision, "a create of what exists");
                self.up_to_date().await?;
                match self.log.last(key) {
                    Last::Live(_) => Err(CommitError::Conflict),
                    last => Ok(last.sequence()),
                }
            }
            last if expect == 0 => Ok(last.sequence()),
            last if last.sequence() > expect => Err(CommitError::Conflict),
            _ => Ok(expect),
        }
    }

    /// After the log refused a write's expectation: the sequence that a create may expect instead, or the conflict.
    pub(super) async fn again(&self, key: &Key, expect: u64, subject: &str) -> Result<u64, CommitError> {
        self.up_to_date().await?;
        let last = self.log.last(key);
        if expect != 0 && last.sequence() == expect {
            // another write of its group was refused
            return Ok(expect);
        }
        if expect != 0 || matches!(last, Last::Live(_)) {
            return Err(CommitError::Conflict);
        }
        // The cache may remember a marker that the log has dropped.
        match self.server.last(subject).await.map_err(CommitError::Unavailable)? {
            None => Ok(0),
            Some(last) if wire::is_delete(&last.headers) || wire::is_ended(&last.headers) => Ok(last.sequence),
            Some(_) => Err(CommitError::Conflict),
        }
    }

    async fn up_to_date(&self) -> Result<(), CommitError> {
        self.barrier.wait().await.map_err(|e| CommitError::Unavailable(e.to_string()))
    }

    pub(super) fn stats(&self) -> StreamStats {
        StreamStats {
            stream: self.server.stream().to_owned(),
            revision: self.log.applied(),
            objects: self.log.all().iter().map(|t| t.read().count("") as u64).sum(),
            queued: (self.queue.max_capacity() - self.queue.capacity()) as u64,
            ..self.counters.stats()
        }
    }
}
