//! Watches: a stream of lines that pulls from `state` only as fast as the client reads.
use crate::forms::{Encoder, EventType, LINE};
use crate::metrics::Open;
use crate::respond::{Body, JSON};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use model::{ApiError, Reason};
use state_client::{Client, Event, Watch, WatchRequest};
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Kubernetes ends a watch without `timeoutSeconds` after 30 to 60 minutes.
const DEFAULT_SECONDS: u64 = 30 * 60;

/// A watch that is open towards a client.
struct Lines {
    watch: Option<Watch>,
    /// Why there is no watch: told as the only event.
    failed: Option<ApiError>,
    encoder: Encoder,
    /// Whether no event has been written yet.
    first: bool,
    deadline: Instant,
    stop: CancellationToken,
    /// Counts this watch for as long as it is there.
    _open: Open,
}

/// When a watch ends: as the client says, otherwise in 30 to 60 minutes, spread so that clients don't come back all at once.
pub fn lifetime(asked: Option<i64>) -> Duration {
    let asked = asked.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
    let spread = || uuid::Uuid::new_v4().as_u128() % u128::from(DEFAULT_SECONDS);
    Duration::from_secs(asked.unwrap_or_else(|| DEFAULT_SECONDS + u64::try_from(spread()).unwrap_or_default()))
}

/// Opens a watch and answers with its lines.
///
/// # Errors
/// What `state` answers when it doesn't open it; a revision that is no longer held is told as an event instead, as Kubernetes does.
pub async fn respond(client: &Client, request: WatchRequest, encoder: Encoder, open: Open, stop: CancellationToken) -> Result<Response<Body>, ApiError> {
    let (lifetime, begins) = (request.lifetime.unwrap_or_else(|| lifetime(None)), request.initial_events == Some(true));
    let (watch, failed) = match client.watch(request).await {
        Ok(watch) => (Some(watch), None),
        Err(e) if matches!(e.reason, Reason::Expired | Reason::Gone) => (None, Some(e)),
        // who begins with what there is at a revision is told by an event that this hasn't come yet
        Err(e) if begins && e.reason == Reason::Timeout => (None, Some(e)),
        Err(e) => return Err(e),
    };
    let content_type = encoder.encoding.stream_type().unwrap_or(JSON);
    let lines = Lines { watch, failed, encoder, first: true, deadline: Instant::now() + lifetime, stop, _open: open };
    let frames = stream::unfold(lines, |mut lines| async move { lines.next().await.map(|bytes| (Ok::<_, io::Error>(Frame::data(bytes)), lines)) });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

impl Lines {
    /// The next lines, as many as came together; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let events = self.events().await?;
            let lines = self.encode(events);
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }

    async fn events(&mut self) -> Option<Vec<Event>> {
        if let Some(error) = self.failed.take() {
            return Some(vec![Event::Error(error)]);
        }
        let watch = self.watch.as_mut()?;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            events = watch.next_batch() => match events {
                Ok(events) => events,
                Err(error) => {
                    tracing::debug!(%error, resource = %self.encoder.kind.resource, "a watch was cut");
                    None
                }
            },
            () = tokio::time::sleep_until(self.deadline) => None,
        }
    }

    /// Events as lines; after one that says that the watch can't go on, nothing comes.
    fn encode(&mut self, events: Vec<Event>) -> Bytes {
        let mut out = BytesMut::with_capacity(events.iter().map(room).sum());
        let now = Timestamp::now();
        for event in events {
            if let Err(error) = self.line(&mut out, event, now) {
                self.watch = None;
                if let Err(lost) = self.encoder.other(&mut out, "ERROR", &error.to_status()) {
                    tracing::error!(%error, %lost, "an error could not be written to a watch");
                }
                break;
            }
        }
        out.freeze()
    }

    fn line(&mut self, out: &mut BytesMut, event: Event, now: Timestamp) -> Result<(), ApiError> {
        let (change, stored) = match event {
            Event::Added(stored) => (EventType::Added, stored),
            Event::Modified(stored) => (EventType::Modified, stored),
            Event::Deleted(stored) => (EventType::Deleted, stored),
            Event::Bookmark { revision, initial_events_end } => return self.encoder.bookmark(out, revision, initial_events_end),
            Event::Error(error) => return Err(error),
        };
        self.encoder.event(out, change, &stored, std::mem::take(&mut self.first), now)
    }
}

/// What an event takes as a line, unless it is shown as a row of a table.
fn room(event: &Event) -> usize {
    match event {
        Event::Added(stored) | Event::Modified(stored) | Event::Deleted(stored) => stored.json().len() + LINE,
        Event::Bookmark { .. } | Event::Error(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime(Some(5)), Duration::from_secs(5));
        for asked in [None, Some(0), Some(-1)] {
            assert!((1800..3600).contains(&lifetime(asked).as_secs()));
        }
    }
}
