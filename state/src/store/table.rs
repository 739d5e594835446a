//! One resource in memory: its objects, the deletion markers, and the window of recent changes.
use super::sync;
use super::window::{RecordedChange, Window, WindowLimits};
use model::{Key, Stored};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// What the log holds for a key.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The object.
    Put(Arc<Stored>),
    /// A marker with the last object.
    Deleted(Arc<Stored>),
    /// The server's own marker, left where a message's time to live ended.
    Ended,
}

/// An entry of a load, with its key and sequence.
pub(crate) type Loaded = (Key, u64, Entry);

/// What is known of a key's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// An object at this revision.
    Live(u64),
    /// A deletion marker at this sequence.
    Marker(u64),
    /// Nothing.
    Nothing,
}

impl Last {
    /// The sequence that a compare-and-swap expects; 0 for nothing.
    pub(crate) fn sequence(self) -> u64 {
        match self {
            Self::Live(n) | Self::Marker(n) => n,
            Self::Nothing => 0,
        }
    }
}

type Space = BTreeMap<Arc<str>, Arc<Stored>>;
type Name = (Arc<str>, Arc<str>);

/// The content of a table at one moment.
pub(crate) struct Data {
    spaces: BTreeMap<Arc<str>, Space>,
    markers: HashMap<Name, u64>,
    marked: VecDeque<(Instant, Name, u64)>,
    window: Window,
    revision: u64,
}

impl Data {
    fn new(floor: u64, limits: WindowLimits) -> Self {
        Self { spaces: BTreeMap::new(), markers: HashMap::new(), marked: VecDeque::new(), window: Window::new(floor, limits), revision: 0 }
    }

    /// The name of a namespace as the table has it: all its objects share that.
    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<str>> {
        self.spaces.get_key_value(name).map(|(name, _)| name.clone())
    }

    /// One object.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.spaces.get(namespace)?.get(name)
    }

    /// Objects after `(namespace, name)` in order, of `only` or (`""`) of all namespaces.
    pub(crate) fn after<'a>(&'a self, only: &'a str, after: Option<(&'a str, &'a str)>) -> impl Iterator<Item = &'a Arc<Stored>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let spaces = match (only, after) {
            ("", None) => self.spaces.range::<str, _>((Unbounded, Unbounded)),
            ("", Some((namespace, _))) => self.spaces.range::<str, _>((Included(namespace), Unbounded)),
            (only, _) => self.spaces.range::<str, _>((Included(only), Included(only))),
        };
        spaces.flat_map(move |(namespace, space)| {
            let from = after.filter(|(n, _)| *n == &**namespace).map_or(Unbounded, |(_, name)| Excluded(name));
            space.range::<str, _>((from, Unbounded)).map(|(_, object)| object)
        })
    }

    /// How many objects `namespace`, or (`""`) the table, has.
    pub(crate) fn count(&self, namespace: &str) -> usize {
        if namespace.is_empty() { self.spaces.values().map(BTreeMap::len).sum() } else { self.spaces.get(namespace).map_or(0, BTreeMap::len) }
    }

    /// The window.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    fn last(&self, namespace: &Arc<str>, name: &Arc<str>) -> Last {
        match self.get(namespace, name) {
            Some(object) => Last::Live(object.revision),
            None => self.markers.get(&(namespace.clone(), name.clone())).map_or(Last::Nothing, |n| Last::Marker(*n)),
        }
    }

    fn insert(&mut self, object: Arc<Stored>) -> Option<Arc<Stored>> {
        self.markers.remove(&(object.key.namespace.clone(), object.key.name.clone()));
        self.spaces.entry(object.key.namespace.clone()).or_default().insert(object.key.name.clone(), object)
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Stored>> {
        let space = self.spaces.get_mut(&key.namespace)?;
        let old = space.remove(&key.name);
        if space.is_empty() {
            self.spaces.remove(&key.namespace);
        }
        old
    }

    /// Remembers a marker and forgets those that the log has dropped by now.
    fn mark(&mut self, key: &Key, sequence: u64, now: Instant, keep: Duration) {
        let name = (key.namespace.clone(), key.name.clone());
        self.markers.insert(name.clone(), sequence);
        self.marked.push_back((now, name, sequence));
        while self.marked.front().is_some_and(|(at, ..)| now.duration_since(*at) > keep) {
            let Some((_, name, sequence)) = self.marked.pop_front() else { break };
            if self.markers.get(&name) == Some(&sequence) {
                self.markers.remove(&name);
            }
        }
    }

    /// Applies what the log holds at `revision`. Returns whether watchers have something to read.
    fn apply(&mut self, key: &Key, revision: u64, entry: Entry, now: Instant, keep: Duration) -> bool {
        let change = match entry {
            Entry::Put(new) => Some(RecordedChange { old: self.insert(new.clone()), new, deleted: false, revision }),
            Entry::Deleted(new) => {
                self.mark(key, revision, now, keep);
                self.remove(key).map(|old| RecordedChange { old: Some(old), new, deleted: true, revision })
            }
            Entry::Ended => {
                self.mark(key, revision, now, keep);
                self.remove(key).map(|old| RecordedChange { new: ended(&old, revision), old: Some(old), deleted: true, revision })
            }
        };
        self.revision = revision;
        let changed = change.is_some();
        if let Some(change) = change {
            self.window.push(Arc::new(change));
            self.lighten();
        }
        changed
    }

    /// Lets go of what was parsed of objects that nobody has read lately. The window and the table share what is left: a write parses a copy of its own.
    fn lighten(&mut self) {
        let Some(aged) = self.window.aged() else { return };
        let current = self.spaces.get_mut(&aged.new.key.namespace).and_then(|space| space.get_mut(&aged.new.key.name));
        if let Some(current) = current.filter(|current| Arc::ptr_eq(current, &aged.new)) {
            *current = current.light();
        }
        *aged = Arc::new(RecordedChange { old: aged.old.as_ref().map(Stored::light), new: aged.new.light(), deleted: aged.deleted, revision: aged.revision });
    }
}

/// The last state of an object whose time ended, at the revision of its end.
fn ended(old: &Arc<Stored>, revision: u64) -> Arc<Stored> {
    let encoded = old.read(Stored::encode);
    encoded.and_then(|json| Stored::decode(old.key.clone(), revision, &json)).map_or_else(|_| old.clone(), Arc::new)
}

/// One resource in memory. Readers share a lock that is held for copies only, never across an await.
pub(crate) struct Table {
    /// API group.
    pub(crate) group: Arc<str>,
    /// Plural resource name.
    pub(crate) resource: Arc<str>,
    data: RwLock<Data>,
    news: Notify,
}

impl Table {
    pub(crate) fn new(group: &str, resource: &str, floor: u64, limits: WindowLimits) -> Self {
        Self { group: group.into(), resource: resource.into(), data: RwLock::new(Data::new(floor, limits)), news: Notify::new() }
    }

    /// The content, for as short as possible.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Data> {
        sync::read(&self.data)
    }

    /// Fires when the window's end moves.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// What is known of a key's subject.
    pub(crate) fn last(&self, key: &Key) -> Last {
        self.read().last(&key.namespace, &key.name)
    }

    /// Applies one entry; [`Table::wake`] tells the watchers.
    pub(crate) fn apply(&self, key: &Key, revision: u64, entry: Entry, now: Instant, keep: Duration) -> bool {
        sync::write(&self.data).apply(key, revision, entry, now, keep)
    }

    /// Replaces everything by what a load found at `revision`; every watch ends.
    pub(crate) fn replace(&self, entries: Vec<Loaded>, revision: u64, keep: Duration) {
        let now = Instant::now();
        let mut data = sync::write(&self.data);
        data.spaces.clear();
        data.markers.clear();
        data.marked.clear();
        for (key, sequence, entry) in entries {
            match entry {
                Entry::Put(object) => _ = data.insert(object.light()),
                // an object that was read early in the load may have been deleted before its end
                Entry::Deleted(_) | Entry::Ended => {
                    data.remove(&key);
                    data.mark(&key, sequence, now, keep);
                }
            }
        }
        data.revision = revision;
        data.window.reset(revision);
    }

    /// Wakes the watchers.
    pub(crate) fn wake(&self) {
        self.news.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
