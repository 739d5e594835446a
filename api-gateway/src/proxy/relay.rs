//! Bytes between the two sides of what is passed on: a pod's node on the bus, and a client that switched to another protocol.
use crate::metrics::Open;
use crate::request::Context;
use crate::stream::NodeStream;
use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use state_client::node::{FromNode, ToNode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What waits in each direction, and what is read at once.
const PIECE: usize = 32 << 10;
/// How long a connection on which nothing moves is kept, as the kubelet keeps streams.
const IDLE: Duration = Duration::from_secs(4 * 3600);
/// How long a client, or the pod, may take to switch.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node's stream as a connection; the second tells when it has ended, and why where the node says so.
pub(super) fn pipe(context: &Context, node: NodeStream) -> (DuplexStream, oneshot::Receiver<Option<String>>) {
    let (ours, theirs) = tokio::io::duplex(PIECE);
    let (told, ended) = oneshot::channel();
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        let why = tokio::select! {
            why = carry(node, theirs) => why,
            () = stop.cancelled() => None,
        };
        if told.send(why).is_err() {
            tracing::trace!("nobody asks why a connection to a pod ended");
        }
    });
    (ours, ended)
}

/// Carries bytes until one side has ended, or nothing moved for too long.
async fn carry(node: NodeStream, connection: DuplexStream) -> Option<String> {
    let (mut up, mut down) = node.split();
    let (mut read, mut write) = tokio::io::split(connection);
    let moved = Mutex::new(Instant::now());
    let move_on = || *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    let to_pod = async {
        let mut buffer = BytesMut::with_capacity(PIECE);
        loop {
            buffer.reserve(PIECE);
            let frame = match read.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => ToNode::Eof,
                Ok(_) => ToNode::Data(buffer.split().freeze()),
            };
            move_on();
            let last = frame == ToNode::Eof;
            if up.send(frame).await.is_err() {
                return;
            }
            if last {
                // what the pod still says may be wanted, and may as well go to nobody
                return still(&moved, PATIENCE).await;
            }
        }
    };
    let from_pod = async {
        loop {
            let data = match down.recv().await {
                Ok(Some(FromNode::Data(data) | FromNode::Stderr(data))) => data,
                Ok(None | Some(FromNode::Exit(_))) => return None,
                Ok(Some(FromNode::Failed(error))) => return Some(error.message),
                Err(error) => return Some(error.to_string()),
            };
            move_on();
            if write.write_all(&data).await.is_err() {
                return None;
            }
        }
    };
    tokio::select! {
        why = from_pod => why,
        () = to_pod => None,
        () = still(&moved, IDLE) => None,
    }
}

/// Waits until nothing has moved for so long.
async fn still(moved: &Mutex<Instant>, limit: Duration) {
    loop {
        let until = *moved.lock().unwrap_or_else(PoisonError::into_inner) + limit;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// Joins a client and a pod that both switch to another protocol.
pub(super) fn join(context: &Context, client: OnUpgrade, pod: OnUpgrade, counted: Open) {
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        let both = async {
            let (client, pod) = tokio::time::timeout(PATIENCE, async { tokio::try_join!(client, pod) })
                .await
                .map_err(|_| "it takes too long".to_owned())?
                .map_err(|e| e.to_string())?;
            let (mut client, mut pod) = (TokioIo::new(client), TokioIo::new(pod));
            tokio::io::copy_bidirectional(&mut client, &mut pod).await.map_err(|e| e.to_string())
        };
        tokio::select! {
            ended = both => if let Err(error) = ended { tracing::debug!(error, "a switched connection ended") },
            () = stop.cancelled() => {}
        }
        drop(counted);
    });
}
