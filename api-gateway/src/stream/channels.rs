//! Exec and attach over the subprotocols `v4.channel.k8s.io` and `v5.channel.k8s.io`: each message starts with the number of its channel.
use super::websocket::{Pending, Socket, Upgrade};
use super::{Door, Node};
use crate::handler::{Api, Asked};
use crate::metrics::Open;
use crate::respond::Body;
use bus::stream::{Receiver, Sender};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::Response;
use model::{ApiError, Stored};
use serde::Deserialize;
use serde_json::{Value, json};
use state_client::node::{ExecOptions, FromNode, NodeAction, ToNode};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// v5 only: closes the channel that its one byte names.
const CLOSE: u8 = 255;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// How long a client may take to answer the end of the WebSocket.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a client's message means.
#[derive(Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Bytes for the process.
    Stdin(Bytes),
    /// No more of them.
    StdinEnd,
    /// The terminal has another size: width and height.
    Resize(u16, u16),
    /// An unknown channel, an empty message, or one that doesn't decode: Kubernetes ignores them.
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct TerminalSize {
    width: u16,
    height: u16,
}

/// What a message of the subprotocol of version 5, or else 4, means.
pub fn decode(mut message: Bytes, v5: bool) -> FromClient {
    if message.is_empty() {
        return FromClient::Nothing;
    }
    match (message.split_to(1).first(), message.as_ref()) {
        (Some(&STDIN), _) => FromClient::Stdin(message),
        (Some(&RESIZE), json) => match serde_json::from_slice::<TerminalSize>(json) {
            Ok(size) => FromClient::Resize(size.width, size.height),
            Err(_) => FromClient::Nothing,
        },
        (Some(&CLOSE), [STDIN]) if v5 => FromClient::StdinEnd,
        _ => FromClient::Nothing,
    }
}

/// A message on a channel.
pub(super) fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}

/// Clients report any other end than a normal one as an error.
pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))
}

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// Runs a command in a container.
///
/// # Errors
/// 400 without a command or an upgrade; what the node refuses it with.
pub(crate) async fn exec(api: &Api, asked: Asked, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    if asked.query.all("command").next().is_none() {
        return Err(ApiError::bad_request("you must specify at least one command for the container"));
    }
    start(api, asked, pod, container, counted, NodeAction::Exec).await
}

/// Joins a container's own process.
///
/// # Errors
/// 400 without an upgrade; what the node refuses it with.
pub(crate) async fn attach(api: &Api, asked: Asked, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    start(api, asked, pod, container, counted, NodeAction::Attach).await
}

async fn start(
    api: &Api,
    mut asked: Asked,
    pod: &Arc<Stored>,
    container: String,
    counted: Open,
    action: fn(ExecOptions) -> NodeAction,
) -> Result<Response<Body>, ApiError> {
    let mut options = asked.query.exec_options();
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(ApiError::bad_request("you must specify at least one of stdin, stdout, stderr"));
    }
    if options.tty && options.stderr {
        return Err(ApiError::bad_request("tty and stderr cannot both be true"));
    }
    options.container = container;
    let upgrade = Upgrade::read(&mut asked.request, &PROTOCOLS)?;
    let v5 = upgrade.protocol() == "v5.channel.k8s.io";
    let first = if options.stdout { STDOUT } else { ERROR };
    let node = Door::new(api, pod)?.open(action(options)).await?;
    let (response, pending) = upgrade.accept();
    let stop = api.stop.clone();
    api.tasks.spawn(async move {
        run(pending, node, v5, first, stop).await;
        drop(counted);
    });
    Ok(response)
}

async fn run(pending: Pending, node: Node, v5: bool, first: u8, stop: CancellationToken) {
    let Some(socket) = pending.open().await else { return };
    let (mut sink, mut source) = socket.split();
    let (up, down) = node.split();
    let ended = tokio::select! {
        status = to_client(&mut sink, down, first) => status,
        () = to_node(&mut source, up, v5) => None,
        () = stop.cancelled() => Some(ApiError::unavailable("the gateway is stopping").to_status()),
    };
    let Some(status) = ended else { return };
    if sink.send(message(ERROR, status.to_string().as_bytes())).await.is_ok() && sink.send(goodbye()).await.is_ok() {
        // Closing the connection with the client's last words unread would take back what it hasn't read yet.
        let rest = async { while let Some(Ok(_)) = source.next().await {} };
        if tokio::time::timeout(GOODBYE, rest).await.is_err() {
            tracing::debug!("a client did not say goodbye");
        }
    }
}

/// Passes the node's frames on; the status at the end, `None` when the client is gone.
async fn to_client(sink: &mut SplitSink<Socket, Message>, mut node: Receiver<FromNode>, first: u8) -> Option<Value> {
    // An empty message tells a client that waits for it that the stream is there.
    sink.send(message(first, &[])).await.ok()?;
    loop {
        let frame = match node.recv().await {
            Ok(Some(FromNode::Data(data))) => message(STDOUT, &data),
            Ok(Some(FromNode::Stderr(data))) => message(STDERR, &data),
            Ok(Some(FromNode::Exit(code))) => return Some(exit_status(code)),
            Ok(Some(FromNode::Failed(error))) => return Some(error.to_status()),
            Ok(None) => return Some(exit_status(0)),
            Err(error) => return Some(ApiError::internal(error.to_string()).to_status()),
        };
        sink.send(frame).await.ok()?;
    }
}

/// Passes the client's messages on, until the client is gone. When the node takes no more, they are read and dropped: its end comes on the other way.
async fn to_node(source: &mut SplitStream<Socket>, mut node: Sender<ToNode>, v5: bool) {
    let mut taken = true;
    while let Some(Ok(received)) = source.next().await {
        let data = match received {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            _ => continue,
        };
        let frame = match decode(data, v5) {
            FromClient::Stdin(data) if data.is_empty() => continue,
            FromClient::Stdin(data) => ToNode::Data(data),
            FromClient::StdinEnd => ToNode::Eof,
            FromClient::Resize(width, height) => ToNode::Resize { width, height },
            FromClient::Nothing => continue,
        };
        taken = taken && node.send(frame).await.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages() {
        let of = |bytes: &'static [u8], v5| decode(Bytes::from_static(bytes), v5);
        assert_eq!(of(b"\0hello", false), FromClient::Stdin(Bytes::from_static(b"hello")));
        assert_eq!(of(b"\x04{\"Width\":80,\"Height\":24}", false), FromClient::Resize(80, 24));
        assert_eq!(of(&[255, 0], true), FromClient::StdinEnd);
        assert_eq!(of(&[255, 0], false), FromClient::Nothing);
        assert_eq!(of(&[255, 1], true), FromClient::Nothing);
        assert_eq!(of(b"\x04nonsense", true), FromClient::Nothing);
        assert_eq!(of(b"", true), FromClient::Nothing);
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_status(0)["status"], "Success");
        assert_eq!(exit_status(7)["details"]["causes"][0], json!({"reason": "ExitCode", "message": "7"}));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), v5: bool) {
            decode(Bytes::from(bytes), v5);
        }
    }
}
