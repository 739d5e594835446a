//! Simulated watches: up to which entry of the log each process has seen each resource, and what a new list shows after a watch broke.
use crate::store::{Entry, Store};
use model::{Key, Stored};
use state_client::Change;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of a resource a process watches.
pub type Filter = Box<dyn Fn(&Stored) -> bool>;

/// One watch, and the copy that it keeps.
pub struct Feed {
    /// Of which resource: group and name.
    pub resource: (String, String),
    filter: Option<Filter>,
    copy: BTreeMap<Key, Arc<Stored>>,
    at: usize,
    synced: bool,
    /// Whether a delivery is on its way.
    pub due: bool,
}

impl Feed {
    /// A watch that hasn't shown anything; of all objects, or those that `filter` lets through.
    pub fn new(group: &str, resource: &str, filter: Option<Filter>) -> Self {
        Self { resource: (group.to_owned(), resource.to_owned()), filter, copy: BTreeMap::new(), at: 0, synced: false, due: false }
    }

    fn selects(&self, object: &Stored) -> bool {
        self.filter.as_ref().is_none_or(|f| f(object))
    }

    fn concerns(&self, key: &Key) -> bool {
        *key.group == *self.resource.0 && *key.resource == *self.resource.1
    }

    /// The watch breaks: the next delivery is a list, and the difference to what was known.
    pub fn cut(&mut self) {
        self.synced = false;
    }

    /// Whether there is anything that it has not shown. What doesn't concern it needs no showing.
    pub fn is_behind(&mut self, log: &[Entry]) -> bool {
        let next = log.iter().skip(self.at).position(|e| self.concerns(&e.object.key));
        self.at = next.map_or(log.len(), |n| self.at + n).max(self.at);
        !self.synced || next.is_some()
    }

    /// Shows what happened up to entry `end` of the log, and the revision up to which that is all.
    pub fn show(&mut self, store: &Store, end: usize) -> (Vec<Change>, u64) {
        let changes = if self.synced { self.follow(store, end) } else { self.list(store) };
        (changes, self.at as u64)
    }

    fn follow(&mut self, store: &Store, end: usize) -> Vec<Change> {
        let news: Vec<Entry> = store.log.get(self.at..end.max(self.at)).unwrap_or_default().iter().filter(|e| self.concerns(&e.object.key)).cloned().collect();
        self.at = self.at.max(end);
        news.into_iter().filter_map(|e| if e.deleted || !self.selects(&e.object) { self.gone(e.object) } else { Some(self.applied(e.object)) }).collect()
    }

    fn list(&mut self, store: &Store) -> Vec<Change> {
        let present: Vec<Arc<Stored>> = store.objects.values().filter(|o| self.concerns(&o.key) && self.selects(o)).cloned().collect();
        let missing: Vec<Arc<Stored>> = self.copy.values().filter(|o| !store.objects.get(&o.key).is_some_and(|now| self.selects(now))).cloned().collect();
        (self.at, self.synced) = (store.log.len(), true);
        let mut changes: Vec<Change> = missing.into_iter().filter_map(|last| self.gone(last)).collect();
        let news: Vec<Arc<Stored>> = present.into_iter().filter(|o| self.copy.get(&o.key).is_none_or(|c| c.revision != o.revision)).collect();
        changes.extend(news.into_iter().map(|o| self.applied(o)));
        changes.push(Change::Synced);
        changes
    }

    fn applied(&mut self, new: Arc<Stored>) -> Change {
        Change::Applied { old: self.copy.insert(new.key.clone(), new.clone()), new }
    }

    fn gone(&mut self, last: Arc<Stored>) -> Option<Change> {
        self.copy.remove(&last.key).map(|_| Change::Deleted(last))
    }

    /// The objects as the watch has shown them.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.copy.values()
    }
}
