//! Watches of one node's pods. With hundreds of agents, each waking for every pod's change would cost more than all the rest;
//! so one reader takes the feed and gives a change to those whose node it concerns.
use crate::authz::node::node_of;
use crate::store::{Change, Feed, Store, WatchFrom};
use model::ApiError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Changes that wait for one watcher at most; one that is slower goes back to the feed.
const WAITING: usize = 1_024;
const BATCH: usize = 1_000;
/// How often the reader notes how far the log has come while no pod changes.
const PROGRESS: Duration = Duration::from_secs(10);
/// The field by which pods are routed.
pub const FIELD: &str = "spec.nodeName";

#[derive(Default)]
struct Table {
    /// Up to where changes were given out; `None` while nobody reads the feed.
    done: Option<u64>,
    watchers: HashMap<String, Vec<mpsc::Sender<Arc<Change>>>>,
}

impl Table {
    fn give(&mut self, change: &Arc<Change>) {
        let now = node_of(&change.new);
        // a binding never changes, so that before it was either the same node or none: but a name may be made again elsewhere
        let before = change.old.as_deref().map(node_of).filter(|before| *before != now);
        for name in before.into_iter().chain([now]).filter(|n| !n.is_empty()) {
            if let Some(watchers) = self.watchers.get_mut(&name) {
                watchers.retain(|w| w.try_send(change.clone()).is_ok());
                if watchers.is_empty() {
                    self.watchers.remove(&name);
                }
            }
        }
        self.done = Some(change.revision);
    }
}

/// Who watches which node's pods. Cheap to clone.
#[derive(Clone, Default)]
pub struct Routes(Arc<Mutex<Table>>);

impl Routes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the feed for all, until the store stops. After a gap in it every watcher goes back to a feed of its own.
    pub async fn run(self, store: Store) {
        loop {
            let feed = store.watch("", "pods", "", WatchFrom::Now);
            let error = match feed {
                Ok(feed) => self.read(feed).await,
                Err(error) => error,
            };
            *self.table() = Table::default();
            if error.reason != model::Reason::Expired {
                tracing::info!(%error, "pods are no longer routed to their nodes' watchers");
                return;
            }
        }
    }

    async fn read(&self, mut feed: Feed) -> ApiError {
        self.table().done = Some(feed.revision());
        let mut ticks = tokio::time::interval(PROGRESS);
        loop {
            tokio::select! {
                changes = feed.next() => match changes {
                    Ok(changes) => {
                        let mut table = self.table();
                        changes.iter().for_each(|change| table.give(change));
                    }
                    Err(error) => return error,
                },
                _ = ticks.tick() => self.table().done = Some(feed.progress()),
            }
        }
    }

    /// From now on, changes of the pods of `node`; `None` while nobody reads the feed.
    fn subscribe(&self, node: &str) -> Option<Route> {
        let mut table = self.table();
        let since = table.done?;
        let (sender, changes) = mpsc::channel(WAITING);
        table.watchers.entry(node.to_owned()).or_default().push(sender);
        Some(Route { changes, since, seen: 0 })
    }
}

/// One watcher's share.
struct Route {
    changes: mpsc::Receiver<Arc<Change>>,
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

impl Source {
    /// A resource's changes.
    pub fn of(store: Store, routes: Routes, feed: Feed) -> Self {
        Self { store, routes, feed: Some(feed), route: None }
    }

    /// The changes of the pods of one node, after what `feed` has returned.
    pub fn of_node(store: Store, routes: Routes, node: &str, feed: Feed) -> Self {
        // who starts in the future waits there on the feed
        let route = if feed.revision() <= store.revision("", "pods") { routes.subscribe(node) } else { None };
        Self { store, routes, feed: Some(feed), route }
    }

    /// Waits for changes. Cancel-safe.
    ///
    /// # Errors
    /// As [`Feed::next`].
    pub async fn next(&mut self) -> Result<Vec<Arc<Change>>, ApiError> {
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
                let done = self.routes.table().done;
                if route.changes.is_empty() {
                    route.seen = route.seen.max(done.unwrap_or_default());
                }
                route.seen
            }
            (None, None) => 0,
        }
    }
}
