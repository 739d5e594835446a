//! `pods/log`: a node's bytes as they come, in a response or in a WebSocket's messages.
use super::node::{NodeDialer, NodeStream};
use super::protocols::{self, LOG};
use super::transport::{self, Outgoing, QUEUE};
use super::upgrade::Upgrade;
use crate::metrics::Open;
use crate::request::{ApiRequest, Context};
use crate::respond::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use model::{ApiError, Stored};
use state_client::node::{FromNode, NodeAction};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const PLAIN: &str = "text/plain";

/// How long a client may take to leave after the end of a log in a WebSocket.
const GOODBYE: Duration = Duration::from_secs(5);

/// Answers with the log.
///
/// # Errors
/// 400 and 422 for options that don't fit; what the node refuses it with.
pub(crate) async fn respond(context: &Context, mut asked: ApiRequest, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    let mut options = asked.query.log_options()?;
    options.container = container;
    let upgrade = match protocols::upgrade(asked.request.headers()) {
        Some(protocols::Upgrade::WebSocket) => match Upgrade::read(&mut asked.request, &LOG) {
            Ok(upgrade) => Some(upgrade),
            Err(refusal) => return Ok(*refusal),
        },
        _ => None,
    };
    let node = NodeDialer::new(context, pod)?.open(NodeAction::Logs(options)).await?;
    let log = Log { node, stop: context.stop.clone(), _open: counted };
    Ok(match upgrade {
        Some(upgrade) => messages(context, upgrade, log),
        None => body(log),
    })
}

fn body(log: Log) -> Response<Body> {
    let frames = stream::unfold(Some(log), |log| async move {
        let mut log = log?;
        let bytes = log.next().await?;
        let rest = bytes.is_ok().then_some(log);
        Some((bytes.map(Frame::data), rest))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAIN));
    response
}

fn messages(context: &Context, upgrade: Upgrade, log: Log) -> Response<Body> {
    let base64 = upgrade.protocol().base64;
    let (response, pending) = upgrade.accept();
    context.tasks.spawn(async move {
        let Some((mut source, sink)) = pending.open().await else { return };
        let (out, queue) = mpsc::channel(QUEUE);
        // What a client sends is read and dropped: it has nothing to say but its goodbye.
        let mut reading = std::pin::pin!(async { while source.next().await.is_some() {} });
        let writing = async {
            tokio::join!(queue_all(log, base64, out), transport::write(sink, queue));
        };
        tokio::select! {
            () = &mut reading => return,
            () = writing => {}
        }
        if tokio::time::timeout(GOODBYE, reading).await.is_err() {
            tracing::debug!("a log's client did not say goodbye");
        }
    });
    response
}

/// Queues the whole log: first an empty message, which tells that the stream is there, and at last the end.
async fn queue_all(mut log: Log, base64: bool, out: mpsc::Sender<Outgoing>) {
    let mut next = Some(Ok(Bytes::new()));
    while let Some(Ok(bytes)) = next {
        let message = if base64 { BASE64_STANDARD.encode(&bytes).into() } else { bytes };
        if out.send(Outgoing::Bytes(message)).await.is_err() {
            return;
        }
        next = log.next().await;
    }
    if out.send(Outgoing::Close).await.is_err() {
        tracing::trace!("a log's client left before its end");
    }
}

struct Log {
    node: NodeStream,
    stop: CancellationToken,
    _open: Open,
}

impl Log {
    /// The next bytes; `None` at the end. Nothing comes after an error.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let frame = tokio::select! {
            frame = self.node.recv() => frame,
            () = self.stop.cancelled() => return None,
        };
        match frame {
            Ok(Some(FromNode::Data(bytes) | FromNode::Stderr(bytes))) => Some(Ok(bytes)),
            Ok(None | Some(FromNode::Exit(_))) => None,
            Ok(Some(FromNode::Failed(error))) => Some(Err(io::Error::other(error.message))),
            Err(error) => Some(Err(io::Error::other(error.to_string()))),
        }
    }
}
