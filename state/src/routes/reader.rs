//! The one reader of the pods' feed: it gives each change to the routes of the node that it concerns, and tells how far it has come.
use super::table::Table;
use crate::store::{Feed, RecordedChange, Store, WatchFrom};
use model::{ApiError, Stored};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// How often the reader notes how far the log has come while no pod changes.
const PROGRESS: Duration = Duration::from_secs(10);
/// How long a watcher waits for the reader before it reads the feed itself.
const PATIENCE: Duration = Duration::from_secs(3);

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
        self.table().as_ref().map(|table| table.pods(node))
    }

    /// Waits until everything up to `revision` was given out; says whether it was.
    pub async fn reach(&self, revision: u64) -> bool {
        let mut done = self.0.done.subscribe();
        self.0.asked.notify_one();
        matches!(tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= revision)).await, Ok(Ok(_)))
    }

    /// The pods of `node`, at which revision, and their changes after that; `None` while nobody reads the feed.
    pub(super) fn pods(&self, node: &str) -> Option<(Vec<Arc<Stored>>, u64, Route)> {
        let mut table = self.table();
        let table = table.as_mut()?;
        let pods = table.pods(node);
        Some((pods, table.done, Route { changes: table.subscribe(node), since: table.done, seen: table.done }))
    }

    /// Changes of the pods of `node` after `revision`: `None` where some of them may have been given out before.
    pub(super) fn after(&self, node: &str, revision: u64) -> Option<Route> {
        let mut table = self.table();
        let table = table.as_mut().filter(|t| t.is_quiet(node, revision))?;
        Some(Route { changes: table.subscribe(node), since: table.done, seen: revision })
    }

    /// From now on, changes of the pods of `node`; `None` while nobody reads the feed.
    pub(super) fn joined(&self, node: &str) -> Option<Route> {
        let mut table = self.table();
        let table = table.as_mut()?;
        Some(Route { changes: table.subscribe(node), since: table.done, seen: 0 })
    }

    pub(super) fn done(&self) -> u64 {
        self.table().as_ref().map_or(0, |t| t.done)
    }
}

/// One watcher's share.
pub(super) struct Route {
    pub(super) changes: mpsc::Receiver<Arc<RecordedChange>>,
    /// The first change that comes this way is after this revision.
    pub(super) since: u64,
    /// The last change returned.
    pub(super) seen: u64,
}
