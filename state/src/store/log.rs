//! One stream in memory: its tables, and the only place where entries are added to them, strictly in the order of the stream.
//!
//! Entries come from two sources. The tail reads them from the stream, and the committer learns the sequences of this process's own writes from their
//! acknowledgements. An own write is added at once when it is next in sequence. Otherwise it waits until the tail has read what comes before it.
use super::error::CommitError;
use super::progress::Progress;
use super::table::{Entry, Last, Loaded, Table};
use super::window::WindowLimits;
use super::{subject, sync};
use arc_swap::ArcSwap;
use bytes::Bytes;
use model::{ApiError, Key, Stored};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What became of a write.
pub(crate) type WriteResult = Result<Arc<Stored>, WriteRefusal>;

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum WriteRefusal {
    /// The subject's last sequence is another than expected.
    Stale,
    /// Anything else.
    Failed(CommitError),
}

/// A write of this process on its way.
struct OwnWrite {
    key: Key,
    delete: bool,
    payload: Bytes,
    answer: oneshot::Sender<WriteResult>,
}

impl OwnWrite {
    /// The write as an entry at `sequence`.
    fn acknowledged(self, sequence: u64) -> AcknowledgedEntry {
        let entry = if self.delete { Entry::Deleted } else { Entry::Put };
        let stored = Stored::decode(self.key.clone(), sequence, &self.payload).map(Arc::new);
        AcknowledgedEntry { sequence, key: self.key, entry: stored.map(entry), answer: Some(self.answer) }
    }
}

/// An entry with its sequence, and who waits to hear that it has been applied.
struct AcknowledgedEntry {
    sequence: u64,
    key: Key,
    entry: Result<Entry, ApiError>,
    answer: Option<oneshot::Sender<WriteResult>>,
}

/// What a message of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceivedKind {
    /// An object.
    Put,
    /// A deletion marker.
    Delete,
    /// A marker that the server left.
    Ended,
}

/// A message that the tail read.
pub(crate) struct ReceivedMessage {
    /// Its sequence.
    pub(crate) sequence: u64,
    /// Its key.
    pub(crate) key: Key,
    /// Which write of this process it is, if it is one.
    pub(crate) own: Option<u64>,
    /// What it is.
    pub(crate) kind: ReceivedKind,
    /// Its payload.
    pub(crate) payload: Bytes,
}

impl ReceivedMessage {
    /// The message as an entry.
    pub(crate) fn entry(&self) -> Result<Entry, ApiError> {
        let made = match self.kind {
            ReceivedKind::Put => Entry::Put,
            ReceivedKind::Delete => Entry::Deleted,
            ReceivedKind::Ended => return Ok(Entry::Ended),
        };
        Stored::decode(self.key.clone(), self.sequence, &self.payload).map(|stored| made(Arc::new(stored)))
    }
}

#[derive(Default)]
struct ApplyOrder {
    applied: u64,
    loading: bool,
    next_own: u64,
    own: HashMap<u64, OwnWrite>,
    early: BTreeMap<u64, AcknowledgedEntry>,
}

type Tables = HashMap<Arc<str>, HashMap<Arc<str>, Arc<Table>>>;

/// The tables of one stream.
pub(crate) struct Log {
    /// What all subjects start with.
    pub(crate) prefix: String,
    /// Marks this process's writes.
    pub(crate) session: String,
    /// How long the stream keeps deletion markers.
    pub(crate) marker_ttl: Duration,
    limits: WindowLimits,
    tables: ArcSwap<Tables>,
    order: Mutex<ApplyOrder>,
    applied: Progress,
    /// When the tail last had all that the stream held.
    complete: Mutex<Instant>,
    ready: watch::Sender<bool>,
    /// Fires when the store stops.
    pub(crate) stopped: CancellationToken,
}

impl Log {
    pub(crate) fn new(prefix: String, marker_ttl: Duration, limits: WindowLimits, stopped: CancellationToken) -> Self {
        Self {
            prefix,
            session: uuid::Uuid::new_v4().simple().to_string(),
            marker_ttl,
            limits,
            tables: ArcSwap::default(),
            order: Mutex::new(ApplyOrder { loading: true, ..ApplyOrder::default() }),
            applied: Progress::default(),
            complete: Mutex::new(Instant::now()),
            ready: watch::Sender::new(false),
            stopped,
        }
    }

    /// Whether a message of the tail is news.
    pub(crate) fn wants(&self, sequence: u64) -> bool {
        sequence > self.applied()
    }

    /// Up to which sequence the tables are complete.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.get()
    }

    /// The tail has all that the stream holds.
    pub(crate) fn set_complete(&self) {
        *sync::lock(&self.complete) = Instant::now();
    }

    /// Whether the tail was behind for so long that deletion markers may have expired that it has not seen.
    pub(crate) fn may_lack_markers(&self) -> bool {
        sync::lock(&self.complete).elapsed() > self.marker_ttl / 2
    }

    /// Waits until [`Log::applied`] is `sequence` or more.
    pub(crate) async fn reach(&self, sequence: u64) {
        self.applied.reach(sequence).await;
    }

    /// True once the first load is complete.
    pub(crate) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The key's subject.
    pub(crate) fn subject(&self, key: &Key) -> String {
        subject::of(&self.prefix, key)
    }

    /// The key of a subject, sharing the names that its table has.
    pub(crate) fn key(&self, subject: &str) -> Option<Key> {
        let parts = subject::parse(&self.prefix, subject)?;
        Some(self.named(&parts.group, &parts.resource, &parts.namespace, parts.name.into()))
    }

    /// The key with the names that its table has already.
    pub(crate) fn shared(&self, key: Key) -> Key {
        self.named(&key.group, &key.resource, &key.namespace, key.name)
    }

    fn named(&self, group: &str, resource: &str, namespace: &str, name: Arc<str>) -> Key {
        let Some(table) = self.existing(group, resource) else { return Key::new(group, resource, namespace, name) };
        let namespace = table.read().namespace(namespace).unwrap_or_else(|| namespace.into());
        Key { group: table.group.clone(), resource: table.resource.clone(), namespace, name }
    }

    /// The table of a resource, if it was ever asked for or written.
    pub(crate) fn existing(&self, group: &str, resource: &str) -> Option<Arc<Table>> {
        self.tables.load().get(resource)?.get(group).cloned()
    }

    /// The table of a resource.
    pub(crate) fn table(&self, group: &str, resource: &str) -> Arc<Table> {
        self.existing(group, resource).unwrap_or_else(|| self.add_table(&sync::lock(&self.order), group, resource))
    }

    fn table_in_order(&self, order: &MutexGuard<'_, ApplyOrder>, group: &str, resource: &str) -> Arc<Table> {
        self.existing(group, resource).unwrap_or_else(|| self.add_table(order, group, resource))
    }

    /// A table that appears now has had no change up to now: its window starts here. The lock is what makes "now" exact.
    fn add_table(&self, order: &MutexGuard<'_, ApplyOrder>, group: &str, resource: &str) -> Arc<Table> {
        if let Some(table) = self.existing(group, resource) {
            return table;
        }
        let table = Arc::new(Table::new(group, resource, order.applied, self.limits));
        let mut tables = Tables::clone(&self.tables.load());
        tables.entry(table.resource.clone()).or_default().insert(table.group.clone(), table.clone());
        self.tables.store(Arc::new(tables));
        table
    }

    /// All tables.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.load().values().flat_map(|groups| groups.values().cloned()).collect()
    }

    /// What is known of a key's subject.
    pub(crate) fn last(&self, key: &Key) -> Last {
        self.existing(&key.group, &key.resource).map_or(Last::Nothing, |t| t.last(key))
    }

    /// Registers a write before it is sent: what comes first, its acknowledgement or the tail, answers it.
    pub(crate) fn register(&self, key: Key, delete: bool, payload: Bytes) -> (u64, oneshot::Receiver<WriteResult>) {
        let (answer, receiver) = oneshot::channel();
        let mut order = sync::lock(&self.order);
        order.next_own += 1;
        let id = order.next_own;
        order.own.insert(id, OwnWrite { key, delete, payload, answer });
        (id, receiver)
    }

    /// Whether a registered write is still unanswered and not known to be in the log.
    pub(crate) fn is_open(&self, id: u64) -> bool {
        sync::lock(&self.order).own.contains_key(&id)
    }

    /// A registered write's expectation didn't hold.
    pub(crate) fn stale(&self, id: u64) {
        if let Some(own) = self.unregister(id) {
            answer(Some(own.answer), Err(WriteRefusal::Stale));
        }
    }

    /// A registered write didn't happen, or isn't known to have.
    pub(crate) fn failed(&self, id: u64, error: CommitError) {
        if let Some(own) = self.unregister(id) {
            answer(Some(own.answer), Err(WriteRefusal::Failed(error)));
        }
    }

    fn unregister(&self, id: u64) -> Option<OwnWrite> {
        sync::lock(&self.order).own.remove(&id)
    }

    /// Registered writes are in the log at these sequences.
    pub(crate) fn acknowledged(&self, writes: &[(u64, u64)]) {
        let own: Vec<(OwnWrite, u64)> = {
            let mut order = sync::lock(&self.order);
            writes.iter().filter_map(|(id, sequence)| Some((order.own.remove(id)?, *sequence))).collect()
        };
        // Copied and stamped outside of the lock: this is the expensive part.
        let acknowledged: Vec<AcknowledgedEntry> = own.into_iter().map(|(own, sequence)| own.acknowledged(sequence)).collect();
        let mut order = sync::lock(&self.order);
        let mut batch = Applied::default();
        for entry in acknowledged {
            if entry.sequence <= order.applied && !order.loading {
                batch.answers.push((entry.answer, settled(entry.entry)));
            } else {
                order.early.insert(entry.sequence, entry);
            }
        }
        self.drain(&mut order, 0, &mut batch);
        self.publish(order, batch);
    }

    /// The tail read these messages, in order.
    pub(crate) fn fed(&self, messages: Vec<ReceivedMessage>) {
        let mut order = sync::lock(&self.order);
        if order.loading {
            return;
        }
        let mut batch = Applied::default();
        for message in messages {
            // What is missing before it has been overwritten or has expired; own writes among that still happened, in their place.
            self.drain(&mut order, message.sequence - 1, &mut batch);
            if message.sequence <= order.applied {
                continue;
            }
            let sequence = message.sequence;
            let acknowledged = match order.early.remove(&sequence) {
                Some(early) => early,
                None => match message.own.and_then(|id| order.own.remove(&id)) {
                    Some(own) => own.acknowledged(sequence),
                    None => AcknowledgedEntry { sequence, entry: message.entry(), key: message.key, answer: None },
                },
            };
            self.apply(&mut order, acknowledged, &mut batch);
        }
        self.drain(&mut order, 0, &mut batch);
        self.publish(order, batch);
    }

    /// Nothing else is in the log up to `sequence`: what was there has expired.
    pub(crate) fn advance(&self, sequence: u64) {
        let mut order = sync::lock(&self.order);
        if order.loading || sequence <= order.applied {
            return;
        }
        let mut batch = Applied::default();
        self.drain(&mut order, sequence, &mut batch);
        order.applied = sequence;
        self.drain(&mut order, 0, &mut batch);
        self.publish(order, batch);
    }

    /// From now on everything waits for [`Log::replace`].
    pub(crate) fn start_load(&self) {
        sync::lock(&self.order).loading = true;
    }

    /// A load is complete up to `sequence`.
    pub(crate) fn replace(&self, loaded: Vec<ReceivedMessage>, sequence: u64) {
        let mut order = sync::lock(&self.order);
        order.applied = sequence;
        let mut parts: BTreeMap<(Arc<str>, Arc<str>), Vec<Loaded>> = BTreeMap::new();
        for table in self.all() {
            parts.entry((table.group.clone(), table.resource.clone())).or_default();
        }
        let mut names = HashSet::new();
        for mut message in loaded {
            let Key { group, resource, namespace, .. } = &mut message.key;
            [group, resource, namespace].into_iter().for_each(|name| share(&mut names, name));
            match message.entry() {
                Ok(entry) => parts.entry((message.key.group.clone(), message.key.resource.clone())).or_default().push((message.key, message.sequence, entry)),
                Err(error) => tracing::error!(key = %message.key, sequence = message.sequence, %error, "a log entry does not decode and is left out"),
            }
        }
        let mut batch = Applied::default();
        for ((group, resource), entries) in parts {
            let table = self.table_in_order(&order, &group, &resource);
            table.replace(entries, sequence, self.marker_ttl);
            batch.tables.push(table);
        }
        order.loading = false;
        self.drain(&mut order, 0, &mut batch);
        self.publish(order, batch);
        self.ready.send_replace(true);
    }

    /// Applies the own writes whose turn has come, which is that of all up to `until`; those that the tail has passed already are answered.
    fn drain(&self, order: &mut MutexGuard<'_, ApplyOrder>, until: u64, batch: &mut Applied) {
        if order.loading {
            return;
        }
        loop {
            let turn = until.max(order.applied + 1);
            let Some(first) = order.early.first_entry().filter(|first| *first.key() <= turn) else { return };
            let (sequence, acknowledged) = first.remove_entry();
            if sequence <= order.applied {
                batch.answers.push((acknowledged.answer, settled(acknowledged.entry)));
            } else {
                self.apply(order, acknowledged, batch);
            }
        }
    }

    fn apply(&self, order: &mut MutexGuard<'_, ApplyOrder>, acknowledged: AcknowledgedEntry, batch: &mut Applied) {
        let AcknowledgedEntry { sequence, key, entry, answer } = acknowledged;
        let table = self.table_in_order(order, &key.group, &key.resource);
        order.applied = sequence;
        match &entry {
            Ok(entry) => {
                if table.apply(&key, sequence, entry.clone(), Instant::now(), self.marker_ttl) && !batch.tables.iter().any(|t| Arc::ptr_eq(t, &table)) {
                    batch.tables.push(table);
                }
            }
            Err(error) => tracing::error!(%key, sequence, %error, "a log entry does not decode and is left out"),
        }
        batch.answers.push((answer, settled(entry)));
    }

    /// Lets readers see what was applied: first the revision, then the watchers, then the writers.
    fn publish(&self, order: MutexGuard<'_, ApplyOrder>, batch: Applied) {
        self.applied.set(order.applied);
        drop(order);
        for table in batch.tables {
            table.wake();
        }
        for (to, result) in batch.answers {
            answer(to, result);
        }
    }
}

/// Puts the same name in the place of an equal one.
fn share(names: &mut HashSet<Arc<str>>, name: &mut Arc<str>) {
    match names.get(&**name) {
        Some(same) => *name = same.clone(),
        None => _ = names.insert(name.clone()),
    }
}

/// What one round of applying leaves to tell others, after the lock is gone.
#[derive(Default)]
struct Applied {
    tables: Vec<Arc<Table>>,
    answers: Vec<(Option<oneshot::Sender<WriteResult>>, WriteResult)>,
}

fn settled(entry: Result<Entry, ApiError>) -> WriteResult {
    match entry {
        Ok(Entry::Put(stored) | Entry::Deleted(stored)) => Ok(stored),
        Ok(Entry::Ended) => Err(WriteRefusal::Failed(CommitError::Conflict)),
        Err(error) => Err(WriteRefusal::Failed(CommitError::Unavailable(error.message))),
    }
}

/// A writer that has gone away doesn't want to know.
fn answer(to: Option<oneshot::Sender<WriteResult>>, result: WriteResult) {
    if let Some(to) = to {
        _ = to.send(result);
    }
}

#[cfg(test)]
mod tests;
