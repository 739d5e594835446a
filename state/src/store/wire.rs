//! The form of a write as a NATS message, and publishing: single messages or one atomic batch.
use super::server::{Outgoing, RequestError, StreamServer};
use async_nats::jetstream::{self, publish::PublishAck, response::Response};
use async_nats::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Says which write of which process a message is: `<session>.<number>`.
const ID: &str = "Whalesong-Id";
/// What a key-value bucket says of a message that isn't a value.
const OPERATION: &str = "KV-Operation";
/// A deletion marker.
const DELETE: &str = "DEL";
/// The server's limit for one batch.
pub(crate) const MAX_BATCH: usize = 1_000;
/// A batch holds no more than so many bytes of payload.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// A write on its way to the stream.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where to.
    pub(crate) subject: async_nats::Subject,
    /// The sequence that the subject must have; 0: none.
    pub(crate) base: u64,
    /// Which write of this process.
    pub(crate) id: u64,
    /// Whether it is a deletion marker.
    pub(crate) delete: bool,
    /// How long it stays.
    pub(crate) ttl: Option<Duration>,
    /// The payload.
    pub(crate) payload: Bytes,
}

/// What the server said to a publish.
#[derive(Debug)]
pub enum PublishReply {
    /// It is in the stream; the (last) sequence.
    Stored(u64),
    /// A subject's last sequence was another.
    WrongSequence,
    /// It is not in the stream.
    Refused {
        /// JetStream's error code.
        code: u64,
        /// Its words.
        why: String,
    },
    /// Nothing, in time: it may be in the stream or get there yet.
    NoReply(String),
}

impl Message {
    /// The headers of the message from `session`.
    pub(crate) fn headers(&self, session: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(self.base));
        headers.insert(ID, format!("{session}.{}", self.id));
        if self.delete {
            headers.insert(OPERATION, DELETE);
        }
        if let Some(ttl) = self.ttl {
            headers.insert(header::NATS_MESSAGE_TTL, format!("{}s", ttl.as_secs().max(1)));
        }
        headers
    }

    fn outgoing(&self, headers: HeaderMap) -> Outgoing {
        Outgoing { subject: self.subject.clone(), headers, payload: self.payload.clone() }
    }
}

/// Which write of `session` a message with these headers is.
pub(crate) fn own_id(headers: &HeaderMap, session: &str) -> Option<u64> {
    headers.get(ID)?.as_str().strip_prefix(session)?.strip_prefix('.')?.parse().ok()
}

/// Whether a message with these headers is a deletion marker.
pub(crate) fn is_delete(headers: &HeaderMap) -> bool {
    headers.get(OPERATION).is_some_and(|operation| operation.as_str() == DELETE)
}

/// Whether a message with these headers is a marker of the server's own.
pub(crate) fn is_ended(headers: &HeaderMap) -> bool {
    headers.get(header::NATS_MARKER_REASON).is_some()
}

/// The sequence that a message with these headers replaced.
pub(crate) fn base(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE)?.as_str().parse().ok()
}

/// Publishes and waits for acknowledgements, as one session.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) server: Arc<dyn StreamServer>,
    pub(crate) session: String,
    pub(crate) timeout: Duration,
}

impl Publisher {
    /// Publishes one message.
    pub(crate) async fn one(&self, message: &Message) -> PublishReply {
        self.request(message, message.headers(&self.session)).await
    }

    /// Publishes messages as one atomic batch: all or none, with consecutive sequences.
    pub(crate) async fn batch(&self, messages: &[Message]) -> PublishReply {
        let Some((last, first)) = messages.split_last() else { return PublishReply::Stored(0) };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let headers = |message: &Message, sequence: usize| {
            let mut headers = message.headers(&self.session);
            headers.insert(header::NATS_BATCH_ID, id.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(sequence as u64));
            headers
        };
        for (n, message) in first.iter().enumerate() {
            if let Err(error) = self.server.publish(message.outgoing(headers(message, n + 1))).await {
                return PublishReply::NoReply(error);
            }
        }
        let mut commit = headers(last, messages.len());
        commit.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        self.request(last, commit).await
    }

    async fn request(&self, message: &Message, headers: HeaderMap) -> PublishReply {
        match self.server.request(message.outgoing(headers), self.timeout).await {
            Ok(reply) => said(&reply),
            Err(RequestError::TooLarge(why)) => PublishReply::Refused { code: 0, why },
            Err(RequestError::NoReply(why)) => PublishReply::NoReply(why),
        }
    }
}

/// What the reply to a publish says.
pub fn said(reply: &[u8]) -> PublishReply {
    match serde_json::from_slice::<Response<PublishAck>>(reply) {
        Ok(Response::Ok(ack)) => PublishReply::Stored(ack.sequence),
        Ok(Response::Err { error }) if error.error_code() == jetstream::ErrorCode::STREAM_WRONG_LAST_SEQUENCE => PublishReply::WrongSequence,
        Ok(Response::Err { error }) if error.error_code() == jetstream::ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => PublishReply::WrongSequence,
        Ok(Response::Err { error }) => PublishReply::Refused { code: error.error_code().0, why: error.to_string() },
        Err(error) => PublishReply::NoReply(format!("the acknowledgement does not decode: {error}")),
    }
}
