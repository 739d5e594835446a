//! Port-forward over SPDY, on a connection of its own or within a WebSocket. Each connection is a pair of streams with the same `requestID`:
//! one for its bytes, one for what went wrong. It becomes a stream of its own to the pod's node.
use super::node::NodeDialer;
use super::pairs::{self, Added, Kind, Pair, Pairs};
use super::ports;
use super::protocols::{self, PORT_FORWARD, TUNNEL};
use super::relay::{Input, Queue, forward, queue};
use super::session::{Event, Session};
use super::spdy::{self, Headers};
use super::transport::{self, Outgoing, QUEUE, Source};
use super::upgrade::{Pending, Upgrade};
use crate::metrics::Open;
use crate::request::{ApiRequest, Context};
use crate::respond::Body;
use bytes::Bytes;
use http::Response;
use model::{ApiError, Stored};
use state_client::node::NodeAction;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Streams of one client at once; each connection is two.
const STREAMS: usize = 1024;

/// Answers with the upgrade; connections come later.
///
/// # Errors
/// 400 for ports that are none.
pub(crate) fn respond(context: &Context, mut asked: ApiRequest, pod: &Arc<Stored>, counted: Open) -> Result<Response<Body>, ApiError> {
    let upgrade = match Upgrade::read(&mut asked.request, &PORT_FORWARD) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Ok(*refusal),
    };
    let dialer = NodeDialer::new(context, pod)?;
    let protocol = upgrade.protocol();
    let channels = upgrade.to() == protocols::Upgrade::WebSocket && protocol.name != TUNNEL;
    let ports = if channels { Some(ports::ports(&asked.query)?) } else { None };
    let (response, pending) = upgrade.accept();
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        match ports {
            Some(ports) => ports::serve(pending, protocol, dialer, ports, stop).await,
            None => serve(pending, dialer, stop).await,
        }
        drop(counted);
    });
    Ok(response)
}

async fn serve(pending: Pending, dialer: NodeDialer, stop: CancellationToken) {
    let (Some((source, sink)), Ok(session)) = (pending.open().await, Session::new(STREAMS)) else { return };
    let (out, frames) = mpsc::channel(QUEUE);
    let forwards = Forwards { dialer, out, session, pairs: Pairs::default(), inputs: HashMap::new(), waiting: HashMap::new(), connections: JoinSet::new() };
    tokio::select! {
        _ = forwards.run(source) => {}
        () = transport::write(sink, frames) => {}
        () = stop.cancelled() => {}
    }
}

struct Forwards {
    dialer: NodeDialer,
    out: mpsc::Sender<Outgoing>,
    session: Session,
    pairs: Pairs,
    /// Where bytes go, by their data stream.
    inputs: HashMap<u32, mpsc::Sender<Input>>,
    /// Bytes of data streams whose error stream hasn't come.
    waiting: HashMap<u32, Queue>,
    connections: JoinSet<Pair>,
}

impl Forwards {
    /// Acts on what the client sends; `None` when it is gone.
    async fn run(mut self, mut source: Source) -> Option<()> {
        loop {
            let deadline = self.pairs.deadline().map(Instant::from_std);
            tokio::select! {
                bytes = source.next() => {
                    for event in self.session.take(&bytes?) {
                        self.act(event).await?;
                    }
                }
                Some(ended) = self.connections.join_next() => self.ended(ended.ok()),
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.expire().await?,
            }
        }
    }

    /// Forgets a connection's streams.
    fn ended(&mut self, pair: Option<Pair>) {
        for id in pair.iter().flat_map(|pair| [pair.data, pair.error]) {
            self.inputs.remove(&id);
            self.session.forget(id);
        }
    }

    /// Sends to the client; `None` when it is gone.
    async fn send(&self, bytes: Bytes) -> Option<()> {
        self.out.send(Outgoing::Bytes(bytes)).await.ok()
    }

    async fn act(&mut self, event: Event) -> Option<()> {
        match event {
            Event::Open { id, fin, headers } => self.open(id, fin, &headers).await,
            Event::Data { id, fin, data } => self.data(id, fin, data).await,
            Event::Reset(id) => {
                self.forget(id);
                Some(())
            }
            Event::Reply(bytes) => self.send(bytes).await,
            Event::Broken(bytes) => {
                self.send(bytes).await?;
                self.out.send(Outgoing::Close).await.ok()
            }
        }
    }

    /// Forgets a stream that takes and gives nothing any more.
    fn forget(&mut self, id: u32) {
        self.inputs.remove(&id);
        self.waiting.remove(&id);
        self.pairs.forget(id);
    }

    async fn refuse(&mut self, id: u32) -> Option<()> {
        self.forget(id);
        let bytes = self.session.refuse(id);
        self.send(bytes).await
    }

    async fn expire(&mut self) -> Option<()> {
        for id in self.pairs.expired(Instant::now().into_std()) {
            self.refuse(id).await?;
        }
        Some(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: &Headers) -> Option<()> {
        // Connections outlive streams that their client reset, so they are counted too.
        let Some(kind) = pairs::kind(headers).filter(|_| self.connections.len() < STREAMS / 2) else { return self.refuse(id).await };
        let added = self.pairs.add(id, kind, headers, Instant::now().into_std());
        if added == Added::Duplicate {
            let bytes = self.session.refuse(id);
            return self.send(bytes).await;
        }
        let bytes = self.session.accept(id);
        self.send(bytes).await?;
        if kind.0 == Kind::Data {
            let (input, queue) = queue();
            self.inputs.insert(id, input);
            self.waiting.insert(id, queue);
        }
        if let Added::Paired(pair) = added
            && let Some(queue) = self.waiting.remove(&pair.data)
        {
            self.connections.spawn(connection(pair, self.dialer.clone(), self.out.clone(), queue));
        }
        if fin { self.data(id, true, Bytes::new()).await } else { Some(()) }
    }

    /// Queues bytes for their connection. One that is complete may let the client wait, one that isn't may not.
    async fn data(&mut self, id: u32, fin: bool, data: Bytes) -> Option<()> {
        let Some(input) = self.inputs.get(&id) else { return Some(()) };
        for piece in Input::pieces(data, fin) {
            if !self.waiting.contains_key(&id) {
                if input.send(piece).await.is_err() {
                    tracing::trace!(id, "bytes for a connection that has ended");
                }
            } else if input.try_send(piece).is_err() {
                return self.refuse(id).await;
            }
        }
        Some(())
    }
}

/// Forwards until both directions end; its streams, for the session to forget them.
async fn connection(pair: Pair, dialer: NodeDialer, out: mpsc::Sender<Outgoing>, inputs: Queue) -> Pair {
    let failed = match dialer.open(NodeAction::PortForward { port: pair.port }).await {
        Ok(node) => forward(node, inputs, &out, |data| spdy::data(pair.data, false, &data).unwrap_or_default()).await,
        Err(error) => Some(error.message),
    };
    let why = failed.map(|why| format!("error forwarding port {} to pod {}: {why}", pair.port, dialer.pod_name())).unwrap_or_default();
    for (id, data) in [(pair.error, why.as_bytes()), (pair.data, &[])] {
        if out.send(Outgoing::Bytes(spdy::data(id, true, data).unwrap_or_default())).await.is_err() {
            break;
        }
    }
    pair
}
