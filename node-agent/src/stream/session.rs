//! Commands in containers, and connections to pods.
use super::Stream;
use crate::edge::Edge;
use crate::runtime::{ExecSpec, Output, Session};
use bus::StreamError;
use bytes::BytesMut;
use futures::StreamExt;
use model::ApiError;
use state_client::node::{FromNode, ToNode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs a command, or attaches, until its output ends; then sends its exit code.
pub async fn run(edge: &Edge, container: &str, spec: &ExecSpec, attach: bool, mut stream: Stream) -> Result<(), StreamError> {
    let opened = if attach { edge.runtime.attach(container, spec).await } else { edge.runtime.exec(container, spec).await };
    let Session { id, mut input, mut output } = match opened {
        Ok(session) => session,
        Err(e) => return stream.send(FromNode::Failed(ApiError::internal(e.to_string()))).await,
    };
    let (mut down, mut up) = stream.split();
    let mut listening = true;
    loop {
        tokio::select! {
            piece = output.next() => match piece {
                Some(Ok(Output::Stdout(bytes))) => down.send(FromNode::Data(bytes)).await?,
                Some(Ok(Output::Stderr(bytes))) => down.send(FromNode::Stderr(bytes)).await?,
                Some(Err(e)) => {
                    tracing::debug!(error = %e, "a session's connection broke");
                    break;
                }
                None => break,
            },
            frame = up.recv(), if listening => listening = obey(edge, &id, attach, &mut input, frame?).await,
        }
    }
    if attach {
        return Ok(());
    }
    match edge.runtime.exec_exit(&id).await {
        Ok(code) => down.send(FromNode::Exit(code)).await,
        Err(e) => down.send(FromNode::Failed(ApiError::internal(e.to_string()))).await,
    }
}

/// Carries a frame to the command; whether more are expected.
async fn obey(edge: &Edge, id: &str, attach: bool, input: &mut (impl AsyncWriteExt + Unpin), frame: Option<ToNode>) -> bool {
    let done = match frame {
        Some(ToNode::Data(bytes)) => input.write_all(&bytes).await.map(|()| true),
        Some(ToNode::Eof) => input.shutdown().await.map(|()| true),
        Some(ToNode::Resize { width, height }) => {
            if let Err(error) = edge.runtime.resize(id, attach, width, height).await {
                tracing::debug!(%error, "a terminal was not resized");
            }
            Ok(true)
        }
        None => input.shutdown().await.map(|()| false),
    };
    // A command that closed its stdin may still print.
    done.unwrap_or(false)
}

/// One connection to a port in the pod, in both directions until both have ended.
pub async fn forward(edge: &Edge, uid: &str, port: u16, mut stream: Stream) -> Result<(), StreamError> {
    let mut tcp = match edge.runtime.connect(uid, port).await {
        Ok(tcp) => tcp,
        Err(e) => {
            return stream.send(FromNode::Failed(ApiError::internal(format!("failed to connect to localhost:{port} inside namespace \"{uid}\": {e}")))).await;
        }
    };
    let (mut read, mut write) = tcp.split();
    let (mut down, mut up) = stream.split();
    let mut buffer = BytesMut::with_capacity(32 << 10);
    let mut listening = true;
    loop {
        buffer.reserve(32 << 10);
        tokio::select! {
            got = read.read_buf(&mut buffer) => match got {
                Ok(0) => return Ok(()),
                Ok(_) => down.send(FromNode::Data(buffer.split().freeze())).await?,
                Err(e) => return down.send(FromNode::Failed(ApiError::internal(e.to_string()))).await,
            },
            frame = up.recv(), if listening => {
                let done = match frame? {
                    Some(ToNode::Data(bytes)) => write.write_all(&bytes).await.map(|()| true),
                    Some(ToNode::Resize { .. }) => Ok(true),
                    Some(ToNode::Eof) => write.shutdown().await.map(|()| true),
                    None => return Ok(()),
                };
                listening = done.unwrap_or(false);
            }
        }
    }
}
