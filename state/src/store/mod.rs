//! The cluster's objects: durable in JetStream, served from memory.
//!
//! Three streams, one message a key (see `streams.rs`); of each, this process has a log in memory (`log.rs`): tables that one tail keeps (`tail.rs`),
//! and one committer that writes (`commit.rs`). A write is a compare-and-swap on its subject's last sequence, and a sequence is a revision. Reads ask
//! the tables alone; [`Store::barrier`] makes them as new as the log.
//!
//! The files, in the order in which they are met. This one is the top: it puts the store together and hands each call to the stream that is concerned.
//!
//! **Opening** ([`Store::open`]): `options.rs` says how; `streams.rs` asks whether the server syncs its disk; `open.rs` makes the three streams, with
//! `migrate.rs` where there are some of an earlier release, and `nats.rs` is how each of them is asked from then on, as `server.rs` says that a stream is
//! asked. For each, `shard.rs` starts the loops of `tail.rs`, `barrier.rs` and `commit.rs`. It is done when each tail has loaded its `log.rs`.
//!
//! **One write** ([`Store::commit`]), or several that belong together ([`Store::commit_group`]), by `group.rs`:
//! 1. `streams.rs` tells the kind's stream; `log.rs` and `table.rs` give the key the names that they have already.
//! 2. `write.rs` makes bytes of the object, and `subject.rs`, through `log.rs`, a subject of the key.
//! 3. `shard.rs` decides which sequence the subject must have, by what `log.rs` and `table.rs` know of it. Before a create is refused because the object
//!    exists, `barrier.rs` makes the tables current.
//! 4. `log.rs` registers the write, and it goes into the queue of `commit.rs`.
//! 5. `commit.rs` sends it alone or in a batch: `wire.rs` makes the message's headers, publishes it and reads the acknowledgement.
//! 6. Only in trouble: after a lost acknowledgement `commit.rs` asks `server.rs` for the subject's last message, whose headers `wire.rs` reads; and when that
//!    doesn't tell, or when a batch was refused for a wrong sequence, it waits in `barrier.rs` and looks into `log.rs` again.
//! 7. `log.rs` hears of the sequence from `commit.rs`, or from `tail.rs` if that has read the message first. When it is the write's turn, it enters the
//!    table in `table.rs`; then watchers are woken and the writer is answered.
//! 8. Only after a refused sequence: `shard.rs` makes the tables current (`barrier.rs`), and for a create asks `server.rs` what it may expect instead; the
//!    write goes on with step 4.
//!
//! **One event**, a message of another process on its way to those who watch:
//! 1. `tail.rs` receives it from its consumer, which it started behind what it had applied (`server.rs` told it of the stream).
//! 2. `wire.rs` reads from its headers whose it is and what it does; `subject.rs`, through `log.rs`, makes a key of its subject.
//! 3. `log.rs` lets it in after all that is before it, and decodes it; `table.rs` changes the object and adds the change to `window.rs`.
//! 4. `log.rs` announces the new revision, and the table wakes its watchers.
//! 5. Each `feed.rs` on this table reads `window.rs` from its own place on.
//!
//! **One read**:
//! 1. Who wants the present ([`Store::barrier`]) waits in `barrier.rs`: it asks `server.rs` for the log's end and waits until `log.rs` has reached it; when
//!    that takes long, it looks there whether what is missing has expired. Who wants some revision or a later one ([`Store::reach`]) waits in
//!    `revision.rs` for `log.rs`. Others don't wait.
//! 2. [`Store::get`] finds the table in `log.rs` and the object in `table.rs`; [`Store::list`] does so with many, and `revision.rs` says at which
//!    revision they are. [`Store::list_page`] goes through `page.rs`, which undoes what `window.rs` says has happened since the first page.
//!    [`Store::watch`] takes a place in it, which is a `feed.rs`.
//!
//! Beside them: `error.rs` is what can fail, `stats.rs` what is counted on all these ways, `progress.rs` a number that others wait for, `sync.rs` how
//! `log.rs` and `table.rs` lock, and `offline.rs` a write's way without a server, for benchmarks.
mod barrier;
mod commit;
mod error;
mod feed;
mod group;
mod log;
mod migrate;
mod nats;
pub mod offline;
mod open;
mod options;
pub mod page;
mod progress;
mod revision;
pub mod server;
mod shard;
mod stats;
mod streams;
pub mod subject;
mod sync;
mod table;
mod tail;
mod window;
pub mod wire;
mod write;

pub use error::{CommitError, StoreError};
pub use feed::{Feed, WatchFrom};
pub use group::{Group, Results};
pub use options::StoreOptions;
pub use page::{Matches, Page, PageRequest};
pub use stats::StreamStats;
pub use window::{RecordedChange, WindowLimits};
pub use write::{StoreOp, Write};

use arc_swap::ArcSwap;
use async_nats::jetstream;
use bus::actor::System;
use model::kind::Bucket;
use model::{ApiError, Key, Kinds, Stored};
use server::OpenStreams;
use shard::{Loops, Shard};
use smallvec::smallvec;
use std::sync::Arc;
use std::time::Duration;
use streams::Which;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Inner {
    system: System,
    kinds: Arc<ArcSwap<Kinds>>,
    marker_ttl: Duration,
    resolve_for: Duration,
    log: Shard,
    events: Shard,
    leases: Shard,
    _stop: DropGuard,
}

/// The store. Cheap to clone; it stops when the last clone is gone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the cluster's streams, creates what is missing, and loads what exists. The store's loops run in `system`, which has failed when one of
    /// them has: its memory can't be trusted then, and another process reads all from the log.
    ///
    /// # Errors
    /// [`StoreError`]: a bad name, an unreachable or unsafe server, a stream that can't be made.
    pub async fn open(js: jetstream::Context, options: StoreOptions, system: &System) -> Result<Self, StoreError> {
        let good = !options.cluster.is_empty() && options.cluster.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !good {
            return Err(StoreError::Name(options.cluster));
        }
        if let (Some(system), false) = (&options.system, options.allow_unsafe_sync) {
            streams::check_durability(system).await?;
        }
        let streams = open::open(&js, &options).await?;
        Self::start(streams, options, system).await
    }

    /// A store over streams that are open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they can't be loaded in time.
    pub async fn start(streams: OpenStreams, options: StoreOptions, system: &System) -> Result<Self, StoreError> {
        let stop = system.stopping().child_token();
        let guard = stop.clone().drop_guard();
        let loops = Loops { system, stop: &stop };
        let (log, events, leases) = tokio::try_join!(
            Shard::start(streams.objects, Which::Log, &options, loops),
            Shard::start(streams.events, Which::Events, &options, loops),
            Shard::start(streams.leases, Which::Leases, &options, loops)
        )?;
        Ok(Self(Arc::new(Inner {
            system: system.clone(),
            kinds: options.kinds,
            marker_ttl: options.marker_ttl,
            resolve_for: options.resolve_for,
            log,
            events,
            leases,
            _stop: guard,
        })))
    }

    /// Runs what keeps something in step with the store, until `stop`: like the store's own loops it can't fail without the system failing.
    pub(crate) fn vital(&self, name: &str, stop: &CancellationToken, run: impl Future<Output = ()> + Send + 'static) {
        let run = stop.clone().run_until_cancelled_owned(run);
        self.0.system.vital(name, |_| async { run.await.unwrap_or_default() });
    }

    fn bucket(&self, group: &str, resource: &str) -> Bucket {
        self.0.kinds.load().resource(group, resource).map_or(Bucket::Log, |kind| kind.bucket)
    }

    fn shard(&self, group: &str, resource: &str) -> &Shard {
        match Which::of(self.bucket(group, resource)) {
            Which::Log => &self.0.log,
            Which::Events => &self.0.events,
            Which::Leases => &self.0.leases,
        }
    }

    /// Whether two objects are in one stream, and so can be written together.
    pub fn are_together(&self, one: &Key, other: &Key) -> bool {
        std::ptr::eq(self.shard(&one.group, &one.resource), self.shard(&other.group, &other.resource))
    }

    /// An object as the cache has it.
    pub fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        let table = self.shard(&key.group, &key.resource).log.existing(&key.group, &key.resource)?;
        table.read().get(&key.namespace, &key.name).cloned()
    }

    /// Waits until the cache has what the log had when this was called. Those who ask at the same time share one question.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the log doesn't answer in time.
    pub async fn barrier(&self, group: &str, resource: &str) -> Result<(), StoreError> {
        self.shard(group, resource).barrier.wait().await
    }

    /// The revision up to which the cache of a resource is complete.
    pub fn revision(&self, group: &str, resource: &str) -> u64 {
        self.shard(group, resource).log.applied()
    }

    /// Waits until the cache of a resource has reached `revision` (`resourceVersionMatch=NotOlderThan`).
    ///
    /// # Errors
    /// 504 `Too large resource version` when it doesn't within 3 seconds.
    pub async fn reach(&self, group: &str, resource: &str, revision: u64) -> Result<(), ApiError> {
        revision::reach(&self.shard(group, resource).log, revision, revision::FUTURE).await
    }

    /// All objects of a resource, in one namespace or (`""`) in all, and the revision at which they are so.
    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Page {
        let log = &self.shard(group, resource).log;
        let applied = log.applied();
        let Some(table) = log.existing(group, resource) else {
            return Page { revision: applied, ..Page::default() };
        };
        let data = table.read();
        Page { items: data.after(namespace, None).cloned().collect(), revision: revision::revision_of(&data, applied), ..Page::default() }
    }

    /// One page of a list. `matches` selects objects, and a page is filled with those.
    ///
    /// # Errors
    /// 400 for a malformed token, 410 when the revision is no longer held (with a token to go on inconsistently in the error's details),
    /// 504 for a revision that isn't there yet.
    pub async fn list_page(&self, group: &str, resource: &str, request: &PageRequest, matches: Option<Matches<'_>>) -> Result<Page, ApiError> {
        let log = &self.shard(group, resource).log;
        page::read(log, &log.table(group, resource), request, matches, jiff::Timestamp::now().as_second()).await
    }

    /// Watches a resource, in one namespace or (`""`) in all.
    ///
    /// # Errors
    /// 410 when the window no longer reaches back to the revision asked for.
    pub fn watch(&self, group: &str, resource: &str, namespace: &str, from: WatchFrom) -> Result<Feed, ApiError> {
        let log = &self.shard(group, resource).log;
        Feed::new(log.clone(), log.table(group, resource), namespace, from)
    }

    /// Does one write. Returns once it is on the server's disk and the cache shows it: the object as it is now; of a deletion, the last object at
    /// the revision of the deletion. A caller that goes away doesn't stop a write that has begun.
    ///
    /// # Errors
    /// [`CommitError`]. After a conflict the cache shows what was conflicted with.
    pub async fn commit(&self, write: Write) -> Result<Arc<Stored>, CommitError> {
        self.commit_group(smallvec![write]).await.pop().unwrap_or(Err(CommitError::Conflict))
    }

    /// Does writes of different objects in one stream, together or not at all: what became of each, in their order. While others see them one after the other,
    /// nobody else's write of these objects comes between. A power failure of the server may leave the first ones alone in the log, and then nobody is told
    /// that the others are: so what comes first has to be harmless without what follows, such as a quota's use before what uses it.
    pub async fn commit_group(&self, writes: Group) -> Results {
        let number = writes.len();
        self.send(writes).await.unwrap_or_else(|error| std::iter::repeat_n(Err(error), number).collect())
    }

    async fn send(&self, writes: Group) -> Result<Results, CommitError> {
        let mut shards = writes.iter().map(|write| self.shard(&write.key.group, &write.key.resource));
        let shard = shards.next().ok_or_else(|| CommitError::Invalid("a group has no writes".to_owned()))?;
        if shards.any(|other| !std::ptr::eq(shard, other)) {
            return Err(CommitError::Invalid("writes of a group are of several streams".to_owned()));
        }
        let bucket = |key: &Key| self.bucket(&key.group, &key.resource);
        let to = group::Destination { shard, bucket: &bucket, marker_ttl: self.0.marker_ttl, resolve_for: self.0.resolve_for };
        group::commit(to, writes).await
    }

    /// What each stream's part has done.
    pub fn stats(&self) -> Vec<StreamStats> {
        [&self.0.log, &self.0.events, &self.0.leases].into_iter().map(Shard::stats).collect()
    }
}
