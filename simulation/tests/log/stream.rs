//! A stream of JetStream in memory, as far as the store uses one: one message a subject, compare-and-swap, atomic batches, times to live. It never forgets
//! what it took, so that a history can be held against it.
use async_nats::{HeaderMap, HeaderName, header};
use bytes::Bytes;
use serde_json::json;
use state::store::server::{LastMessage, Outgoing};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// JetStream's codes for a wrong expectation, for a batch of which messages are missing, and for too many batches.
const WRONG_LAST_SEQUENCE: u64 = 10_071;
const INCOMPLETE_BATCH: u64 = 10_176;
const TOO_MANY_BATCHES: u64 = 10_210;

/// A message that the stream took.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub sequence: u64,
    pub subject: String,
    pub headers: HeaderMap,
    pub payload: Bytes,
}

impl Accepted {
    /// Whether it is an object, and no marker.
    pub fn is_object(&self) -> bool {
        self.headers.get("KV-Operation").is_none() && self.headers.get(header::NATS_MARKER_REASON).is_none()
    }
}

struct Held {
    message: Accepted,
    expires: Option<Instant>,
}

/// The stream.
#[derive(Default)]
pub struct Stream {
    sequence: u64,
    held: BTreeMap<u64, Held>,
    last: HashMap<String, u64>,
    batches: HashMap<String, Vec<Outgoing>>,
    /// How long markers stay that it leaves where a message's time ended; without it leaves none.
    pub marker_ttl: Option<Duration>,
    /// All that it ever took, in order.
    pub accepted: Vec<Accepted>,
    /// The last sequences of batches that it took in part.
    pub torn: HashSet<u64>,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchFate {
    /// It is stored, or refused for what it expects.
    Taken,
    /// The server takes none now.
    Refused,
    /// The power fails while it is stored: so many of its messages, modulo their number and one, are there afterwards.
    Torn(usize),
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn refusal(code: u64, why: &str) -> Bytes {
    json!({"type": "io.nats.jetstream.api.v1.pub_ack_response", "error": {"code": 400, "err_code": code, "description": why}}).to_string().into()
}

fn acknowledgement(sequence: u64) -> Bytes {
    json!({"stream": "S", "seq": sequence}).to_string().into()
}

impl Stream {
    /// The sequence of the last message.
    pub fn end(&self) -> u64 {
        self.sequence
    }

    /// A message arrives: the reply, if one is due.
    pub fn handle(&mut self, message: Outgoing, now: Instant, fate: BatchFate) -> Option<Bytes> {
        let Some(batch) = text(&message.headers, header::NATS_BATCH_ID).map(ToOwned::to_owned) else {
            return Some(self.one(message, now));
        };
        let commits = message.headers.get(header::NATS_BATCH_COMMIT).is_some();
        let number = number(&message.headers, header::NATS_BATCH_SEQUENCE).unwrap_or_default();
        let gathered = self.batches.remove(&batch).unwrap_or_default();
        if number != gathered.len() as u64 + 1 {
            return commits.then(|| refusal(INCOMPLETE_BATCH, "atomic publish batch is incomplete"));
        }
        let gathered: Vec<Outgoing> = gathered.into_iter().chain([message]).collect();
        if !commits {
            self.batches.insert(batch, gathered);
            return None;
        }
        match fate {
            BatchFate::Taken => Some(self.all(gathered, now)),
            BatchFate::Refused => Some(refusal(TOO_MANY_BATCHES, "too many batches")),
            BatchFate::Torn(kept) => {
                let kept = kept % (gathered.len() + 1);
                if self.wrong(&gathered, now).is_none() {
                    self.take(gathered.into_iter().take(kept).collect(), now);
                    self.torn.insert(self.sequence);
                }
                None
            }
        }
    }

    fn one(&mut self, message: Outgoing, now: Instant) -> Bytes {
        self.all(vec![message], now)
    }

    /// All or none.
    fn all(&mut self, messages: Vec<Outgoing>, now: Instant) -> Bytes {
        if let Some(refusal) = self.wrong(&messages, now) {
            return refusal;
        }
        self.take(messages, now);
        acknowledgement(self.sequence)
    }

    /// The refusal, when one of them expects what isn't so.
    fn wrong(&mut self, messages: &[Outgoing], now: Instant) -> Option<Bytes> {
        self.expire(now);
        messages.iter().find_map(|message| {
            let expected = number(&message.headers, header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
            let last = self.last.get(message.subject.as_str()).copied().unwrap_or_default();
            expected.is_some_and(|expected| expected != last).then(|| refusal(WRONG_LAST_SEQUENCE, &format!("wrong last sequence: {last}")))
        })
    }

    fn take(&mut self, messages: Vec<Outgoing>, now: Instant) {
        for message in messages {
            let ttl = text(&message.headers, header::NATS_MESSAGE_TTL).and_then(|ttl| ttl.strip_suffix('s')?.parse().ok()).map(Duration::from_secs);
            self.append(message.subject.to_string(), message.headers, message.payload, ttl.map(|ttl| now + ttl));
        }
    }

    fn append(&mut self, subject: String, headers: HeaderMap, payload: Bytes, expires: Option<Instant>) {
        self.sequence += 1;
        let message = Accepted { sequence: self.sequence, subject, headers, payload };
        if let Some(before) = self.last.insert(message.subject.clone(), self.sequence) {
            self.held.remove(&before);
        }
        self.accepted.push(message.clone());
        self.held.insert(self.sequence, Held { message, expires });
    }

    /// What has had its time goes. Returns whether markers were left.
    pub fn expire(&mut self, now: Instant) -> bool {
        let ended: Vec<u64> = self.held.iter().filter(|(_, held)| held.expires.is_some_and(|at| at <= now)).map(|(sequence, _)| *sequence).collect();
        let mut marked = false;
        for sequence in ended {
            let Some(held) = self.held.remove(&sequence) else { continue };
            self.last.remove(&held.message.subject);
            if let Some(stay) = self.marker_ttl.filter(|_| held.message.is_object()) {
                let mut headers = HeaderMap::new();
                headers.insert(header::NATS_MARKER_REASON, "MaxAge");
                self.append(held.message.subject, headers, Bytes::new(), Some(now + stay));
                marked = true;
            }
        }
        marked
    }

    /// The server is another process now: batches that it was gathering are gone.
    pub fn restart(&mut self) {
        self.batches.clear();
    }

    /// The last message of a subject.
    pub fn last(&self, subject: &str) -> Option<LastMessage> {
        let held = self.held.get(self.last.get(subject)?)?;
        Some(LastMessage { sequence: held.message.sequence, headers: held.message.headers.clone() })
    }

    /// What comes next after a sequence.
    pub fn after(&self, sequence: u64) -> Option<&Accepted> {
        self.held.range(sequence + 1..).next().map(|(_, held)| &held.message)
    }

    /// How many messages come after a sequence.
    pub fn count_after(&self, sequence: u64) -> u64 {
        self.held.range(sequence + 1..).count() as u64
    }

    /// The objects that there are, with their sequences.
    pub fn objects(&self) -> impl Iterator<Item = &Accepted> {
        self.held.values().map(|held| &held.message).filter(|message| message.is_object())
    }
}
