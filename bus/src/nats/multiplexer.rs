//! Sends and receives the messages of one caller on the connection: the replies to its requests and the packets of its streams.
use super::clients::{Outgoing, Via};
use super::health::Health;
use super::in_flight::frame_max;
use super::packet::Packet;
use super::transport::{Subscription, Transport};
use super::wire::{self, Parts};
use crate::address::{Caller, To};
use crate::error::RequestError;
use crate::impairment::Cuts;
use crate::log_limiter::LogLimiter;
use crate::permissions::may_answer;
use crate::subject::{Port, Subjects, answered};
use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often streams are looked after: an idle one says that it is there, a silent one is cut.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// For how long a request waits for a connection that is down.
const RECONNECT: Duration = Duration::from_secs(5);
/// Bytes of queued messages that wait for the connection at most, each one counted with what holding it costs.
const QUEUE_BYTES: usize = 8 << 20;

/// A reply.
pub(crate) struct ReceivedReply {
    pub(crate) from: Caller,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

/// What is asked, and of whom: whose reply counts follows from it.
#[derive(Clone, Copy)]
pub(crate) struct RequestTarget<'a> {
    pub(crate) service: &'static str,
    pub(crate) to: &'a To,
}

/// An end of a stream: what the multiplexer does with it.
pub(crate) trait PacketSink: Send + Sync {
    /// Takes a packet that came for it.
    fn receive(&self, packet: Packet, from: &Caller);
    /// Called now and then: says that it is there, or ends where the other side seems gone.
    fn keep_alive(&self);
    /// The connection is lost for good, and the stream with it.
    fn disconnect(&self, why: &str);
}

type ReplySender<T> = oneshot::Sender<Result<T, RequestError>>;

enum Pending {
    /// A request of this service, on this subject.
    One { service: &'static str, to: To, subject: String, parts: Parts, reply: ReplySender<ReceivedReply> },
    /// A question to everybody.
    Many(mpsc::Sender<(Option<Caller>, Message)>),
    /// What is said to itself.
    Echo(ReplySender<()>),
}

/// Something that is said without waiting, in order.
struct QueuedMessage {
    message: Outgoing,
    _room: OwnedSemaphorePermit,
}

/// One caller's place on a connection.
pub(crate) struct Multiplexer {
    pub(crate) transport: Arc<Transport>,
    pub(crate) subjects: Subjects,
    pub(crate) owner: Caller,
    pub(crate) health: Arc<Health>,
    connection: String,
    inbox: String,
    next: AtomicU64,
    pending: Mutex<HashMap<u64, Pending>>,
    pipes: Mutex<HashMap<u64, Weak<dyn PacketSink>>>,
    queue: mpsc::UnboundedSender<QueuedMessage>,
    room: Arc<Semaphore>,
    log_limiter: LogLimiter,
    guard: Weak<DropGuard>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Multiplexer {
    pub(crate) async fn open(
        transport: Transport,
        subjects: Subjects,
        owner: Caller,
        connection: &str,
        health: Arc<Health>,
        guard: &Arc<DropGuard>,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, String> {
        let inbox = subjects.inbox(&owner, connection);
        let answers = transport.subscribe(format!("{inbox}.>")).await.map_err(|e| e.to_string())?;
        let packets = transport.subscribe(subjects.packets_for(&owner, connection)).await.map_err(|e| e.to_string())?;
        let (queue, said) = mpsc::unbounded_channel();
        let mux = Arc::new(Self {
            transport: Arc::new(transport),
            subjects,
            owner,
            health,
            connection: connection.to_owned(),
            inbox,
            next: AtomicU64::new(1),
            pending: Mutex::default(),
            pipes: Mutex::default(),
            queue,
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            log_limiter: LogLimiter::default(),
            guard: Arc::downgrade(guard),
        });
        let stop = stop.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(mux.clone().receive_replies(answers)));
        tokio::spawn(stop.clone().run_until_cancelled_owned(mux.clone().receive_packets(packets)));
        tokio::spawn(publish_queued(mux.transport.clone(), said));
        if let Some(impairment) = mux.transport.impairment() {
            tokio::spawn(stop.clone().run_until_cancelled_owned(mux.clone().end_with(impairment.cuts())));
        }
        tokio::spawn(stop.run_until_cancelled_owned(mux.clone().keep_alive()));
        Ok(mux)
    }

    /// Logs what somebody did wrong, now and then.
    pub(crate) fn log_limited(&self, log: impl FnOnce()) {
        self.log_limiter.log(log);
    }

    /// The largest body of one message.
    pub(crate) fn part_size(&self) -> usize {
        wire::part_size(self.transport.max_payload())
    }

    /// What keeps the connection listening while it is held.
    pub(crate) fn guard(&self) -> Option<Arc<DropGuard>> {
        self.guard.upgrade()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the connection, for a while: what is published without one would be sent late, when nobody waits for it any more.
    pub(crate) async fn connected(&self) -> Result<(), RequestError> {
        let mut connected = self.health.connected.subscribe();
        let up = tokio::time::timeout(RECONNECT, connected.wait_for(|up| *up)).await;
        if up.is_ok_and(|up| up.is_ok()) { Ok(()) } else { Err(RequestError::Disconnected("it wasn't back in time".to_owned())) }
    }

    /// Publishes a request and waits for its reply, however long it takes.
    pub(crate) async fn request(
        self: &Arc<Self>,
        asked: RequestTarget<'_>,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<ReceivedReply, RequestError> {
        let (reply, replied) = oneshot::channel();
        let (service, to) = (asked.service, asked.to.clone());
        let waiting = self.wait(Pending::One { service, to, subject: subject.clone(), parts: Parts::default(), reply });
        let inbox = format!("{}.{}", self.inbox, waiting.id);
        let request = Outgoing { subject, reply: Some(inbox), headers: Some(headers), body };
        self.transport.publish(Via::Own, request).await.map_err(|e| RequestError::Disconnected(e.to_string()))?;
        replied.await.unwrap_or_else(|_| Err(RequestError::Disconnected("the bus was closed".to_owned())))
    }

    /// Publishes a request and gathers all replies that come within this time, each with who gives it.
    pub(crate) async fn gather(self: &Arc<Self>, subject: &str, within: Duration) -> Result<Vec<(Caller, Message)>, RequestError> {
        let (replies, mut received) = mpsc::channel(1024);
        let waiting = self.wait(Pending::Many(replies));
        let inbox = format!("{}.{}", self.inbox, waiting.id);
        let question = Outgoing { subject: subject.to_owned(), reply: Some(inbox), headers: None, body: Bytes::new() };
        self.transport.publish(Via::Own, question).await.map_err(|e| RequestError::Disconnected(e.to_string()))?;
        let (mut all, end) = (Vec::new(), Instant::now() + within);
        while let Ok(Some((from, message))) = tokio::time::timeout_at(end, received.recv()).await {
            match from {
                Some(from) => all.push((from, message)),
                None if message.status == Some(StatusCode::NO_RESPONDERS) => break,
                None => tracing::debug!("ignored a reply that doesn't say whose it is"),
            }
        }
        Ok(all)
    }

    /// Says something to itself. When it has come back, the server has seen all that was said before, subscriptions included.
    pub(crate) async fn round_trip(self: &Arc<Self>, patience: Duration) -> Result<(), RequestError> {
        let (reply, replied) = oneshot::channel();
        let waiting = self.wait(Pending::Echo(reply));
        let echo = async {
            let words = Outgoing::new(format!("{}.{}", self.inbox, waiting.id), None, Bytes::new());
            self.transport.publish(Via::Own, words).await.map_err(|e| RequestError::Disconnected(e.to_string()))?;
            replied.await.unwrap_or_else(|_| Err(RequestError::Disconnected("the bus was closed".to_owned())))
        };
        tokio::time::timeout(patience, echo).await.unwrap_or_else(|_| Err(RequestError::Disconnected("no echo in time".to_owned())))
    }

    fn wait(self: &Arc<Self>, pending: Pending) -> Waiting {
        let id = self.number();
        locked(&self.pending).insert(id, pending);
        Waiting { mux: self.clone(), id }
    }

    /// Says something without waiting; after all that was said so before. `false` where too much waits to be said, or the bus is closed.
    #[must_use]
    pub(crate) fn enqueue(&self, subject: String, headers: Option<HeaderMap>, body: Bytes) -> bool {
        let message = Outgoing::new(subject, headers, body);
        let size = u32::try_from(message.size()).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(size) else { return false };
        self.queue.send(QueuedMessage { message, _room: room }).is_ok()
    }

    /// Makes an end of a stream, with its address.
    pub(crate) fn add_pipe<P: PacketSink + 'static>(&self, make: impl FnOnce(u64) -> Arc<P>) -> (Arc<P>, Port) {
        let id = self.number();
        let pipe = make(id);
        let sink: Weak<P> = Arc::downgrade(&pipe);
        locked(&self.pipes).insert(id, sink);
        (pipe, Port { owner: self.owner.clone(), connection: self.connection.clone(), id })
    }

    pub(crate) fn forget(&self, pipe: u64) {
        locked(&self.pipes).remove(&pipe);
    }

    async fn receive_replies(self: Arc<Self>, mut replies: Subscription) {
        let mut connected = self.health.connected.subscribe();
        let mut refused = self.health.refused.subscribe();
        loop {
            tokio::select! {
                message = replies.next() => match message {
                    Some(message) => self.replied(message),
                    None => return,
                },
                Ok(()) = connected.changed() => {
                    if !*connected.borrow_and_update() {
                        self.fail(|_| true, &RequestError::Disconnected("it was lost while waiting for a reply".to_owned()));
                    }
                }
                Ok(()) = refused.changed() => {
                    let words = refused.borrow_and_update().clone();
                    let quoted = |subject: &str| !subject.is_empty() && words.contains(&format!("\"{subject}\""));
                    self.fail(quoted, &RequestError::Failed(words.clone()));
                }
            }
        }
    }

    /// Ends requests on the subjects that `which` says; nothing waits for what can't come.
    fn fail(&self, which: impl Fn(&str) -> bool, fault: &RequestError) {
        let mut pending = locked(&self.pending);
        let on = |p: &Pending| match p {
            Pending::One { subject, .. } => which(subject),
            Pending::Echo(_) => which(""),
            Pending::Many(_) => false,
        };
        let failed: Vec<u64> = pending.iter().filter(|(_, p)| on(p)).map(|(id, _)| *id).collect();
        for id in failed {
            match pending.remove(&id) {
                Some(Pending::One { reply, .. }) => _ = reply.send(Err(fault.clone())).is_ok(),
                Some(Pending::Echo(reply)) => _ = reply.send(Err(fault.clone())).is_ok(),
                Some(Pending::Many(_)) | None => {}
            }
        }
    }

    fn replied(&self, message: Message) {
        self.health.heard.send_replace(Instant::now());
        let Some((id, from)) = answered(&message.subject, &self.inbox) else { return };
        let mut pending = locked(&self.pending);
        let outcome = match (pending.get_mut(&id), from) {
            (None, Some(from)) => return self.late(&message, &from),
            (None, None) => return,
            (Some(Pending::Many(replies)), from) => {
                if replies.try_send((from, message)).is_err() {
                    tracing::debug!("more replies than are gathered");
                }
                return;
            }
            (Some(Pending::Echo(_)), None) => {
                if let Some(Pending::Echo(reply)) = pending.remove(&id) {
                    _ = reply.send(Ok(())).is_ok();
                }
                return;
            }
            (Some(Pending::One { .. }), None) if message.status == Some(StatusCode::NO_RESPONDERS) => Err(RequestError::NoResponder),
            (Some(Pending::One { service, to, parts, .. }), Some(from)) if may_answer(&from, service, to) => {
                match parts.take(message.headers.as_ref(), message.payload, frame_max(from.role)) {
                    Ok(None) => return,
                    Ok(Some(body)) => answer(from, message.headers, body),
                    Err(why) => Err(RequestError::Failed(format!("the reply can't be read: {why}"))),
                }
            }
            (Some(Pending::Echo(_) | Pending::One { .. }), from) => {
                return self.log_limited(|| tracing::warn!(subject = %message.subject, ?from, "ignored a reply from who wasn't asked"));
            }
        };
        if let Some(Pending::One { reply, .. }) = pending.remove(&id) {
            _ = reply.send(outcome).is_ok();
        }
    }

    /// A reply that nobody waits for any more: a stream that it opens is closed again.
    fn late(&self, message: &Message, from: &Caller) {
        let port = wire::header(message.headers.as_ref(), wire::PORT).and_then(Port::parse);
        if let Some(port) = port.filter(|port| port.owner == *from) {
            let gone = Packet::Cut { number: 0, why: "the opener is gone".to_owned() };
            if !self.enqueue(self.subjects.packets(&port, &self.owner), None, gone.encode()) {
                tracing::debug!(%from, "its stream ends when it hears nothing");
            }
        }
    }

    async fn receive_packets(self: Arc<Self>, mut packets: Subscription) {
        while let Some(message) = packets.next().await {
            self.health.heard.send_replace(Instant::now());
            let Some((id, from)) = self.subjects.packet(&message.subject) else { continue };
            let pipe = locked(&self.pipes).get(&id).and_then(Weak::upgrade);
            let Some(pipe) = pipe else { continue };
            match Packet::decode(&message.payload) {
                Some(packet) => pipe.receive(packet, &from),
                None => self.log_limited(|| tracing::warn!(%from, "refused a packet that doesn't decode")),
            }
        }
    }

    async fn keep_alive(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(KEEP_ALIVE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for pipe in self.all_pipes() {
                pipe.keep_alive();
            }
        }
    }

    fn all_pipes(&self) -> Vec<Arc<dyn PacketSink>> {
        locked(&self.pipes).values().filter_map(Weak::upgrade).collect()
    }

    /// Each time that the connection is cut on purpose, what waits for something from it is told.
    async fn end_with(self: Arc<Self>, mut cuts: Cuts) {
        loop {
            let why = cuts.next().await.to_string();
            self.fail(|_| true, &RequestError::Disconnected(why.clone()));
            for pipe in self.all_pipes() {
                pipe.disconnect(&why);
            }
        }
    }
}

/// Ends when all has been said that the multiplexer had to say.
async fn publish_queued(transport: Arc<Transport>, mut queue: mpsc::UnboundedReceiver<QueuedMessage>) {
    while let Some(QueuedMessage { message, _room }) = queue.recv().await {
        if let Err(error) = transport.publish(Via::Replies, message).await {
            tracing::debug!(%error, "not said");
        }
    }
}

/// A reply's headers may say that it is none.
fn answer(from: Caller, headers: Option<HeaderMap>, body: Bytes) -> Result<ReceivedReply, RequestError> {
    let header = |name| wire::header(headers.as_ref(), name);
    match (header(wire::ERROR_CODE).and_then(|code| code.parse().ok()), header(wire::ERROR)) {
        (Some(wire::GONE), _) => Err(RequestError::Gone),
        (Some(wire::BUSY), _) => Err(RequestError::Busy),
        (_, Some(why)) => Err(RequestError::Failed(why.to_owned())),
        (_, None) => Ok(ReceivedReply { from, headers, body }),
    }
}

/// A request's place among those that wait.
struct Waiting {
    mux: Arc<Multiplexer>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        locked(&self.mux.pending).remove(&self.id);
    }
}
