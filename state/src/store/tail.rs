//! The tail of one stream. It loads what the stream holds and then follows it; it survives the loss of the connection, the consumer or the server.
//!
//! The stream keeps one message a subject, so a load reads exactly what exists. After an interruption the tail continues after the last sequence that it
//! applied. It loads everything again only when it was behind for longer than half the life of a deletion marker, or when the stream is another one than before.
use super::log::{Log, ReceivedKind, ReceivedMessage};
use super::server::{ConsumerOptions, DeliveredMessage, Delivery, PushConsumer, StreamServer};
use super::stats::Counters;
use super::wire;
use async_nats::HeaderMap;
use bus::Backoff;
use futures::StreamExt;
use futures::stream::BoxStream;
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
    #[error("the consumer brings messages so late that deletion markers may have expired")]
    Behind,
    #[error("the subscription ended")]
    Ended,
    #[error("NATS can't be reached: {0}")]
    Publish(String),
}

/// The loop that keeps a log's tables.
pub(crate) struct Tail {
    pub(crate) log: Arc<Log>,
    pub(crate) server: Arc<dyn StreamServer>,
    pub(crate) counters: Arc<Counters>,
    created: Option<SystemTime>,
}

/// Where one round of following stands.
struct Round {
    deliveries: BoxStream<'static, Delivery>,
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
}

impl Tail {
    pub(crate) fn new(log: Arc<Log>, server: Arc<dyn StreamServer>, counters: Arc<Counters>) -> Self {
        Self { log, server, counters, created: None }
    }

    /// Runs until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            let started = Instant::now();
            let error = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                result = self.follow() => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            tracing::debug!(prefix = self.log.prefix, %error, "the tail starts again");
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
                None => self.log.fed(chunk),
            }
        }
    }

    /// Starts a consumer: from the beginning for a load, otherwise behind what has been applied.
    async fn start(&mut self) -> Result<Round, TailError> {
        // Before the question: while the answer is under way, own writes are acknowledged and applied, which it doesn't know of.
        let known = self.log.applied();
        let state = self.server.state().await.map_err(TailError::Info)?;
        let created = state.created;
        let fresh = self.created == Some(created) && state.last_sequence >= known && !self.log.may_lack_markers();
        self.counters.follows.add(1);
        if !fresh {
            self.counters.loads.add(1);
            self.log.start_load();
            self.created = None;
        }
        let from = if fresh { known + 1 } else { 1 };
        let options = ConsumerOptions { from, heartbeat: HEARTBEAT, inactive: INACTIVE };
        let PushConsumer { pending, deliveries } = self.server.consume(options).await.map_err(TailError::Consumer)?;
        let loaded = (!fresh).then(Vec::new);
        Ok(Round { deliveries, created, delivered: 0, pending, end: state.last_sequence, loaded })
    }

    /// When the consumer has sent all that there was, a load is complete, and what is missing up to the end has expired.
    async fn catch_up(&mut self, round: &mut Round) -> Result<(), TailError> {
        if round.pending > 0 || round.end == 0 && round.loaded.is_none() {
            return Ok(());
        }
        let reached = round.loaded.as_ref().map_or(self.log.applied(), |loaded| loaded.last().map_or(0, |m| m.sequence));
        if reached < round.end && self.server.holds_after(reached).await.map_err(TailError::Info)? {
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
        let first = tokio::time::timeout(SILENCE, round.deliveries.next()).await.map_err(|_| TailError::Silence)?;
        self.take(first.ok_or(TailError::Ended)?, round, &mut chunk).await?;
        while chunk.len() < CHUNK {
            let Some(Some(message)) = futures::FutureExt::now_or_never(round.deliveries.next()) else { break };
            self.take(message, round, &mut chunk).await?;
        }
        if round.pending == 0 {
            self.log.set_complete();
        } else if round.loaded.is_none() && self.log.may_lack_markers() {
            return Err(TailError::Behind);
        }
        Ok(chunk)
    }

    async fn take(&mut self, delivery: Delivery, round: &mut Round, chunk: &mut Vec<ReceivedMessage>) -> Result<(), TailError> {
        match delivery {
            Delivery::Message(message) => self.message(message, round, chunk),
            Delivery::Heartbeat { delivered, answer_to, idle } => {
                if let Some(to) = answer_to {
                    self.server.answer(to).await.map_err(TailError::Publish)?;
                }
                if idle {
                    // Even if it once had more than it sent: that may have expired.
                    round.pending = 0;
                }
                let complete = delivered.is_none_or(|last| last == round.delivered);
                complete.then_some(()).ok_or(TailError::Gap { expected: round.delivered + 1 })
            }
            Delivery::Failed(why) => Err(TailError::Consumer(why)),
        }
    }

    fn message(&mut self, message: DeliveredMessage, round: &mut Round, chunk: &mut Vec<ReceivedMessage>) -> Result<(), TailError> {
        let DeliveredMessage { subject, headers, payload, sequence, consumer_sequence, pending } = message;
        if consumer_sequence != round.delivered + 1 {
            return Err(TailError::Gap { expected: round.delivered + 1 });
        }
        round.delivered = consumer_sequence;
        round.pending = pending;
        let own = headers.as_ref().and_then(|h| wire::own_id(h, &self.log.session));
        if round.loaded.is_none() && !self.log.wants(sequence) {
            return Ok(());
        }
        let Some(key) = self.log.key(&subject) else {
            tracing::warn!(%subject, sequence, "a message on a subject that no object has is left out");
            return Ok(());
        };
        chunk.push(ReceivedMessage { sequence, key, own, kind: kind(headers.as_ref()), payload });
        Ok(())
    }
}

fn kind(headers: Option<&HeaderMap>) -> ReceivedKind {
    match headers {
        Some(h) if wire::is_ended(h) => ReceivedKind::Ended,
        Some(h) if wire::is_delete(h) => ReceivedKind::Delete,
        _ => ReceivedKind::Put,
    }
}
