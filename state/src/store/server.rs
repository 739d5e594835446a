//! What the store asks of the server that holds one of its streams. NATS answers it (`nats.rs`); in the simulation of the log a server in memory does, which
//! loses, doubles and delays what it is asked and what it says.
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A message for the stream.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub subject: Subject,
    /// What it expects, and whose it is.
    pub headers: HeaderMap,
    /// What it holds.
    pub payload: Bytes,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// It is larger than the server takes, and was not sent.
    TooLarge(String),
    /// Nothing came, in time: it may have been done, or may be done yet.
    NoReply(String),
}

/// What a stream is, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// When it was made: what tells it from another one of the same name.
    pub created: SystemTime,
    /// The sequence of its last message.
    pub last_sequence: u64,
}

/// A message of the stream, without what it holds.
#[derive(Clone, Debug)]
pub struct LastMessage {
    /// Its sequence.
    pub sequence: u64,
    /// Its headers.
    pub headers: HeaderMap,
}

/// What a consumer sends.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A message of the stream.
    Message(DeliveredMessage),
    /// It has nothing more to send now, or asks whether what it sent has arrived.
    Heartbeat {
        /// The consumer's sequence of what it sent last, where it says it.
        delivered: Option<u64>,
        /// Where it waits for an answer before it sends more.
        answer_to: Option<String>,
        /// Whether it sends heartbeats because it has nothing else to send.
        idle: bool,
    },
    /// It has ended, or what it sent isn't understood: why.
    Failed(String),
}

/// A message of the stream on its way to a consumer.
#[derive(Clone, Debug)]
pub struct DeliveredMessage {
    /// Its subject.
    pub subject: Subject,
    /// Its headers.
    pub headers: Option<HeaderMap>,
    /// What it holds.
    pub payload: Bytes,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its sequence among what this consumer sent, from 1 on.
    pub consumer_sequence: u64,
    /// How many more the consumer has.
    pub pending: u64,
}

/// A consumer that pushes the messages of the stream, in order.
pub struct PushConsumer {
    /// How many it has at its start.
    pub pending: u64,
    /// What it sends; ends when the connection does.
    pub deliveries: BoxStream<'static, Delivery>,
}

/// How a consumer is started.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerOptions {
    /// From this sequence on.
    pub from: u64,
    /// It says something at least so often.
    pub heartbeat: Duration,
    /// It ends when nobody has listened for so long.
    pub inactive: Duration,
}

/// The server of one stream. What it says of the stream is never older than what it has acknowledged: the stream's leader says it.
pub trait StreamServer: Send + Sync + 'static {
    /// The stream's name.
    fn stream(&self) -> &str;
    /// The most that a message may have, bytes.
    fn max_payload(&self) -> usize;
    /// Publishes, without an answer.
    fn publish(&self, message: Outgoing) -> BoxFuture<'_, Result<(), String>>;
    /// Publishes, and waits so long for the acknowledgement.
    fn request(&self, message: Outgoing, timeout: Duration) -> BoxFuture<'_, Result<Bytes, RequestError>>;
    /// What the stream is, and how far.
    fn state(&self) -> BoxFuture<'_, Result<StreamState, String>>;
    /// The last message of a subject.
    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<LastMessage>, String>>;
    /// Whether the stream holds anything after `sequence`.
    fn holds_after(&self, sequence: u64) -> BoxFuture<'_, Result<bool, String>>;
    /// Starts a consumer.
    fn consume(&self, options: ConsumerOptions) -> BoxFuture<'_, Result<PushConsumer, String>>;
    /// Answers a consumer that asked whether what it sent has arrived.
    fn answer(&self, to: String) -> BoxFuture<'_, Result<(), String>>;
}

/// A stream that is open.
#[derive(Clone)]
pub struct OpenStream {
    /// Who holds it.
    pub server: Arc<dyn StreamServer>,
    /// Whether it takes atomic batches.
    pub batches: bool,
}

/// The streams of a cluster.
#[derive(Clone)]
pub struct OpenStreams {
    /// All that lasts.
    pub objects: OpenStream,
    /// What goes by itself after a while.
    pub events: OpenStream,
    /// What is overwritten often and matters only in its last version.
    pub leases: OpenStream,
}
