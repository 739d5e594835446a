//! Which pods are on which node, and who watches them: a change is given to those whose node it concerns.
use crate::node_name::node_of;
use crate::store::RecordedChange;
use model::Stored;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Changes that wait for one watcher at most; one that is slower goes back to the feed.
const WAITING: usize = 1_024;

/// What is known of one node's pods.
#[derive(Default)]
struct Node {
    pods: Vec<Arc<Stored>>,
    /// When the last of them changed or went.
    changed: u64,
    watchers: Vec<mpsc::Sender<Arc<RecordedChange>>>,
}

impl Node {
    fn put(&mut self, pod: &Arc<Stored>) {
        match self.pods.iter_mut().find(|p| p.key == pod.key) {
            Some(slot) => *slot = pod.light(),
            None => self.pods.push(pod.light()),
        }
    }

    fn has(&self, pod: &Stored) -> bool {
        self.pods.iter().any(|p| p.key == pod.key)
    }

    fn give(&mut self, change: &Arc<RecordedChange>) {
        self.changed = change.revision;
        self.watchers.retain(|w| w.try_send(change.clone()).is_ok());
    }

    fn is_idle(&self) -> bool {
        self.pods.is_empty() && self.watchers.is_empty()
    }
}

/// Which pods are on which node, as far as changes were given out.
#[derive(Default)]
pub(super) struct Table {
    nodes: HashMap<String, Node>,
    /// Up to where changes were given out.
    pub(super) done: u64,
    /// No change after this is unknown of nodes that aren't in the table.
    since: u64,
}

impl Table {
    /// The pods at `revision`.
    pub(super) fn of(pods: Vec<Arc<Stored>>, revision: u64) -> Self {
        let mut table = Self { done: revision, since: revision, ..Self::default() };
        for pod in pods {
            let name = node_of(&pod);
            if !name.is_empty() {
                table.nodes.entry(name).or_insert_with(|| Node { changed: revision, ..Node::default() }).pods.push(pod.light());
            }
        }
        table
    }

    pub(super) fn give(&mut self, change: &Arc<RecordedChange>) {
        let now = node_of(&change.new);
        // a binding never changes, so that before it was either the same node or none: but a name may be made again elsewhere
        let elsewhere = || !self.nodes.get(&now).is_some_and(|node| node.has(&change.new));
        let before = change.old.as_deref().filter(|_| elsewhere()).map(node_of).filter(|before| *before != now);
        for name in before.iter().chain([&now]).filter(|n| !n.is_empty()) {
            let node = self.nodes.entry(name.clone()).or_default();
            if *name == now && !change.deleted {
                node.put(&change.new)
            } else {
                node.pods.retain(|p| p.key != change.new.key)
            }
            node.give(change);
            if node.is_idle() {
                self.nodes.remove(name);
                self.since = change.revision;
            }
        }
        self.done = change.revision;
    }

    /// The pods of a node.
    pub(super) fn pods(&self, node: &str) -> Vec<Arc<Stored>> {
        self.nodes.get(node).map(|n| n.pods.clone()).unwrap_or_default()
    }

    /// Whether nothing happened to this node's pods after `revision`.
    pub(super) fn is_quiet(&self, node: &str, revision: u64) -> bool {
        self.nodes.get(node).map_or(self.since, |n| n.changed) <= revision
    }

    /// From now on, changes of this node's pods.
    pub(super) fn subscribe(&mut self, node: &str) -> mpsc::Receiver<Arc<RecordedChange>> {
        let (sender, changes) = mpsc::channel(WAITING);
        let since = self.since;
        let watchers = &mut self.nodes.entry(node.to_owned()).or_insert_with(|| Node { changed: since, ..Node::default() }).watchers;
        watchers.retain(|w| !w.is_closed());
        watchers.push(sender);
        changes
    }
}
