//! Watch: sends the changes of a resource that a selection matches, as long as the client reads.
use super::read::revision;
use crate::form;
use crate::identity;
use crate::list_options;
use crate::node_name;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::routes::Source;
use crate::selection::Selection;
use crate::store::{RecordedChange, WatchFrom};
use bus::stream::Sender;
use bus::{Caller, Duplex, Opening, StreamError};
use futures::FutureExt;
use model::{ApiError, Stored};
use state_client::{Event, Verb, WatchRequest};
use std::sync::Arc;
use std::time::Duration;

/// How often a bookmark says how far a quiet watch has come.
const BOOKMARK: Duration = Duration::from_secs(60);
/// So long before a watch ends a bookmark says how far it has come.
const BEFORE_END: Duration = Duration::from_secs(2);
/// When a watch ends that ends with its client only.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3_600);
/// So many initial events travel in one frame.
const FRAME: usize = 500;
/// Bytes of objects in one frame.
const BYTES: usize = 1 << 20;
/// How long a reader may leave events where they are.
const STALLED: Duration = Duration::from_secs(60);
/// After so long events that nobody takes count as what their reader holds.
const SLOW: Duration = Duration::from_millis(100);

/// A watch that was allowed and is ready to be opened.
struct Ready {
    call: RequestContext,
    selection: Selection,
    initial: Vec<Arc<Stored>>,
    /// At which the initial objects are.
    revision: u64,
    source: Source,
    bookmarks: bool,
    /// Whether a bookmark ends the initial events.
    announced: bool,
    /// How long it is going to be open.
    lifetime: Option<Duration>,
    pipeline: Pipeline,
    /// Whether it is asked again before each change is told to a node: what it may see ends with its pods. Of pods the selection sees to that.
    judged: bool,
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

    async fn ready(&self, caller: &Caller, mut asked: WatchRequest) -> Result<Ready, ApiError> {
        // its verb is what it is allowed by
        if asked.request.verb != Verb::Watch {
            return Err(ApiError::bad_request("only a watch can be opened as a stream of events"));
        }
        let user = identity::resolve(caller, asked.request.user.take())?;
        let admitted = self.watches().enter(caller, &user, 0)?;
        let (call, _) = RequestContext::resolve(&self.kinds(), user, admitted, asked.request, jiff::Timestamp::now())?;
        self.allow(&call).await?;
        let selection = Selection::parse(&call.kind, &call.options)?.limited(self.limit(&call)?);
        let (group, resource) = (&*call.row.group, &*call.row.resource);
        let initial_events = list_options::check_watch(&call.options, asked.initial_events)?;
        let from = match (call.options.resource_version.as_str(), initial_events) {
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
        let node = selection.exact(node_name::FIELD).filter(|n| !n.is_empty() && call.namespace.is_empty() && resource == "pods" && group.is_empty());
        let (source, (initial, revision)) = match node {
            Some(node) => Source::of_node(store, routes, node, from).await?,
            None => Source::of(store, routes, (group, resource), &call.namespace, from)?,
        };
        call.admitted.charge(initial.len() * size_of::<Arc<Stored>>())?;
        let (pipeline, judged, announced) = (self.clone(), call.node().is_some() && !call.of_pods(), asked.bookmarks && initial_events == Some(true));
        Ok(Ready { call, selection, initial, revision, source, bookmarks: asked.bookmarks, announced, pipeline, judged, lifetime: asked.lifetime })
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
        let begun = tokio::time::Instant::now();
        let mut ticks = tokio::time::interval_at(begun + BOOKMARK, BOOKMARK);
        let mut last = std::pin::pin!(tokio::time::sleep_until(begun + self.lifetime.unwrap_or(FOREVER).saturating_sub(BEFORE_END)));
        let (mut ends, mut kinds) = (self.bookmarks && self.lifetime.is_some(), self.pipeline.definitions());
        let custom = self.call.kind.schema.custom().is_some();
        loop {
            let events = tokio::select! {
                () = sender.closed() => return Err(End::Closed),
                changes = self.source.next() => self.judged(&changes?).await?,
                _ = ticks.tick(), if self.bookmarks => vec![self.bookmark()],
                () = &mut last, if ends => {
                    ends = false;
                    vec![self.bookmark()]
                }
                Ok(()) = kinds.changed(), if custom => {
                    if self.is_gone() {
                        return Err(End::Closed);
                    }
                    continue;
                }
            };
            self.send(sender, events).await?;
        }
    }

    fn bookmark(&mut self) -> Event {
        Event::Bookmark { revision: self.source.progress(), initial_events_end: false }
    }

    /// Whether the definition of what is watched no longer serves it.
    fn is_gone(&self) -> bool {
        let kind = &self.call.kind;
        self.pipeline.kinds().served(&kind.group, &kind.version, &kind.resource).is_none()
    }

    /// Sends events in as many frames as their sizes ask for. Who leaves them where they are is charged for them, and left after a while: they aren't held
    /// for those who never read.
    async fn send(&self, sender: &mut Sender<Vec<Event>>, mut events: Vec<Event>) -> Result<(), End> {
        while !events.is_empty() {
            let frame = frame(&mut events);
            let bytes = frame.iter().map(size).sum();
            let mut sending = std::pin::pin!(sender.send(frame));
            // most are taken at once: a timer for each would be felt
            if let Some(sent) = sending.as_mut().now_or_never() {
                sent?;
                continue;
            }
            if let Ok(sent) = tokio::time::timeout(SLOW, &mut sending).await {
                sent?;
                continue;
            }
            self.call.admitted.charge(bytes)?;
            let sent = tokio::time::timeout(STALLED, sending).await;
            self.call.admitted.refund(bytes);
            sent.map_err(|_| End::Closed)??;
        }
        Ok(())
    }

    async fn judged(&self, changes: &[Arc<RecordedChange>]) -> Result<Vec<Event>, ApiError> {
        let events = if form::is_as_stored(&self.call.kind) {
            changes.iter().filter_map(|change| self.selection.event(change)).collect()
        } else {
            Box::pin(self.converted(changes)).await?
        };
        if self.judged && !events.is_empty() {
            self.pipeline.allow_again(&self.call).await?;
        }
        Ok(events)
    }

    async fn converted(&self, changes: &[Arc<RecordedChange>]) -> Result<Vec<Event>, ApiError> {
        let mut events = Vec::with_capacity(changes.len());
        for change in changes {
            events.extend(self.selection.event(&self.pipeline.outward_change(&self.call, change).await?));
        }
        Ok(events)
    }

    /// Sends the objects that exist.
    async fn begin(&mut self, sender: &mut Sender<Vec<Event>>) -> Result<(), End> {
        let mut events = Vec::new();
        let mut initial = std::mem::take(&mut self.initial).into_iter();
        while initial.len() > 0 {
            let some = self.pipeline.outward_all(&self.call, initial.by_ref().take(FRAME).collect()).await?;
            events.extend(some.into_iter().filter(|shown| self.selection.selects(shown)).map(Event::Added));
            if events.len() >= FRAME {
                self.send(sender, std::mem::take(&mut events)).await?;
            }
            // others get a turn while a selection looks for what it has nothing of
            tokio::task::yield_now().await;
        }
        if self.announced {
            events.push(Event::Bookmark { revision: self.revision, initial_events_end: true });
        }
        self.send(sender, events).await?;
        self.call.admitted.refund_all();
        Ok(())
    }
}

/// Takes the first of these events that one frame has room for; one that is larger by itself has a frame of its own.
fn frame(events: &mut Vec<Event>) -> Vec<Event> {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += size(event);
        bytes <= BYTES
    });
    let fit = fit.count().max(1);
    if fit >= events.len() { std::mem::take(events) } else { events.drain(..fit).collect() }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Added(object) | Event::Modified(object) | Event::Deleted(object) => object.json().len(),
        Event::Bookmark { .. } | Event::Error(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Key, Object};
    use serde_json::json;

    #[test]
    fn frames_are_bounded_in_bytes() {
        let event = |bytes: usize| {
            let object = Object::from_value(json!({"metadata": {"name": "a"}, "data": "x".repeat(bytes)})).unwrap();
            Event::Added(Arc::new(Stored::from_object(Key::new("", "x", "", "a"), object).unwrap()))
        };
        let end = || Event::Bookmark { revision: 1, initial_events_end: true };
        let half = BYTES / 2;
        let cases = [
            (vec![], vec![]),
            (vec![end()], vec![1]),
            (vec![event(1), event(1), end()], vec![3]),
            (vec![event(half), event(half), event(half), end()], vec![1, 1, 2]),
            (vec![event(half - 100), event(half - 100), event(1)], vec![3]),
            (vec![event(1), event(2 * BYTES), event(2 * BYTES), event(1)], vec![1, 1, 1, 1]),
        ];
        for (mut events, want) in cases {
            let mut got = Vec::new();
            while !events.is_empty() {
                got.push(frame(&mut events).len());
            }
            assert_eq!(got, want);
        }
    }
}
