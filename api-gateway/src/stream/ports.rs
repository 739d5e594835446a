//! Port-forward over `v4.channel.k8s.io`, as client libraries do it: the query names the ports, port number i has channel 2i for its bytes and
//! 2i+1 for what went wrong, and both begin with the port in two bytes. There is no half-close: a connection ends when the WebSocket does.
use super::Door;
use super::channels::{goodbye, message};
use super::forward::{Input, QUEUE, forward, write};
use super::websocket::{Pending, Socket};
use crate::query::Query;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SplitStream;
use model::ApiError;
use state_client::node::NodeAction;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
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
pub(super) async fn serve(pending: Pending, door: Door, ports: Vec<u16>, stop: CancellationToken) {
    let Some(socket) = pending.open().await else { return };
    let (sink, source) = socket.split();
    let (out, frames) = mpsc::channel(QUEUE);
    let mut connections = JoinSet::new();
    let mut inputs = Vec::with_capacity(ports.len());
    for (channel, port) in (0..=u8::MAX).step_by(2).zip(ports) {
        let (input, queue) = mpsc::channel(QUEUE);
        inputs.push(input);
        connections.spawn(connection(door.clone(), port, channel, out.clone(), queue));
    }
    let ended = async {
        connections.join_all().await;
        // What is still queued goes out first; the client answers the goodbye, which ends the reading.
        if out.send(goodbye()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = read(source, inputs) => {}
        () = write(sink, frames, Some) => {}
        () = ended => {}
        () = stop.cancelled() => {}
    }
}

async fn connection(door: Door, port: u16, channel: u8, out: mpsc::Sender<Message>, inputs: mpsc::Receiver<Input>) {
    for channel in [channel, channel + 1] {
        if out.send(message(channel, &port.to_le_bytes())).await.is_err() {
            return;
        }
    }
    let failed = match door.open(NodeAction::PortForward { port }).await {
        Ok(node) => forward(node, inputs, &out, |data| message(channel, &data)).await,
        Err(error) => Some(error.message),
    };
    if let Some(why) = failed
        && out.send(message(channel + 1, why.as_bytes())).await.is_err()
    {
        tracing::debug!(port, why, "a client left before it could be told");
    }
}

/// Passes messages to the connections of their channels; error channels take nothing.
async fn read(mut source: SplitStream<Socket>, inputs: Vec<mpsc::Sender<Input>>) {
    while let Some(Ok(received)) = source.next().await {
        let mut data: Bytes = match received {
            Message::Binary(data) if !data.is_empty() => data,
            Message::Close(_) => return,
            _ => continue,
        };
        let channel = data.split_to(1).first().copied().unwrap_or_default();
        let Some(input) = inputs.get(usize::from(channel / 2)).filter(|_| channel.is_multiple_of(2)) else { continue };
        if input.send(Input::Data(data)).await.is_err() {
            tracing::trace!(channel, "bytes for a connection that has ended");
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
