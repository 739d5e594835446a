//! Port-forward over a WebSocket's channels, as client libraries do it: the query names the ports, port number i has channel 2i for its bytes and
//! 2i+1 for what went wrong, and both begin with the port in two bytes. There is no half-close: a connection ends when the WebSocket does.
use super::messages;
use super::node::NodeDialer;
use super::protocols::Protocol;
use super::relay::{Input, Queue, forward, queue};
use super::transport::{self, Outgoing, QUEUE, Source};
use super::upgrade::Pending;
use crate::query::Query;
use model::ApiError;
use state_client::node::NodeAction;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Ports of one WebSocket: a channel is one byte, 255 is taken.
const PORTS: usize = 127;

/// The ports that a query names.
///
/// # Errors
/// 400 for none, too many, and what is no port.
pub fn ports(query: &Query) -> Result<Vec<u16>, ApiError> {
    let wrong = |text: &str| ApiError::bad_request(format!("unable to parse \"{text}\" as a port: it must be between 1 and 65535"));
    let named = query.all("ports").flat_map(|v| v.split(',')).map(str::trim);
    let ports = named.map(|p| p.parse().ok().filter(|p| *p > 0).ok_or_else(|| wrong(p))).collect::<Result<Vec<u16>, _>>()?;
    match ports.len() {
        0 => Err(ApiError::bad_request("query parameter \"ports\" is required")),
        1..=PORTS => Ok(ports),
        _ => Err(ApiError::bad_request(format!("at most {PORTS} ports can be forwarded at once"))),
    }
}

/// Forwards until all connections have ended or the client is gone.
pub(super) async fn serve(pending: Pending, protocol: Protocol, dialer: NodeDialer, ports: Vec<u16>, stop: CancellationToken) {
    let Some((source, sink)) = pending.open().await else { return };
    let (out, frames) = mpsc::channel(QUEUE);
    let mut connections = JoinSet::new();
    let mut inputs = Vec::with_capacity(ports.len());
    for (channel, port) in (0..=u8::MAX).step_by(2).zip(ports) {
        let (input, queue) = queue();
        inputs.push(input);
        connections.spawn(connection(dialer.clone(), port, Channel { protocol, number: channel }, out.clone(), queue));
    }
    let ended = async {
        connections.join_all().await;
        // What is still queued goes out first; the client answers the goodbye, which ends the reading.
        if out.send(Outgoing::Close).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = read(source, protocol, inputs) => {}
        () = transport::write(sink, frames) => {}
        () = ended => {}
        () = stop.cancelled() => {}
    }
}

/// A connection's two channels: this one for its bytes, the next one for what went wrong.
#[derive(Clone, Copy)]
struct Channel {
    protocol: Protocol,
    number: u8,
}

impl Channel {
    fn data(self, data: &[u8]) -> Outgoing {
        Outgoing::Bytes(messages::encode(self.protocol, self.number, data))
    }

    fn error(self, data: &[u8]) -> Outgoing {
        Outgoing::Bytes(messages::encode(self.protocol, self.number + 1, data))
    }
}

async fn connection(dialer: NodeDialer, port: u16, channel: Channel, out: mpsc::Sender<Outgoing>, inputs: Queue) {
    let begin = port.to_le_bytes();
    for first in [channel.data(&begin), channel.error(&begin)] {
        if out.send(first).await.is_err() {
            return;
        }
    }
    let failed = match dialer.open(NodeAction::PortForward { port }).await {
        Ok(node) => forward(node, inputs, &out, |data| messages::encode(channel.protocol, channel.number, &data)).await,
        Err(error) => Some(error.message),
    };
    if let Some(why) = failed
        && out.send(channel.error(why.as_bytes())).await.is_err()
    {
        tracing::debug!(port, why, "a client left before it could be told");
    }
}

/// Passes messages to the connections of their channels; error channels take nothing.
async fn read(mut source: Source, protocol: Protocol, inputs: Vec<mpsc::Sender<Input>>) {
    while let Some(message) = source.next().await {
        let Some((channel, data)) = messages::decode(protocol, message) else { continue };
        let Some(input) = inputs.get(usize::from(channel / 2)).filter(|_| channel.is_multiple_of(2)) else { continue };
        for piece in Input::pieces(data, false) {
            if input.send(piece).await.is_err() {
                tracing::trace!(channel, "bytes for a connection that has ended");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_query() {
        let of = |q: &str| ports(&Query::parse(q)).map_err(|e| e.code());
        assert_eq!(of("ports=80&ports=81,82"), Ok(vec![80, 81, 82]));
        for wrong in ["", "ports=0", "ports=x", "ports=70000", "ports="] {
            assert_eq!(of(wrong), Err(400), "{wrong}");
        }
    }
}
