//! Watch: a selection's share of a resource's changes, for as long as the client reads.
use super::read::revision;
use crate::call::Call;
use crate::form;
use crate::pipeline::Pipeline;
use crate::routes::{self, Source};
use crate::selection::Selection;
use crate::store::{Change, WatchFrom};
use bus::stream::Sender;
use bus::{Caller, Duplex, Opening, StreamError};
use model::{ApiError, Stored};
use state_client::{Event, Verb, WatchRequest};
use std::sync::Arc;
use std::time::Duration;

/// How often a bookmark says how far a quiet watch has come.
const BOOKMARK: Duration = Duration::from_secs(60);
/// So many initial events travel in one frame.
const FRAME: usize = 500;

/// A watch that was allowed and is ready to be opened.
struct Ready {
    call: Call,
    selection: Selection,
    initial: Vec<Arc<Stored>>,
    /// At which the initial objects are.
    revision: u64,
    source: Source,
    bookmarks: bool,
    /// Whether a bookmark ends the initial events.
    announced: bool,
    /// Asked again before each change is told to a node: what it may see ends with its pods. Of pods the selection sees to that.
    judge: Option<Pipeline>,
}

impl Pipeline {
    /// Serves one watch from its opening to its end.
    pub(crate) async fn watch(&self, opening: Opening<WatchRequest>) {
        match self.ready(&opening.caller, opening.message.clone()).await {
            Err(refusal) => opening.refuse(refusal).await,
            Ok(ready) => match opening.accept().await {
                Ok(stream) => ready.run(stream).await,
                Err(error) => tracing::debug!(%error, "a watch was given up before it began"),
            },
        }
    }

    async fn ready(&self, caller: &Caller, asked: WatchRequest) -> Result<Ready, ApiError> {
        // its verb is what it is allowed by
        if asked.request.verb != Verb::Watch {
            return Err(ApiError::bad_request("only a watch can be opened as a stream of events"));
        }
        let (call, _) = self.admit_call(caller, asked.request).await?;
        let selection = Selection::parse(&call.kind, &call.options)?.limited(self.limit(&call)?);
        let (group, resource) = (&*call.row.group, &*call.row.resource);
        let from = match (call.options.resource_version.as_str(), asked.initial_events) {
            ("" | "0", Some(false)) => WatchFrom::Now,
            ("" | "0", _) => WatchFrom::Initial,
            (text, Some(true)) => {
                self.store().reach(group, resource, revision(text)?).await?;
                WatchFrom::Initial
            }
            (text, _) => WatchFrom::After(revision(text)?),
        };
        if call.options.resource_version.is_empty() {
            self.store().barrier(group, resource).await?;
        }
        self.allow_again(&call).await?;
        let (store, routes) = (self.store().clone(), self.routes().clone());
        let node = selection.exact(routes::FIELD).filter(|n| !n.is_empty() && call.namespace.is_empty() && resource == "pods" && group.is_empty());
        let (source, (initial, revision)) = match node {
            Some(node) => Source::of_node(store, routes, node, from).await?,
            None => Source::of(store, routes, (group, resource), &call.namespace, from)?,
        };
        let judge = call.node().filter(|_| !call.of_pods()).map(|_| self.clone());
        Ok(Ready { call, selection, initial, revision, source, bookmarks: asked.bookmarks, announced: asked.initial_events == Some(true), judge })
    }
}

/// Why a watch ended.
enum End {
    /// The client stopped reading, or its connection is gone.
    Closed,
    /// The watch can't go on.
    Failed(ApiError),
}

impl From<StreamError> for End {
    fn from(_: StreamError) -> Self {
        Self::Closed
    }
}

impl From<ApiError> for End {
    fn from(e: ApiError) -> Self {
        Self::Failed(e)
    }
}

impl Ready {
    async fn run(mut self, stream: Duplex<Vec<Event>, ()>) {
        // the client sends nothing; its half is kept because dropping it would say that we no longer listen
        let (mut sender, _receiver) = stream.split();
        if let Err(End::Failed(error)) = self.follow(&mut sender).await {
            tracing::debug!(resource = %self.call.kind.resource, %error, "a watch can't go on");
            // a client that is gone by now has no use for the reason
            sender.send(vec![Event::Error(error)]).await.unwrap_or_default();
        }
    }

    async fn follow(&mut self, sender: &mut Sender<Vec<Event>>) -> Result<(), End> {
        self.begin(sender).await?;
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + BOOKMARK, BOOKMARK);
        loop {
            let events = tokio::select! {
                () = sender.closed() => return Err(End::Closed),
                changes = self.source.next() => self.judged(&changes?).await?,
                _ = ticks.tick(), if self.bookmarks => vec![Event::Bookmark { revision: self.source.progress(), initial_events_end: false }],
            };
            if !events.is_empty() {
                sender.send(events).await?;
            }
        }
    }

    async fn judged(&self, changes: &[Arc<Change>]) -> Result<Vec<Event>, ApiError> {
        let events = self.events(changes)?;
        if let Some(pipeline) = self.judge.as_ref().filter(|_| !events.is_empty()) {
            pipeline.allow_again(&self.call).await?;
        }
        Ok(events)
    }

    fn events(&self, changes: &[Arc<Change>]) -> Result<Vec<Event>, ApiError> {
        let mut events = Vec::with_capacity(changes.len());
        for change in changes {
            events.extend(self.selection.event(&*form::outward_change(&self.call.kind, change)?));
        }
        Ok(events)
    }

    /// Sends the objects that exist.
    async fn begin(&mut self, sender: &mut Sender<Vec<Event>>) -> Result<(), End> {
        let mut frame = Vec::new();
        for stored in std::mem::take(&mut self.initial) {
            let shown = form::outward(&self.call.kind, stored)?;
            if self.selection.selects(&shown) {
                frame.push(Event::Added(shown));
            }
            if frame.len() == FRAME {
                sender.send(std::mem::take(&mut frame)).await?;
            }
        }
        if self.announced {
            frame.push(Event::Bookmark { revision: self.revision, initial_events_end: true });
        }
        if !frame.is_empty() {
            sender.send(frame).await?;
        }
        Ok(())
    }
}
