//! Storage of leases: a JetStream stream, or a table in this process for a bus without NATS.
use super::record::{Entry, Record, TTL_MAX};
use crate::subject::Subjects;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, PersistenceMode, Stream};
use async_nats::{HeaderMap, Subscriber, header};
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, watch};

/// Why a record wasn't written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WriteError {
    /// The revision there is another.
    Conflict,
    /// It can't be reached, or didn't answer: it may have been written.
    Unavailable(String),
}

/// The leases of this process.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    entries: Mutex<(u64, HashMap<String, Entry>)>,
    changed: watch::Sender<()>,
}

/// Either place.
pub(crate) enum Table {
    /// In this process.
    Memory(Arc<Memory>),
    /// On the server.
    Nats(Box<Remote>),
}

/// The stream on the server.
pub(crate) struct Remote {
    jetstream: Context,
    subjects: Subjects,
    replicas: usize,
    stream: OnceCell<Stream<()>>,
}

impl Remote {
    pub(crate) fn new(jetstream: Context, subjects: Subjects, replicas: usize) -> Self {
        Self { jetstream, subjects, replicas, stream: OnceCell::new() }
    }

    /// Makes the stream where it isn't there yet.
    async fn stream(&self) -> Result<&Stream<()>, String> {
        let config = Config {
            name: self.subjects.locks().stream(),
            subjects: vec![self.subjects.locks().all()],
            max_messages_per_subject: 1,
            max_age: TTL_MAX,
            num_replicas: self.replicas.max(1),
            // a renewal that a power cut takes back is missed by nobody, and a holding is known by its run
            persist_mode: (self.replicas <= 1).then_some(PersistenceMode::Async),
            ..Config::default()
        };
        let make = || async {
            self.jetstream.get_or_create_stream(config).await.map_err(|e| e.to_string())?;
            self.jetstream.get_stream_no_info(self.subjects.locks().stream()).await.map_err(|e| e.to_string())
        };
        self.stream.get_or_try_init(make).await
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, String> {
        match self.stream().await?.get_last_raw_message_by_subject(&self.subjects.locks().of(name)).await {
            Ok(message) => {
                let record = serde_json::from_slice(&message.payload).map_err(|e| format!("a record that isn't one: {e}"))?;
                Ok(Some(Entry { revision: message.sequence, record }))
            }
            Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    async fn write(&self, name: &str, record: &Record, expect: u64) -> Result<u64, WriteError> {
        let unavailable = |e: &dyn std::fmt::Display| WriteError::Unavailable(e.to_string());
        self.stream().await.map_err(|e| unavailable(&e))?;
        let body = serde_json::to_vec(record).map_err(|e| unavailable(&e))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expect.to_string().as_str());
        let ack = self.jetstream.publish_with_headers(self.subjects.locks().of(name), headers, body.into()).await.map_err(|e| unavailable(&e))?;
        match ack.await {
            Ok(ack) => Ok(ack.sequence),
            Err(e) if e.kind() == PublishErrorKind::WrongLastSequence => Err(WriteError::Conflict),
            Err(e) => Err(unavailable(&e)),
        }
    }
}

/// Hints that a lease may have changed.
pub(super) enum Changes {
    Memory(watch::Receiver<()>),
    Nats(Box<Subscriber>),
}

/// Completes with the next hint; never where there are none.
pub(super) async fn changed(changes: &mut Option<Changes>) {
    let more = match changes {
        Some(Changes::Memory(changed)) => changed.changed().await.is_ok(),
        Some(Changes::Nats(subscriber)) => subscriber.next().await.is_some(),
        None => false,
    };
    if !more {
        std::future::pending().await
    }
}

impl Table {
    /// What stands there; from the stream's leader, so never an old one.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Entry>, String> {
        match self {
            Self::Memory(memory) => Ok(memory.entries.lock().unwrap_or_else(PoisonError::into_inner).1.get(name).cloned()),
            Self::Nats(remote) => remote.read(name).await,
        }
    }

    /// Writes over revision `expect` (0: nothing there); gives the new one.
    pub(super) async fn write(&self, name: &str, record: &Record, expect: u64) -> Result<u64, WriteError> {
        match self {
            Self::Memory(memory) => memory.write(name, record, expect),
            Self::Nats(remote) => remote.write(name, record, expect).await,
        }
    }

    /// Hints about this lease; `None` when there is no subscription now.
    pub(super) async fn changes(&self, name: &str) -> Option<Changes> {
        match self {
            Self::Memory(memory) => Some(Changes::Memory(memory.changed.subscribe())),
            Self::Nats(remote) => remote.jetstream.client().subscribe(remote.subjects.locks().of(name)).await.ok().map(|s| Changes::Nats(Box::new(s))),
        }
    }
}

impl Memory {
    fn write(&self, name: &str, record: &Record, expect: u64) -> Result<u64, WriteError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.1.get(name).map_or(0, |e| e.revision) != expect {
            return Err(WriteError::Conflict);
        }
        entries.0 += 1;
        let revision = entries.0;
        entries.1.insert(name.to_owned(), Entry { revision, record: record.clone() });
        drop(entries);
        self.changed.send_replace(());
        Ok(revision)
    }
}
