//! `pods/log`: a node's bytes as they come.
use super::{Door, Node};
use crate::handler::{Api, Asked};
use crate::metrics::Open;
use crate::respond::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use model::{ApiError, Stored};
use state_client::node::{FromNode, NodeAction};
use std::io;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const PLAIN: &str = "text/plain";

/// Answers with the log.
///
/// # Errors
/// 400 and 422 for options that don't fit; what the node refuses it with.
pub(crate) async fn respond(api: &Api, asked: &Asked, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    let mut options = asked.query.log_options()?;
    options.container = container;
    let node = Door::new(api, pod)?.open(NodeAction::Logs(options)).await?;
    let log = Log { node, stop: api.stop.clone(), _open: counted };
    let frames = stream::unfold(Some(log), |log| async move { log?.next().await });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAIN));
    Ok(response)
}

struct Log {
    node: Node,
    stop: CancellationToken,
    _open: Open,
}

impl Log {
    /// The next bytes, and the rest of the log unless that was the end.
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Option<Self>)> {
        let frame = tokio::select! {
            frame = self.node.recv() => frame,
            () = self.stop.cancelled() => return None,
        };
        let broken = |why: String| Some((Err(io::Error::other(why)), None));
        match frame {
            Ok(Some(FromNode::Data(bytes) | FromNode::Stderr(bytes))) => Some((Ok(Frame::data(bytes)), Some(self))),
            Ok(None | Some(FromNode::Exit(_))) => None,
            Ok(Some(FromNode::Failed(error))) => broken(error.message),
            Err(error) => broken(error.to_string()),
        }
    }
}
