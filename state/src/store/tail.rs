//! The tail of one stream. It loads what the stream holds and then follows it; it survives the loss of the connection, the consumer or the server.
//!
//! The stream keeps one message a subject, so a load reads exactly what exists. After an interruption the tail continues after the last sequence that it
//! applied. It loads everything again only when it was away for longer than half the life of a deletion marker, or when the stream is another one than before.
//!
//! While only this process writes, the tail asks for headers without payloads, because this process already has what it wrote.
use super::leader::Leader;
use super::log::{Log, ReceivedKind, ReceivedMessage};
use super::stats::Counters;
use super::wire;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, push};
use async_nats::{HeaderMap, StatusCode, Subscriber, header};
use bus::Backoff;
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_millis(400);
/// Without a message for so long the consumer is taken for lost.
const SILENCE: Duration = Duration::from_millis(1_000);
/// A consumer that nobody listens to any more goes after so long.
const INACTIVE: Duration = Duration::from_secs(30);
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// So many messages are applied at once.
const CHUNK: usize = 512;
/// After so many messages of this process alone, the tail no longer asks for what it has written itself.
const ALONE: u32 = 1_024;

/// Why following stopped. The tail starts again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TailError {
    #[error("the stream can't be asked: {0}")]
    Info(String),
    #[error("no consumer: {0}")]
    Consumer(String),
    #[error("message {expected} of the consumer is missing")]
    Gap { expected: u64 },
    #[error("no sign of life from the consumer")]
    Silence,
    #[error("the subscription ended")]
    Ended,
    #[error("NATS can't be reached: {0}")]
    Publish(String),
    #[error("a message of the stream is not understood: {0}")]
    Malformed(String),
    /// Messages come without what they hold, and it isn't known here; or with it, and it is. Nothing is wrong.
    #[error("others write: {others}")]
    Writers { others: bool },
}

/// The loop that keeps a log's tables.
pub(crate) struct Tail {
    pub(crate) log: Arc<Log>,
    pub(crate) js: jetstream::Context,
    pub(crate) leader: Leader,
    pub(crate) counters: Arc<Counters>,
    created: Option<SystemTime>,
    heard: Instant,
    /// So many messages of this process came since the last one of another.
    own: u32,
}

/// Where one round of following stands.
struct Round {
    inbox: Subscriber,
    /// When the stream was made: what tells it from another one of the same name.
    created: SystemTime,
    /// The consumer's sequence of the last message.
    delivered: u64,
    /// How many messages the consumer still had when it sent the last one.
    pending: u64,
    /// The stream's end when the round began.
    end: u64,
    /// What a load has read.
    loaded: Option<Vec<ReceivedMessage>>,
    /// Whether messages come without what they hold: this process has written them.
    headers_only: bool,
}

impl Tail {
    pub(crate) fn new(log: Arc<Log>, js: jetstream::Context, leader: Leader, counters: Arc<Counters>) -> Self {
        Self { log, js, leader, counters, created: None, heard: Instant::now(), own: 0 }
    }

    /// Runs until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            let started = Instant::now();
            let error = tokio::select! {
                () = cancel.cancelled() => return,
                result = self.follow() => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            tracing::debug!(prefix = self.log.prefix, %error, "the tail starts again");
            if let TailError::Writers { .. } = error {
                continue;
            }
            if started.elapsed() > BACKOFF_MAX {
                backoff.reset();
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, TailError> {
        let mut round = self.start().await?;
        loop {
            self.catch_up(&mut round).await?;
            let chunk = self.receive(&mut round).await?;
            match &mut round.loaded {
                Some(loaded) => loaded.extend(chunk),
                None if chunk.is_empty() => {}
                None => self.applied(chunk)?,
            }
            if !round.headers_only && round.loaded.is_none() && self.own >= ALONE {
                return Err(TailError::Writers { others: false });
            }
        }
    }

    /// Applies what was read. Of a message that came without what it holds, that must be known here.
    fn applied(&mut self, chunk: Vec<ReceivedMessage>) -> Result<(), TailError> {
        let known = self.log.fed(chunk);
        if !known {
            self.own = 0;
        }
        known.then_some(()).ok_or(TailError::Writers { others: true })
    }

    /// Starts a consumer: from the beginning for a load, otherwise behind what has been applied.
    async fn start(&mut self) -> Result<Round, TailError> {
        // Before the question: while the answer is under way, own writes are acknowledged and applied, which it doesn't know of.
        let known = self.log.applied();
        let info = self.leader.info().await.map_err(TailError::Info)?;
        let created = SystemTime::from(info.created);
        let fresh = self.created == Some(created) && info.state.last_sequence >= known && self.heard.elapsed() < self.log.marker_ttl / 2;
        self.counters.follows.add(1);
        if !fresh {
            self.counters.loads.add(1);
            self.log.start_load();
            self.created = None;
        }
        let policy = if fresh { DeliverPolicy::ByStartSequence { start_sequence: known + 1 } } else { DeliverPolicy::All };
        let headers_only = fresh && self.own >= ALONE;
        let inbox_name = self.js.client().new_inbox();
        let inbox = self.js.client().subscribe(inbox_name.clone()).await.map_err(|e| TailError::Consumer(e.to_string()))?;
        let config = push::Config {
            deliver_subject: inbox_name,
            deliver_policy: policy,
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            idle_heartbeat: HEARTBEAT,
            flow_control: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            headers_only,
            ..push::Config::default()
        };
        let consumer = self.js.create_consumer_on_stream(config, &info.config.name).await.map_err(|e| TailError::Consumer(e.to_string()))?;
        let loaded = (!fresh).then(Vec::new);
        Ok(Round { inbox, created, delivered: 0, pending: consumer.cached_info().num_pending, end: info.state.last_sequence, loaded, headers_only })
    }

    /// When the consumer has sent all that there was, a load is complete, and what is missing up to the end has expired.
    async fn catch_up(&mut self, round: &mut Round) -> Result<(), TailError> {
        if round.pending > 0 || round.end == 0 && round.loaded.is_none() {
            return Ok(());
        }
        let reached = round.loaded.as_ref().map_or(self.log.applied(), |loaded| loaded.last().map_or(0, |m| m.sequence));
        if reached < round.end && self.leader.holds_after(reached).await.map_err(TailError::Info)? {
            return Ok(());
        }
        let end = reached.max(round.end);
        match round.loaded.take() {
            Some(loaded) => {
                self.log.replace(loaded, end);
                self.created = Some(round.created);
            }
            None => self.log.advance(end),
        }
        round.end = 0;
        Ok(())
    }

    /// Waits for messages, and takes as many as have come.
    async fn receive(&mut self, round: &mut Round) -> Result<Vec<ReceivedMessage>, TailError> {
        let mut chunk = Vec::new();
        let first = tokio::time::timeout(SILENCE, round.inbox.next()).await.map_err(|_| TailError::Silence)?;
        self.take(first.ok_or(TailError::Ended)?, round, &mut chunk).await?;
        while chunk.len() < CHUNK {
            let Some(Some(message)) = futures::FutureExt::now_or_never(round.inbox.next()) else { break };
            self.take(message, round, &mut chunk).await?;
        }
        self.heard = Instant::now();
        Ok(chunk)
    }

    async fn take(&mut self, message: async_nats::Message, round: &mut Round, chunk: &mut Vec<ReceivedMessage>) -> Result<(), TailError> {
        if message.status.is_some() {
            return self.control(&message, round).await;
        }
        let message = jetstream::Message { message, context: self.js.clone() };
        let info = message.info().map_err(|e| TailError::Malformed(e.to_string()))?;
        if info.consumer_sequence != round.delivered + 1 {
            return Err(TailError::Gap { expected: round.delivered + 1 });
        }
        round.delivered = info.consumer_sequence;
        round.pending = info.pending;
        let sequence = info.stream_sequence;
        let own = message.headers.as_ref().and_then(|h| wire::own_id(h, &self.log.session));
        self.own = own.map_or(0, |_| self.own.saturating_add(1));
        if round.loaded.is_none() && !self.log.wants(sequence) {
            return Ok(());
        }
        let Some(key) = self.log.key(&message.subject) else {
            tracing::warn!(subject = %message.subject, sequence, "a message on a subject that no object has is left out");
            return Ok(());
        };
        let payload = (!round.headers_only).then(|| message.payload.clone());
        chunk.push(ReceivedMessage { sequence, key, own, kind: kind(message.headers.as_ref()), payload });
        Ok(())
    }

    /// Heartbeats and flow control.
    async fn control(&self, message: &async_nats::Message, round: &mut Round) -> Result<(), TailError> {
        if message.status != Some(StatusCode::IDLE_HEARTBEAT) {
            return Err(TailError::Consumer(message.description.clone().unwrap_or_default().to_string()));
        }
        let header = |name| message.headers.as_ref().and_then(|h| h.get(name)).map(ToString::to_string);
        let stalled = header(async_nats::HeaderName::from_static("Nats-Consumer-Stalled"));
        if let Some(reply) = message.reply.as_ref().map(ToString::to_string).or(stalled) {
            self.js.client().publish(reply, Bytes::new()).await.map_err(|e| TailError::Publish(e.to_string()))?;
        }
        if message.reply.is_none() {
            // It only idles when it has nothing more, even if it once had: what it had may have expired.
            round.pending = 0;
        }
        let last: Option<u64> = header(header::NATS_LAST_CONSUMER).and_then(|n| n.parse().ok());
        match last {
            Some(last) if last != round.delivered => Err(TailError::Gap { expected: round.delivered + 1 }),
            _ => Ok(()),
        }
    }
}

fn kind(headers: Option<&HeaderMap>) -> ReceivedKind {
    match headers {
        Some(h) if wire::is_ended(h) => ReceivedKind::Ended,
        Some(h) if wire::is_delete(h) => ReceivedKind::Delete,
        _ => ReceivedKind::Put,
    }
}
