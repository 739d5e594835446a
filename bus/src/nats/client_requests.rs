//! Requests of users' own programs, which speak NATS and none of this crate's types: what they want is in the subject, what they say in headers and body, and
//! their answers are plain messages to an inbox of theirs.
use super::clients::{Outgoing, Via};
use super::in_flight::{InFlight, InFlightPermit};
use super::multiplexer::Multiplexer;
use crate::address::{Caller, Role};
use crate::error::BusError;
use crate::subject::ClientSubject;
use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SelectAll;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// KiB of requests that are here at once, watches included, each counted as 16 at least; what comes on top is refused.
const ROOM_KIB: usize = 256 << 10;
const LEAST_KIB: u32 = 16;
/// Bytes that an answer's headers may take of a message.
const HEADERS: usize = 16 << 10;

/// A program that takes no more of what it has asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientGone(pub String);

/// One request. NATS vouches for who asks: the user's name is in the subject, and only the user's key may publish there.
pub struct ClientRequest {
    /// The user's name.
    pub user: String,
    /// What is wanted.
    pub wanted: ClientSubject,
    /// The message's headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The message's body.
    pub body: Bytes,
    pub(crate) answers: Answers,
}

impl ClientRequest {
    /// The bytes that one message of an answer has room for.
    pub fn room(&self) -> usize {
        self.answers.room()
    }

    /// Sends one message of the answer.
    ///
    /// # Errors
    /// [`ClientGone`] when it isn't sent.
    pub async fn send(&self, headers: &[(&str, String)], body: Bytes) -> Result<(), ClientGone> {
        self.answers.send(headers, body).await
    }

    /// The same, and waits until the program says that it has it: by a message, whatever it is, to the subject for replies.
    ///
    /// # Errors
    /// [`ClientGone`] when it doesn't within `patience`.
    pub async fn send_and_wait(&self, headers: &[(&str, String)], body: Bytes, patience: Duration) -> Result<(), ClientGone> {
        self.answers.send_and_wait(headers, body, patience).await
    }
}

/// Acknowledgements that are waited for, by number.
type Awaited = Mutex<HashMap<u64, (String, oneshot::Sender<()>)>>;

/// Where the answers of one request go.
pub(crate) struct Answers {
    mux: Arc<Multiplexer>,
    inbox: String,
    user: String,
    acks: Arc<Acks>,
    _share: InFlightPermit,
    _room: OwnedSemaphorePermit,
}

/// The acknowledgements of this process.
struct Acks {
    awaited: Awaited,
    next: AtomicU64,
}

/// A place among those that are waited for.
struct AwaitedAck<'a> {
    acks: &'a Acks,
    number: u64,
}

impl Drop for AwaitedAck<'_> {
    fn drop(&mut self) {
        self.acks.awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Answers {
    pub(crate) fn room(&self) -> usize {
        self.mux.transport.max_payload().saturating_sub(HEADERS)
    }

    async fn publish(&self, reply: Option<String>, headers: &[(&str, String)], body: Bytes) -> Result<(), ClientGone> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            // a header is one line
            let line: String = value.chars().filter(|c| !c.is_control()).collect();
            map.append(*name, line.as_str());
        }
        let headers = (!map.is_empty()).then_some(map);
        let message = Outgoing { subject: self.inbox.clone(), reply, headers, body };
        self.mux.transport.publish(Via::Replies, message).await.map_err(|e| ClientGone(e.to_string()))
    }

    pub(crate) async fn send(&self, headers: &[(&str, String)], body: Bytes) -> Result<(), ClientGone> {
        self.publish(None, headers, body).await
    }

    pub(crate) async fn send_and_wait(&self, headers: &[(&str, String)], body: Bytes, patience: Duration) -> Result<(), ClientGone> {
        let number = self.acks.next.fetch_add(1, Ordering::Relaxed);
        let (taken, acknowledged) = oneshot::channel();
        self.acks.awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(number, (self.user.clone(), taken));
        let _awaited = AwaitedAck { acks: &self.acks, number };
        self.publish(Some(self.mux.subjects.ack(&self.user, &self.mux.owner, number)), headers, body).await?;
        match tokio::time::timeout(patience, acknowledged).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(ClientGone("it didn't answer a message that asks for it".to_owned())),
        }
    }
}

/// Serves users' programs until cancelled; each request is handled in a task of its own.
pub(crate) async fn serve<F, R>(mux: &Arc<Multiplexer>, stop: CancellationToken, handle: F) -> Result<(), BusError>
where
    F: Fn(ClientRequest) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let lost = |e: async_nats::SubscribeError| BusError::Disconnected(e.to_string());
    let mut all = SelectAll::new();
    all.push(mux.transport.queue_subscribe(mux.subjects.client_requests(), "any").await.map_err(lost)?);
    all.push(mux.transport.subscribe(mux.subjects.acks(&mux.owner)).await.map_err(lost)?);
    let server = Server {
        mux: mux.clone(),
        shares: Arc::default(),
        room: Arc::new(Semaphore::new(ROOM_KIB)),
        acks: Arc::new(Acks { awaited: Awaited::default(), next: AtomicU64::new(1) }),
    };
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return,
                message = all.next() => message,
            };
            let Some(message) = message else { return };
            if let Some(request) = server.take(message) {
                tokio::spawn(handle(request));
            }
        }
    });
    Ok(())
}

struct Server {
    mux: Arc<Multiplexer>,
    shares: Arc<InFlight>,
    room: Arc<Semaphore>,
    acks: Arc<Acks>,
}

impl Server {
    /// The request that a message is; an acknowledgement is none, nor is what asks for an answer elsewhere than in an inbox of the one who asks.
    fn take(&self, message: Message) -> Option<ClientRequest> {
        let subjects = &self.mux.subjects;
        if let Some((user, number)) = subjects.acknowledged(&message.subject, &self.mux.owner) {
            self.acknowledge(&user, number);
            return None;
        }
        let caller = Caller::new(Role::Client, subjects.client_user(&message.subject)?);
        let Some(inbox) = message.reply.as_deref().filter(|inbox| subjects.is_inbox_of(inbox, &caller)) else {
            self.mux.log_limited(
                || tracing::warn!(%caller, reply = ?message.reply, "refused a request that wants its answer elsewhere than in an inbox of its sender"),
            );
            return None;
        };
        let Some((_, wanted)) = subjects.client_request(&message.subject) else {
            let why = "the subject is none of ws.<cluster>.api.<user>.<verb>.<group>.<resource>.<namespace>.<name>[.<subresource>], or a word of it is written otherwise than it has to be";
            self.refuse(inbox, "400", why);
            return None;
        };
        let kib = u32::try_from(message.length / 1024 + 1).unwrap_or(u32::MAX).max(LEAST_KIB);
        let share = self.shares.take(&caller, kib, false);
        let room = self.room.clone().try_acquire_many_owned(kib).ok();
        let (Some(share), Some(room)) = (share, room) else {
            self.refuse(inbox, "429", "too many requests are under way: try again later");
            return None;
        };
        let headers = message.headers.iter().flat_map(HeaderMap::iter);
        let headers = headers.flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))).collect();
        let inbox = inbox.to_owned();
        let answers = Answers { mux: self.mux.clone(), inbox, user: caller.name.clone(), acks: self.acks.clone(), _share: share, _room: room };
        Some(ClientRequest { user: caller.name, wanted, headers, body: message.payload, answers })
    }

    fn acknowledge(&self, user: &str, number: u64) {
        let mut awaited = self.acks.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if awaited.get(&number).is_some_and(|(of, _)| of == user)
            && let Some((_, taken)) = awaited.remove(&number)
            && taken.send(()).is_err()
        {
            tracing::trace!(user, "an acknowledgement came too late");
        }
    }

    /// Answers what isn't worked on at all.
    fn refuse(&self, inbox: &str, code: &str, why: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("Status-Code", code), ("Nats-Service-Error-Code", code), ("Nats-Service-Error", why)] {
            headers.insert(name, value);
        }
        if !self.mux.enqueue(inbox.to_owned(), Some(headers), Bytes::new()) {
            tracing::debug!("too much waits to be said: a program isn't told that it has to wait");
        }
    }
}
