//! The cluster's objects: durable in JetStream, served from memory.
//!
//! Three streams, one message a key (see [`streams`]); of each, this process has a [`log::Log`] in memory: tables that one
//! [`tail::Tail`] keeps, and one [`commit::Committer`] that writes. A write is a compare-and-swap on its subject's last sequence, and a sequence
//! is a revision. Reads ask the tables alone; [`Store::barrier`] makes them as new as the log.
mod barrier;
mod commit;
mod feed;
mod log;
pub mod offline;
mod pace;
pub mod page;
mod stats;
mod streams;
pub mod subject;
mod sync;
mod table;
mod tail;
pub mod wire;

pub use feed::{Feed, WatchFrom};
pub use page::{Matches, Page, PageRequest};
pub use stats::StreamStats;
pub use table::{RecordedChange, WindowLimits};

use arc_swap::ArcSwap;
use async_nats::jetstream;
use bus::actor::System;
use bytes::Bytes;
use model::kind::Bucket;
use model::{ApiError, Key, Kinds, Object, Reason, Stored};
use std::sync::Arc;
use std::time::Duration;
use streams::Which;
use table::Last;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often a create goes again because the deletion marker that it expected was not the last one.
const CREATE_ATTEMPTS: usize = 4;
/// What headers may add to a message, at most.
const HEADER_ROOM: usize = 1_024;
const QUEUE: usize = 4_096;

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

/// What a write does.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// Creates or replaces.
    Put(Object),
    /// Deletes. The last object goes into the deletion marker, for those who watch.
    Delete(Object),
}

impl StoreOp {
    /// Whether it deletes, and the log's value. The object ends here, while it is still in the processor's cache: what the log acknowledges is
    /// read from these bytes by those who need more than that.
    fn encode(self) -> Result<(bool, Bytes), CommitError> {
        let delete = matches!(self, Self::Delete(_));
        let (Self::Put(object) | Self::Delete(object)) = self;
        Stored::encode(&object).map(|payload| (delete, payload)).map_err(|e| CommitError::Invalid(e.message))
    }
}

/// A compare-and-swap of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// The revision that it must have; 0: it must not exist.
    pub expect: u64,
    /// What is written.
    pub op: StoreOp,
}

/// Why a write was not done, or is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The object has another revision than expected, or exists, or doesn't. The cache shows what it has.
    #[error("the object has been modified")]
    Conflict,
    /// The object is larger than the server takes.
    #[error("an object of {size} bytes is too large: the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It can't be stored as it is.
    #[error("the object can't be stored: {0}")]
    Invalid(String),
    /// Not done: the log can't be written now.
    #[error("the log can't be written: {0}")]
    Unavailable(String),
    /// The log could not be asked in time whether it was done.
    #[error("whether the object was written is not known: {0}")]
    Unknown(String),
}

impl CommitError {
    /// As the API error for a write of `key`; `create` tells which conflict it is.
    pub fn to_api(&self, key: &Key, create: bool) -> ApiError {
        match self {
            Self::Conflict if create => ApiError::already_exists(&key.group, &key.resource, &key.name),
            Self::Conflict => ApiError::modified(&key.group, &key.resource, &key.name),
            Self::TooLarge { limit, .. } => ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {limit}")),
            Self::Invalid(why) => ApiError::internal(why.clone()),
            Self::Unavailable(_) => ApiError::unavailable(self.to_string()),
            Self::Unknown(_) => ApiError::timeout(self.to_string()),
        }
    }
}

/// Why the store can't be opened or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A cluster's name is part of subjects and stream names.
    #[error("the cluster name {0:?} may have only letters, digits and '-'")]
    Name(String),
    /// A stream can't be opened.
    #[error("the stream {stream} can't be opened: {why}")]
    Stream {
        /// Its name.
        stream: String,
        /// The server's words.
        why: String,
    },
    /// The server would lose acknowledged writes at a power cut.
    #[error("the NATS server acknowledges writes before they are on its disk")]
    UnsafeSync,
    /// The log can't be reached now.
    #[error("the log can't be reached: {0}")]
    Unavailable(String),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::unavailable(error.to_string())
    }
}

/// One stream and all that this process has of it.
struct Shard {
    name: String,
    log: Arc<log::Log>,
    leader: tail::Leader,
    barrier: barrier::Barrier,
    counters: Arc<stats::Counters>,
    queue: mpsc::Sender<commit::PendingWrite>,
}

struct Inner {
    js: jetstream::Context,
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
        let stop = system.stopping().child_token();
        let guard = stop.clone().drop_guard();
        let loops = Loops { system, stop: &stop };
        let (log, events, leases) = tokio::try_join!(
            Shard::open(&js, Which::Log, &options, loops),
            Shard::open(&js, Which::Events, &options, loops),
            Shard::open(&js, Which::Leases, &options, loops)
        )?;
        Ok(Self(Arc::new(Inner {
            js,
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
        feed::reach(&self.shard(group, resource).log, revision, feed::FUTURE).await
    }

    /// All objects of a resource, in one namespace or (`""`) in all, and the revision at which they are so.
    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Page {
        let log = &self.shard(group, resource).log;
        let applied = log.applied();
        let Some(table) = log.existing(group, resource) else {
            return Page { revision: applied, ..Page::default() };
        };
        let data = table.read();
        Page { items: data.after(namespace, None).cloned().collect(), revision: feed::revision_of(&data, applied), ..Page::default() }
    }

    /// One page of a list. `matches` selects objects, and a page is filled with those.
    ///
    /// # Errors
    /// 400 for a malformed token, 410 when the revision is no longer held (with a token to go on inconsistently in the error's details),
    /// 504 for a revision that isn't there yet.
    pub async fn list_page(&self, group: &str, resource: &str, request: &PageRequest, matches: Option<Matches<'_>>) -> Result<Page, ApiError> {
        let log = &self.shard(group, resource).log;
        page::read(log, &log.table(group, resource), request, matches).await
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
        let shard = self.shard(&write.key.group, &write.key.resource);
        let Write { key, expect, op } = write;
        let key = shard.log.shared(key);
        let (delete, payload) = op.encode()?;
        let limit = self.0.js.client().max_payload().saturating_sub(HEADER_ROOM);
        if payload.len() > limit {
            return Err(CommitError::TooLarge { size: payload.len(), limit });
        }
        let ttl = match self.bucket(&key.group, &key.resource) {
            _ if delete => Some(self.0.marker_ttl),
            Bucket::Ephemeral { ttl } => ttl,
            Bucket::Log => None,
        };
        let subject = async_nats::Subject::from(shard.log.subject(&key));
        let until = tokio::time::Instant::now() + self.0.resolve_for;
        let mut base = shard.base(&key, expect).await?;
        for _ in 0..CREATE_ATTEMPTS {
            let (id, answer) = shard.log.register(key.clone(), delete, payload.clone());
            let message = wire::Message { subject: subject.clone(), base, id, delete, ttl, payload: payload.clone() };
            let stopped = || CommitError::Unavailable("the store has stopped".to_owned());
            if shard.queue.send(commit::PendingWrite::new(key.clone(), message, until)).await.is_err() {
                return Err(stopped());
            }
            match answer.await.map_err(|_| stopped())? {
                Ok(stored) => return Ok(stored),
                Err(log::WriteRefusal::Failed(error)) => return Err(error),
                Err(log::WriteRefusal::Stale) => base = shard.again(&key, expect, &subject).await?,
            }
        }
        Err(CommitError::Conflict)
    }

    /// What each stream's part has done.
    pub fn stats(&self) -> Vec<StreamStats> {
        [&self.0.log, &self.0.events, &self.0.leases].into_iter().map(Shard::stats).collect()
    }
}

/// Where a store's loops run, and what ends them: the last clone of the store, or the system.
#[derive(Clone, Copy)]
struct Loops<'a> {
    system: &'a System,
    stop: &'a CancellationToken,
}

impl Loops<'_> {
    fn start<R: Future<Output = ()> + Send + 'static>(self, stream: &str, name: &str, run: impl FnOnce(CancellationToken) -> R) {
        let run = run(self.stop.clone());
        self.system.vital(&format!("{stream}-{name}"), |_| run);
    }
}

impl Shard {
    async fn open(js: &jetstream::Context, which: Which, options: &StoreOptions, loops: Loops<'_>) -> Result<Self, StoreError> {
        let opened = streams::open(js, which, options).await?;
        let name = which.stream(&options.cluster);
        let log = Arc::new(log::Log::new(which.prefix(&options.cluster), options.marker_ttl, options.window, loops.stop.clone()));
        let leader = tail::Leader::new(opened.stream);
        let counters = Arc::new(stats::Counters::default());
        let (barrier, questions) = barrier::Barrier::new(log.clone(), leader.clone(), counters.clone(), options.barrier_timeout);
        let (queue, inbox) = mpsc::channel(QUEUE);
        let publisher = wire::Publisher { js: js.clone(), session: log.session.clone(), timeout: options.ack_timeout };
        let context = commit::PublishContext { log: log.clone(), publisher, leader: leader.clone(), barrier: barrier.clone(), counters: counters.clone() };
        let tail = tail::Tail::new(log.clone(), js.clone(), leader.clone(), counters.clone());
        loops.start(&name, "tail", |stop| tail.run(stop));
        loops.start(&name, "barrier", |stop| questions.run(stop));
        let policy = match (opened.batches, options.replicas) {
            (false, _) => commit::Policy::SINGLES,
            (true, 0 | 1) => commit::Policy::ALONE,
            (true, _) => commit::Policy::REPLICATED,
        };
        loops.start(&name, "commit", |stop| commit::Committer::new(context, policy, inbox).run(stop));
        let shard = Self { name, log, leader, barrier, counters, queue };
        shard.loaded(options.open_timeout).await?;
        Ok(shard)
    }

    async fn loaded(&self, within: Duration) -> Result<(), StoreError> {
        let mut ready = self.log.ready();
        match tokio::time::timeout(within, ready.wait_for(|ready| *ready)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Unavailable(format!("{} was not loaded within {within:?}", self.name))),
        }
    }

    /// The sequence that a write expects of its subject, as far as the cache knows. It may be behind the log, which has the last word; only
    /// what can't become true any more is a conflict here.
    async fn base(&self, key: &Key, expect: u64) -> Result<u64, CommitError> {
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
    async fn again(&self, key: &Key, expect: u64, subject: &str) -> Result<u64, CommitError> {
        self.up_to_date().await?;
        if expect != 0 || matches!(self.log.last(key), Last::Live(_)) {
            return Err(CommitError::Conflict);
        }
        // The cache may remember a marker that the log has dropped.
        match self.leader.last(subject).await.map_err(CommitError::Unavailable)? {
            None => Ok(0),
            Some(last) if wire::is_delete(&last.headers) || wire::is_ended(&last.headers) => Ok(last.sequence),
            Some(_) => Err(CommitError::Conflict),
        }
    }

    async fn up_to_date(&self) -> Result<(), CommitError> {
        self.barrier.wait().await.map_err(|e| CommitError::Unavailable(e.to_string()))
    }

    fn stats(&self) -> StreamStats {
        StreamStats {
            stream: self.name.clone(),
            revision: self.log.applied(),
            objects: self.log.all().iter().map(|t| t.read().count("") as u64).sum(),
            queued: (self.queue.max_capacity() - self.queue.capacity()) as u64,
            ..self.counters.stats()
        }
    }
}
