//! Port-forward: SPDY frames within a WebSocket, as `kubectl` sends them. Each connection is a pair of streams with the same `requestID`:
//! one for its bytes, one for what went wrong. It becomes a stream of its own to the pod's node.
use super::spdy::{Decoder, Encoder, Frame, Headers};
use super::websocket::{Pending, Socket, Upgrade};
use super::{Door, Node, ports};
use crate::handler::{Api, Asked};
use crate::metrics::Open;
use crate::respond::Body;
use bus::stream::{Receiver, Sender};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::Response;
use model::{ApiError, Stored};
use state_client::node::{FromNode, NodeAction, ToNode};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";
/// Connections of one client at once; each is two streams.
const CONNECTIONS: usize = 512;
/// Frames that wait for one connection, or for the client. A full queue stops the reading, so that the client feels it.
pub(super) const QUEUE: usize = 16;
const REFUSED_STREAM: u32 = 3;
const PROTOCOL_ERROR: u32 = 1;

/// Answers with the upgrade; connections come later.
///
/// # Errors
/// 400 without an upgrade.
pub(crate) fn respond(api: &Api, mut asked: Asked, pod: &Arc<Stored>, counted: Open) -> Result<Response<Body>, ApiError> {
    let upgrade = Upgrade::read(&mut asked.request, &[TUNNEL, CHANNELS])?;
    let door = Door::new(api, pod)?;
    let ports = if upgrade.protocol() == CHANNELS { Some(ports::ports(&asked.query)?) } else { None };
    let (response, pending) = upgrade.accept();
    let stop = api.stop.clone();
    api.tasks.spawn(async move {
        match ports {
            Some(ports) => ports::serve(pending, door, ports, stop).await,
            None => serve(pending, door, stop).await,
        }
        drop(counted);
    });
    Ok(response)
}

async fn serve(pending: Pending, door: Door, stop: CancellationToken) {
    let (Some(socket), Ok(mut encoder)) = (pending.open().await, Encoder::new()) else { return };
    let (sink, source) = socket.split();
    let (out, frames) = mpsc::channel(QUEUE);
    let session = Session { door, out, errors: HashMap::new(), inputs: HashMap::new(), last: 0, connections: JoinSet::new() };
    tokio::select! {
        () = session.run(source) => {}
        () = write(sink, frames, |frame| encoder.encode(&frame).ok().map(Message::Binary)) => {}
        () = stop.cancelled() => {}
    }
}

/// Sends what `encode` makes of frames until there are none, one can't be sent, or the client is gone.
pub(super) async fn write<T>(mut sink: SplitSink<Socket, Message>, mut frames: mpsc::Receiver<T>, mut encode: impl FnMut(T) -> Option<Message>) {
    while let Some(message) = frames.recv().await.and_then(&mut encode) {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

/// What a connection gets from its client.
pub(super) enum Input {
    /// Bytes.
    Data(Bytes),
    /// The end of the client's direction.
    End,
}

struct Session {
    door: Door,
    out: mpsc::Sender<Frame>,
    /// Error streams whose connection hasn't come, by `requestID`.
    errors: HashMap<String, u32>,
    /// Connections by their data stream.
    inputs: HashMap<u32, mpsc::Sender<Input>>,
    /// The newest stream.
    last: u32,
    connections: JoinSet<u32>,
}

fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
}

impl Session {
    async fn run(mut self, mut source: SplitStream<Socket>) {
        let mut decoder = Decoder::default();
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(bytes) => decoder.push(&bytes),
                Message::Close(_) => return,
                _ => continue,
            }
            if self.drain(&mut decoder).await.is_none() {
                return;
            }
        }
    }

    /// Acts on all frames that are whole; `None` when the session is over.
    async fn drain(&mut self, decoder: &mut Decoder) -> Option<()> {
        loop {
            match decoder.frame() {
                Ok(None) => return Some(()),
                Ok(Some(frame)) => self.take(frame).await?,
                Err(error) => {
                    tracing::debug!(%error, "a port-forward broke its protocol");
                    self.send(Frame::GoAway { last: self.last, status: PROTOCOL_ERROR }).await?;
                    return None;
                }
            }
        }
    }

    /// Sends a frame; `None` when the client is gone.
    async fn send(&self, frame: Frame) -> Option<()> {
        self.out.send(frame).await.ok()
    }

    /// Acts on one frame; `None` when the session is over.
    async fn take(&mut self, frame: Frame) -> Option<()> {
        while let Some(ended) = self.connections.try_join_next() {
            self.inputs.remove(&ended.unwrap_or_default());
        }
        match frame {
            Frame::SynStream { id, fin, headers } => self.open(id, fin, &headers).await,
            Frame::Data { id, fin, data } => {
                if let Some(input) = self.inputs.get(&id) {
                    let passed = data.is_empty() || input.send(Input::Data(data)).await.is_ok();
                    if passed && fin && input.send(Input::End).await.is_err() {
                        self.inputs.remove(&id);
                    }
                }
                Some(())
            }
            Frame::RstStream { id, .. } => {
                self.inputs.remove(&id);
                self.errors.retain(|_, error| *error != id);
                Some(())
            }
            Frame::Ping(id) => self.send(Frame::Ping(id)).await,
            Frame::SynReply { .. } | Frame::Settings | Frame::GoAway { .. } | Frame::Headers { .. } | Frame::WindowUpdate => Some(()),
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: &Headers) -> Option<()> {
        if id <= self.last || id.is_multiple_of(2) {
            self.send(Frame::GoAway { last: self.last, status: PROTOCOL_ERROR }).await;
            return None;
        }
        self.last = id;
        if self.inputs.len() + self.errors.len() >= CONNECTIONS {
            return self.send(Frame::RstStream { id, status: REFUSED_STREAM }).await;
        }
        let request = header(headers, "requestID");
        let port = header(headers, "port").parse::<u16>().ok().filter(|p| *p > 0);
        match (header(headers, "streamType"), port) {
            ("error", Some(_)) => {
                self.send(Frame::SynReply { id, fin: false, headers: Headers::new() }).await?;
                self.errors.insert(request.to_owned(), id);
            }
            ("data", Some(port)) => {
                let Some(error) = self.errors.remove(request) else { return self.send(Frame::RstStream { id, status: PROTOCOL_ERROR }).await };
                self.send(Frame::SynReply { id, fin: false, headers: Headers::new() }).await?;
                let (input, inputs) = mpsc::channel(QUEUE);
                if fin && input.send(Input::End).await.is_err() {
                    return None;
                }
                self.inputs.insert(id, input);
                let connection = Connection { id, error, out: self.out.clone() };
                self.connections.spawn(connection.run(self.door.clone(), port, inputs));
            }
            _ => self.send(Frame::RstStream { id, status: PROTOCOL_ERROR }).await?,
        }
        Some(())
    }
}

/// One forwarded connection.
struct Connection {
    id: u32,
    error: u32,
    out: mpsc::Sender<Frame>,
}

impl Connection {
    /// Forwards until both directions end; the data stream's number, for the session to forget it.
    async fn run(self, door: Door, port: u16, inputs: mpsc::Receiver<Input>) -> u32 {
        let failed = match door.open(NodeAction::PortForward { port }).await {
            Ok(node) => forward(node, inputs, &self.out, |data| Frame::Data { id: self.id, fin: false, data }).await,
            Err(error) => Some(error.message),
        };
        let why = failed.map(|why| format!("error forwarding port {port} to pod {}: {why}", door.pod_name()));
        let ends = [(self.error, why.map(Bytes::from).unwrap_or_default()), (self.id, Bytes::new())];
        for (id, data) in ends {
            if self.out.send(Frame::Data { id, fin: true, data }).await.is_err() {
                break;
            }
        }
        self.id
    }
}

/// Forwards until both directions end; what went wrong, if anything did.
pub(super) async fn forward<T>(node: Node, inputs: mpsc::Receiver<Input>, out: &mpsc::Sender<T>, wrap: impl Fn(Bytes) -> T) -> Option<String> {
    let (up, down) = node.split();
    let (gone, failed) = tokio::join!(pass_on(up, inputs), pass_back(down, out, wrap));
    failed.filter(|_| !gone)
}

async fn pass_back<T>(mut node: Receiver<FromNode>, out: &mpsc::Sender<T>, wrap: impl Fn(Bytes) -> T) -> Option<String> {
    loop {
        let data = match node.recv().await {
            Ok(Some(FromNode::Data(data) | FromNode::Stderr(data))) => data,
            Ok(None | Some(FromNode::Exit(_))) => return None,
            Ok(Some(FromNode::Failed(error))) => return Some(error.message),
            Err(error) => return Some(error.to_string()),
        };
        if out.send(wrap(data)).await.is_err() {
            return None;
        }
    }
}

/// Passes a client's bytes to the node; whether the client broke the connection off.
async fn pass_on(mut node: Sender<ToNode>, mut inputs: mpsc::Receiver<Input>) -> bool {
    loop {
        let frame = tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Data(data)) => ToNode::Data(data),
                Some(Input::End) => ToNode::Eof,
                None => return true,
            },
            () = node.closed() => return false,
        };
        if node.send(frame).await.is_err() {
            return false;
        }
    }
}
