//! Where the changes of one watch come from: a feed of its own, and for one node's pods a route once that has taken over.
use super::reader::{Route, Routes};
use crate::store::{Feed, RecordedChange, Store, WatchFrom};
use model::{ApiError, Stored};
use std::sync::Arc;

/// At most so many changes are taken from a route at once.
const BATCH: usize = 1_000;

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
