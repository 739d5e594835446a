//! One end of a stream over NATS.
//!
//! The packets of each direction are numbered, so that a lost packet is noticed and ends the stream with an error. The receiver grants credit as its reader
//! consumes, so that a slow reader makes the sender wait. Both ends send a sign of life at intervals.
use super::clients::{Outgoing, Via};
use super::in_flight::frame_max;
use super::multiplexer::{Multiplexer, PacketSink, RequestTarget};
use super::packet::Packet;
use crate::address::{Caller, To};
use crate::error::StreamError;
use crate::permissions::may_answer;
use crate::subject::Port;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

/// What may be under way before the sender waits.
const WINDOW_PACKETS: u64 = 256;
const WINDOW_BYTES: u64 = 1 << 20;
/// How much is consumed before the receiver says so.
const CREDIT_PACKETS: u64 = 64;
const CREDIT_BYTES: u64 = 256 << 10;
/// Larger frames go in several packets.
const PACKET_BYTES: usize = 128 << 10;
/// After so long a silence the other side counts as gone.
const SILENCE: Duration = Duration::from_secs(15);

enum Arrived {
    Part { first: bool, last: bool, body: Bytes },
    End,
    Cut(String),
}

/// What both halves and the multiplexer share.
pub(crate) struct Pipe {
    id: u64,
    mux: Arc<Multiplexer>,
    /// Whom the opener has asked: who may send packets until the answer says who accepted. They may come before it.
    asked: Option<(&'static str, To)>,
    state: Mutex<State>,
    /// Something that the sending half may wait for has changed.
    changed: Notify,
    /// Bounded by the credit that was given: a sender that exceeds it is cut.
    arrived: mpsc::UnboundedSender<Arrived>,
    _guard: Option<Arc<DropGuard>>,
}

struct State {
    peer: Option<(Caller, String)>,
    /// The number that the next packet must have.
    expected: u64,
    /// Packets that wait for the reader, and their bytes.
    unread: u64,
    unread_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    acked: u64,
    acked_bytes: u64,
    stopped: bool,
    broken: Option<String>,
    heard: Instant,
    spoke: bool,
    /// A packet is being published now, so that what follows it must not be said before.
    publishing: bool,
}

impl State {
    fn new() -> Self {
        Self {
            peer: None,
            expected: 0,
            unread: 0,
            unread_bytes: 0,
            sent: 0,
            sent_bytes: 0,
            acked: 0,
            acked_bytes: 0,
            stopped: false,
            broken: None,
            heard: Instant::now(),
            spoke: true,
            publishing: false,
        }
    }
}

impl State {
    /// Whether one more packet of so many bytes is more than the window that the other side was told lets it send.
    fn overrun(&self, bytes: usize) -> bool {
        self.unread >= WINDOW_PACKETS || self.unread_bytes + bytes as u64 > WINDOW_BYTES
    }
}

impl Pipe {
    /// An end whose other end isn't known yet: both halves, and where packets for it go. `asked` is whom its opener has asked; who accepts says
    /// with [`Pipe::join`] who opened.
    pub(crate) fn ends(mux: &Arc<Multiplexer>, asked: Option<RequestTarget<'_>>) -> (PipeSender, PipeReceiver, Port) {
        let (arrived, queue) = mpsc::unbounded_channel();
        let state = State::new();
        let asked = asked.map(|asked| (asked.service, asked.to.clone()));
        let make = |id| Arc::new(Self { id, mux: mux.clone(), asked, state: Mutex::new(state), changed: Notify::new(), arrived, _guard: mux.guard() });
        let (pipe, port) = mux.add_pipe(make);
        (PipeSender { pipe: pipe.clone() }, PipeReceiver { pipe, queue, frame: BytesMut::new(), packets: 0, bytes: 0, told: (0, 0), over: None }, port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who is at the other end.
    pub(crate) fn join(&self, port: &Port) {
        let subject = self.mux.subjects.packets(port, &self.mux.owner);
        self.state().peer = Some((port.owner.clone(), subject));
    }

    fn break_off(&self, mut state: MutexGuard<'_, State>, why: &str) {
        if state.broken.is_none() {
            state.broken = Some(why.to_owned());
            _ = self.arrived.send(Arrived::Cut(why.to_owned())).is_ok();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Says something to the other side. A stream of which something could not be said is over: the other side notices its silence.
    fn say(&self, state: &mut State, packet: &Packet) {
        if let (Some((_, subject)), None) = (&state.peer, &state.broken)
            && !self.mux.enqueue(subject.clone(), None, packet.encode())
        {
            let why = "too much waits to be sent";
            state.broken = Some(why.to_owned());
            _ = self.arrived.send(Arrived::Cut(why.to_owned())).is_ok();
            self.changed.notify_waiters();
        }
    }

    /// The last packet of this direction.
    fn conclude(&self, packet: impl FnOnce(u64) -> Packet) {
        let mut state = self.state();
        let last = packet(state.sent);
        self.say(&mut state, &last);
        state.sent += 1;
    }
}

impl PacketSink for Pipe {
    fn receive(&self, packet: Packet, from: &Caller) {
        let mut state = self.state();
        let theirs = match (&state.peer, &self.asked) {
            (Some((peer, _)), _) => peer == from,
            (None, Some((service, to))) => may_answer(from, service, to),
            (None, None) => false,
        };
        if !theirs {
            return self.mux.log_limited(|| tracing::warn!(%from, "refused a packet for somebody else's stream"));
        }
        state.heard = Instant::now();
        let arrived = match packet {
            Packet::Alive { next } if next > state.expected => return self.break_off(state, "packets were lost"),
            Packet::Alive { .. } => return,
            Packet::Credit { packets, bytes } => {
                state.acked = state.acked.max(packets.min(state.sent));
                state.acked_bytes = state.acked_bytes.max(bytes.min(state.sent_bytes));
                return self.changed.notify_waiters();
            }
            Packet::Stop => {
                state.stopped = true;
                return self.changed.notify_waiters();
            }
            Packet::Cut { why, .. } => return self.break_off(state, &why),
            Packet::End { number } | Packet::Data { number, .. } if number != state.expected => return self.break_off(state, "packets were lost"),
            Packet::End { .. } => Arrived::End,
            Packet::Data { ref body, .. } if state.overrun(body.len()) => return self.break_off(state, "the other side sent more than it may"),
            Packet::Data { first, last, body, .. } => {
                state.unread += 1;
                state.unread_bytes += body.len() as u64;
                Arrived::Part { first, last, body }
            }
        };
        state.expected += 1;
        drop(state);
        // where nobody reads any more, the other side has been told to stop
        _ = self.arrived.send(arrived).is_ok();
    }

    fn keep_alive(&self) {
        let mut state = self.state();
        if state.peer.is_none() || state.broken.is_some() {
            return;
        }
        if state.heard.elapsed() > SILENCE {
            return self.break_off(state, "nothing was heard from the other side for 15 s");
        }
        let speaks = std::mem::take(&mut state.spoke) || state.publishing;
        if !speaks {
            let next = state.sent;
            self.say(&mut state, &Packet::Alive { next });
        }
    }

    fn disconnect(&self, why: &str) {
        self.break_off(self.state(), why);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.mux.forget(self.id);
    }
}

fn cut(why: &str) -> StreamError {
    StreamError::Cut(why.to_owned())
}

/// The sending half. Dropping it ends its direction.
pub(crate) struct PipeSender {
    pipe: Arc<Pipe>,
}

impl PipeSender {
    pub(crate) fn join(&self, port: &Port) {
        self.pipe.join(port);
    }

    /// Sends a frame. Where the future is dropped halfway, the frame isn't received.
    pub(crate) async fn send(&mut self, frame: Bytes) -> Result<(), StreamError> {
        let size = PACKET_BYTES.min(self.pipe.mux.part_size());
        let of = frame.len().div_ceil(size).max(1);
        for n in 0..of {
            let body = frame.slice(n * size..((n + 1) * size).min(frame.len()));
            self.send_part(n == 0, n + 1 == of, body).await?;
        }
        Ok(())
    }

    async fn send_part(&mut self, first: bool, last: bool, body: Bytes) -> Result<(), StreamError> {
        let len = body.len() as u64;
        let (number, subject) = self.room(len).await?;
        let publishing = Publishing::begin(&self.pipe);
        let packet = Packet::Data { number, first, last, body };
        let message = Outgoing::new(subject, None, packet.encode());
        tokio::select! {
            published = self.pipe.mux.transport.publish(Via::Replies, message) => published.map_err(|e| StreamError::Cut(e.to_string()))?,
            why = self.broken() => return Err(cut(&why)),
        }
        publishing.done(len);
        Ok(())
    }

    /// Waits until the window has room; gives the next number and the subject.
    async fn room(&self, len: u64) -> Result<(u64, String), StreamError> {
        loop {
            let mut changed = std::pin::pin!(self.pipe.changed.notified());
            changed.as_mut().enable();
            if let Some(go) = self.try_room(len)? {
                return Ok(go);
            }
            changed.await;
        }
    }

    fn try_room(&self, len: u64) -> Result<Option<(u64, String)>, StreamError> {
        let state = self.pipe.state();
        if let Some(why) = &state.broken {
            return Err(cut(why));
        }
        if state.stopped {
            return Err(cut("the other side no longer receives"));
        }
        let (packets, bytes) = (state.sent - state.acked, state.sent_bytes - state.acked_bytes);
        let room = packets == 0 || (packets < WINDOW_PACKETS && bytes + len <= WINDOW_BYTES);
        let (_, subject) = state.peer.as_ref().ok_or_else(|| cut("it isn't open"))?;
        Ok(room.then(|| (state.sent, subject.clone())))
    }

    async fn broken(&self) -> String {
        loop {
            let mut changed = std::pin::pin!(self.pipe.changed.notified());
            changed.as_mut().enable();
            if let Some(why) = self.pipe.state().broken.clone() {
                return why;
            }
            changed.await;
        }
    }

    /// Completes when the other side no longer receives.
    pub(crate) async fn closed(&self) {
        loop {
            let mut changed = std::pin::pin!(self.pipe.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.pipe.state();
                if state.stopped || state.broken.is_some() {
                    return;
                }
            }
            changed.await;
        }
    }

    pub(crate) fn cut(self, why: String) {
        self.pipe.conclude(|number| Packet::Cut { number, why });
        self.pipe.break_off(self.pipe.state(), "it was cut here");
    }
}

impl Drop for PipeSender {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.pipe.conclude(|number| Packet::Cut { number, why: "the other side panicked".to_owned() });
        } else {
            self.pipe.conclude(|number| Packet::End { number });
        }
    }
}

/// A packet on its way to the connection; counted as sent only when it got there.
struct Publishing<'a> {
    pipe: &'a Pipe,
}

impl<'a> Publishing<'a> {
    fn begin(pipe: &'a Pipe) -> Self {
        pipe.state().publishing = true;
        Self { pipe }
    }
    fn done(self, bytes: u64) {
        let mut state = self.pipe.state();
        state.sent += 1;
        state.sent_bytes += bytes;
        state.spoke = true;
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        self.pipe.state().publishing = false;
    }
}

/// The receiving half. Dropping it tells the other side to stop.
pub(crate) struct PipeReceiver {
    pipe: Arc<Pipe>,
    queue: mpsc::UnboundedReceiver<Arrived>,
    frame: BytesMut,
    packets: u64,
    bytes: u64,
    told: (u64, u64),
    over: Option<Result<(), StreamError>>,
}

impl PipeReceiver {
    /// The next frame; cancel-safe.
    pub(crate) async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            if let Some(over) = &self.over {
                return over.clone().map(|()| None);
            }
            match self.queue.recv().await {
                Some(Arrived::Part { first, last, body }) => {
                    if let Some(frame) = self.part(first, last, body) {
                        return Ok(Some(frame));
                    }
                }
                Some(Arrived::End) => self.over = Some(Ok(())),
                Some(Arrived::Cut(why)) => self.over = Some(Err(StreamError::Cut(why))),
                None => self.over = Some(Err(cut("the bus was closed"))),
            }
        }
    }

    fn part(&mut self, first: bool, last: bool, body: Bytes) -> Option<Bytes> {
        self.consumed(body.len() as u64);
        if first && last {
            return Some(body);
        }
        if first {
            self.frame.clear();
        }
        let limit = self.pipe.state().peer.as_ref().map_or(0, |(peer, _)| frame_max(peer.role));
        if self.frame.len() + body.len() > limit {
            self.over = Some(Err(cut("a frame was too large")));
            return None;
        }
        self.frame.extend_from_slice(&body);
        last.then(|| std::mem::take(&mut self.frame).freeze())
    }

    fn consumed(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        let mut state = self.pipe.state();
        state.unread = state.unread.saturating_sub(1);
        state.unread_bytes = state.unread_bytes.saturating_sub(bytes);
        if self.packets - self.told.0 >= CREDIT_PACKETS || self.bytes - self.told.1 >= CREDIT_BYTES {
            self.told = (self.packets, self.bytes);
            self.pipe.say(&mut state, &Packet::Credit { packets: self.packets, bytes: self.bytes });
        }
    }
}

impl Drop for PipeReceiver {
    fn drop(&mut self) {
        if self.over.is_none() {
            self.pipe.say(&mut self.pipe.state(), &Packet::Stop);
        }
    }
}
