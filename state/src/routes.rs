//! Watches of one node's pods. With thousands of agents, each waking for every pod's change, or looking through all pods to find its own,
//! would cost more than all the rest; so one reader takes the feed, knows which pods are on which node, and gives a change to those whose node it
//! concerns.
use crate::node_name::node_of;
use crate::store::{Feed, RecordedChange, Store, WatchFrom};
use model::{ApiError, Stored};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Changes that wait for one watcher at most; one that is slower goes back to the feed.
const WAITING: usize = 1_024;
const BATCH: usize = 1_000;
/// How often the reader notes how far the log has come while no pod changes.
const PROGRESS: Duration = Duration::from_secs(10);
/// How long a watcher waits for the reader before it reads the feed itself.
const PATIENCE: Duration = Duration::from_secs(3);

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

#[derive(Default)]
struct Table {
    nodes: HashMap<String, Node>,
    /// Up to where changes were given out.
    done: u64,
    /// No change after this is unknown of nodes that aren't in the table.
    since: u64,
}

impl Table {
    /// The pods at `revision`.
    fn of(pods: Vec<Arc<Stored>>, revision: u64) -> Self {
        let mut table = Self { done: revision, since: revision, ..Self::default() };
        for pod in pods {
            let name = node_of(&pod);
            if !name.is_empty() {
                table.nodes.entry(name).or_insert_with(|| Node { changed: revision, ..Node::default() }).pods.push(pod.light());
            }
        }
        table
    }

    fn give(&mut self, change: &Arc<RecordedChange>) {
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

    /// Whether nothing happened to this node's pods after `revision`.
    fn is_quiet(&self, node: &str, revision: u64) -> bool {
        self.nodes.get(node).map_or(self.since, |n| n.changed) <= revision
    }

    /// From now on, changes of this node's pods.
    fn subscribe(&mut self, node: &str) -> mpsc::Receiver<Arc<RecordedChange>> {
        let (sender, changes) = mpsc::channel(WAITING);
        let since = self.since;
        let watchers = &mut self.nodes.entry(node.to_owned()).or_insert_with(|| Node { changed: since, ..Node::default() }).watchers;
        watchers.retain(|w| !w.is_closed());
        watchers.push(sender);
        changes
    }
}

struct Shared {
    /// `None` while nobody reads the feed.
    table: Mutex<Option<Table>>,
    /// [`Table::done`], for those who wait for it.
    done: watch::Sender<u64>,
    /// Somebody wants to know how far the log has come.
    asked: Notify,
}

/// Who watches which node's pods. Cheap to clone.
#[derive(Clone)]
pub struct Routes(Arc<Shared>);

impl Default for Routes {
    fn default() -> Self {
        Self(Arc::new(Shared { table: Mutex::default(), done: watch::Sender::new(0), asked: Notify::new() }))
    }
}

impl Routes {
    fn table(&self) -> MutexGuard<'_, Option<Table>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the feed for all, until the store stops. After a gap in it every watcher goes back to a feed of its own.
    pub async fn run(self, store: Store) {
        loop {
            let feed = store.watch("", "pods", "", WatchFrom::Initial);
            let error = match feed {
                Ok(feed) => self.read(feed).await,
                Err(error) => error,
            };
            *self.table() = None;
            if error.reason != model::Reason::Expired {
                tracing::info!(%error, "pods are no longer routed to their nodes' watchers");
                return;
            }
        }
    }

    async fn read(&self, mut feed: Feed) -> ApiError {
        *self.table() = Some(Table::of(feed.take_initial(), feed.revision()));
        let mut ticks = tokio::time::interval(PROGRESS);
        loop {
            tokio::select! {
                changes = feed.next() => match changes {
                    Ok(changes) => if let Some(table) = &mut *self.table() {
                        changes.iter().for_each(|change| table.give(change));
                    },
                    Err(error) => return error,
                },
                _ = ticks.tick() => {}
                () = self.0.asked.notified() => {}
            }
            let done = feed.progress();
            if let Some(table) = &mut *self.table() {
                table.done = done;
            }
            self.0.done.send_replace(done);
        }
    }

    /// The pods of `node` up to what was given out; `None` while nobody reads the feed.
    pub fn on_node(&self, node: &str) -> Option<Vec<Arc<Stored>>> {
        self.table().as_ref().map(|table| table.nodes.get(node).map(|n| n.pods.clone()).unwrap_or_default())
    }

    /// Waits until everything up to `revision` was given out; says whether it was.
    pub async fn reach(&self, revision: u64) -> bool {
        let mut done = self.0.done.subscribe();
        self.0.asked.notify_one();
        matches!(tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= revision)).await, Ok(Ok(_)))
    }

    /// The pods of `node`, at which revision, and their changes after that; `None` while nobody reads the feed.
    fn pods(&self, node: &str) -> Option<(Vec<Arc<Stored>>, u64, Route)> {
        let mut table = self.table();
        let table = table.as_mut()?;
        let pods = table.nodes.get(node).map(|n| n.pods.clone()).unwrap_or_default();
        Some((pods, table.done, Route { changes: table.subscribe(node), since: table.done, seen: table.done }))
    }

    /// Changes of the pods of `node` after `revision`: `None` where some of them may have been given out before.
    fn after(&self, node: &str, revision: u64) -> Option<Route> {
        let mut table = self.table();
        let table = table.as_mut().filter(|t| t.is_quiet(node, revision))?;
        Some(Route { changes: table.subscribe(node), since: table.done, seen: revision })
    }

    /// From now on, changes of the pods of `node`; `None` while nobody reads the feed.
    fn joined(&self, node: &str) -> Option<Route> {
        let mut table = self.table();
        let table = table.as_mut()?;
        Some(Route { changes: table.subscribe(node), since: table.done, seen: 0 })
    }

    fn done(&self) -> u64 {
        self.table().as_ref().map_or(0, |t| t.done)
    }
}

/// One watcher's share.
struct Route {
    changes: mpsc::Receiver<Arc<RecordedChange>>,
    /// The first change that comes this way is after this revision.
    since: u64,
    /// The last change returned.
    seen: u64,
}

/// Where a watch's changes come from: a feed, and then, for one node's pods, a route.
pub struct Source {
    store: Store,
    routes: Routes,
    /// What comes first; with a route, only until that takes over.
    feed: Option<Feed>,
    route: Option<Route>,
}

/// A watch's objects at its start, and the revision at which they are so.
pub type Start = (Vec<Arc<Stored>>, u64);

impl Source {
    /// A resource's changes.
    ///
    /// # Errors
    /// 410 when the window no longer reaches back to the revision asked for.
    pub fn of(store: Store, routes: Routes, resource: (&str, &str), namespace: &str, from: WatchFrom) -> Result<(Self, Start), ApiError> {
        let mut feed = store.watch(resource.0, resource.1, namespace, from)?;
        let start = (feed.take_initial(), feed.revision());
        Ok((Self { store, routes, feed: Some(feed), route: None }, start))
    }

    /// The changes of the pods of one node.
    ///
    /// # Errors
    /// As [`Source::of`].
    pub async fn of_node(store: Store, routes: Routes, node: &str, from: WatchFrom) -> Result<(Self, Start), ApiError> {
        // who starts in the future waits there on the feed
        let now = store.revision("", "pods");
        let wanted = if let WatchFrom::After(revision) = from { revision } else { now };
        let routed = wanted <= now && routes.reach(wanted).await;
        let direct = match from {
            _ if !routed => None,
            WatchFrom::Initial => routes.pods(node),
            WatchFrom::Now => routes.after(node, wanted).map(|route| (Vec::new(), wanted, route)),
            WatchFrom::After(revision) => routes.after(node, revision).map(|route| (Vec::new(), revision, route)),
        };
        if let Some((pods, revision, route)) = direct {
            return Ok((Self { store, routes, feed: None, route: Some(route) }, (pods, revision)));
        }
        let (source, start) = Self::of(store, routes, ("", "pods"), "", from)?;
        let route = if routed { source.routes.joined(node) } else { None };
        Ok((Self { route, ..source }, start))
    }

    /// Waits for changes. Cancel-safe.
    ///
    /// # Errors
    /// As [`Feed::next`].
    pub async fn next(&mut self) -> Result<Vec<Arc<RecordedChange>>, ApiError> {
        loop {
            match (&mut self.feed, &mut self.route) {
                (Some(feed), None) => return feed.next().await,
                (Some(feed), Some(route)) => {
                    let done = feed.progress();
                    if done < route.since {
                        return feed.next().await;
                    }
                    route.seen = done;
                    self.feed = None;
                }
                (None, Some(route)) => {
                    let mut changes = Vec::new();
                    if route.changes.recv_many(&mut changes, BATCH).await == 0 {
                        self.feed = Some(self.store.watch("", "pods", "", WatchFrom::After(route.seen))?);
                        self.route = None;
                        continue;
                    }
                    // the feed and the route overlap
                    changes.retain(|c| c.revision > route.seen);
                    if let Some(last) = changes.last() {
                        route.seen = last.revision;
                        return Ok(changes);
                    }
                }
                (None, None) => return Err(ApiError::internal("a watch without a source")),
            }
        }
    }

    /// Up to where everything was returned.
    pub fn progress(&mut self) -> u64 {
        match (&mut self.feed, &mut self.route) {
            (Some(feed), _) => feed.progress(),
            (None, Some(route)) => {
                // asked before the look into the channel: what was given out by then is in it, or was returned
                let done = self.routes.done();
                if route.changes.is_empty() {
                    route.seen = route.seen.max(done);
                }
                route.seen
            }
            (None, None) => 0,
        }
    }
}
