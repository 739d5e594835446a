//! One watcher: its position in the window of recent changes of a resource.
use super::log::Log;
use super::revision::{FUTURE, reach, revision_of};
use super::table::Table;
use super::window::RecordedChange;
use model::{ApiError, Stored};
use std::sync::Arc;

/// At most so many changes come at once.
const BATCH: usize = 1_000;
/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// With what happens from now on.
    Now,
    /// With the current objects, see [`Feed::take_initial`]; then with what happens after.
    Initial,
    /// With what happened after this revision.
    After(u64),
}

/// A bounded place in a resource's changes. It holds no changes of its own: a reader that is slower than the window
/// is long gets `410 Expired`, and nobody else notices.
pub struct Feed {
    log: Arc<Log>,
    table: Arc<Table>,
    namespace: Arc<str>,
    /// The next change to read; `None` while the start lies in the future.
    position: Option<u64>,
    revision: u64,
    initial: Vec<Arc<Stored>>,
}

/// The 410 of watches: `oldest` is the oldest revision that a watch can start from.
fn too_old(revision: u64, oldest: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {revision} ({oldest})"))
}

impl Feed {
    pub(crate) fn new(log: Arc<Log>, table: Arc<Table>, namespace: &str, from: WatchFrom) -> Result<Self, ApiError> {
        let applied = log.applied();
        let mut feed = Self { log, table: table.clone(), namespace: namespace.into(), position: None, revision: applied, initial: Vec::new() };
        let data = table.read();
        let current = revision_of(&data, applied);
        match from {
            WatchFrom::After(revision) if revision > current => feed.revision = revision,
            WatchFrom::After(revision) => {
                feed.position = Some(data.window().after(revision).ok_or_else(|| too_old(revision, data.window().floor()))?);
                feed.revision = revision;
            }
            WatchFrom::Now | WatchFrom::Initial => {
                feed.position = Some(data.window().end());
                feed.revision = current;
            }
        }
        if from == WatchFrom::Initial {
            feed.initial = data.after(namespace, None).cloned().collect();
        }
        Ok(feed)
    }

    /// The objects that existed when the watch started, at [`Feed::revision`]; empty unless it started with [`WatchFrom::Initial`].
    pub fn take_initial(&mut self) -> Vec<Arc<Stored>> {
        std::mem::take(&mut self.initial)
    }

    /// Up to where this feed has been read: the start, or the last change returned, or what [`Feed::progress`] found.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest revision up to which all changes have been returned: what a bookmark may say. Moves on while nothing happens to this resource.
    pub fn progress(&mut self) -> u64 {
        let applied = self.log.applied();
        if let Some(position) = self.position {
            let data = self.table.read();
            let unread = data.window().from(position).is_none_or(|mut changes| changes.any(|c| self.concerns(c)));
            if !unread {
                self.revision = self.revision.max(applied);
            }
        }
        self.revision
    }

    fn concerns(&self, change: &RecordedChange) -> bool {
        self.namespace.is_empty() || change.new.key.namespace == self.namespace
    }

    /// Waits for changes and returns as many as there are, at least one and at most 1,000, in order. Cancel-safe.
    ///
    /// # Errors
    /// 410 when the reader was too slow or the cache was loaded anew; 504 when the start lies in the future and stays there; 503 when the store has stopped.
    pub async fn next(&mut self) -> Result<Vec<Arc<RecordedChange>>, ApiError> {
        loop {
            let position = match self.position {
                Some(position) => position,
                None => self.arrive().await?,
            };
            let table = self.table.clone();
            let news = table.news();
            let changes = self.read(position)?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            let stopped = || ApiError::unavailable("the store has stopped");
            tokio::select! {
                biased;
                () = news => {}
                () = self.log.stopped.cancelled() => return Err(stopped()),
            }
        }
    }

    fn read(&mut self, position: u64) -> Result<Vec<Arc<RecordedChange>>, ApiError> {
        let data = self.table.read();
        let window = data.window();
        let unread = window.from(position).ok_or_else(|| too_old(self.revision, window.floor()))?;
        let (mut next, mut changes) = (position, Vec::new());
        for change in unread {
            next += 1;
            if self.concerns(change) {
                changes.push(change.clone());
            }
            if changes.len() == BATCH {
                break;
            }
        }
        drop(data);
        self.position = Some(next);
        if let Some(last) = changes.last() {
            self.revision = last.revision;
        }
        Ok(changes)
    }

    /// Waits for a start that lies in the future.
    async fn arrive(&mut self) -> Result<u64, ApiError> {
        reach(&self.log, self.revision, FUTURE).await?;
        let data = self.table.read();
        let position = data.window().after(self.revision).ok_or_else(|| too_old(self.revision, data.window().floor()))?;
        drop(data);
        self.position = Some(position);
        Ok(position)
    }
}
