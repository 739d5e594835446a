//! One forwarded connection: a client's bytes to its node, and the node's to the client, whatever carries them there.
use super::node::NodeStream;
use super::transport::Outgoing;
use bus::stream::{Receiver, Sender};
use bytes::Bytes;
use state_client::node::{FromNode, ToNode};
use tokio::sync::mpsc;

/// Pieces that wait for one connection, and the largest one in bytes: together they bound what is queued for it.
const PIECES: usize = 8;
const PIECE: usize = 32 * 1024;

/// What a connection gets from its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Bytes.
    Data(Bytes),
    /// The end of the client's direction.
    End,
}

impl Input {
    /// Bytes in pieces that may be queued, and the end after them. Each is a copy: a part of a message would keep the whole of it while it waits.
    pub fn pieces(mut data: Bytes, end: bool) -> impl Iterator<Item = Self> {
        let mut end = end.then_some(Self::End);
        std::iter::from_fn(move || match data.len() {
            0 => end.take(),
            length => Some(Self::Data(Bytes::copy_from_slice(&data.split_to(length.min(PIECE))))),
        })
    }
}

/// Inputs that wait for a connection.
pub(super) type Queue = mpsc::Receiver<Input>;

/// A connection's queue. A full one stops the reading, so that the client feels it.
pub(super) fn queue() -> (mpsc::Sender<Input>, Queue) {
    mpsc::channel(PIECES)
}

/// Forwards until both directions end; what went wrong, if anything did.
pub(super) async fn forward(node: NodeStream, inputs: Queue, out: &mpsc::Sender<Outgoing>, wrap: impl Fn(Bytes) -> Bytes) -> Option<String> {
    let (up, down) = node.split();
    let (gone, failed) = tokio::join!(pass_on(up, inputs), pass_back(down, out, wrap));
    failed.filter(|_| !gone)
}

async fn pass_back(mut node: Receiver<FromNode>, out: &mpsc::Sender<Outgoing>, wrap: impl Fn(Bytes) -> Bytes) -> Option<String> {
    loop {
        let data = match node.recv().await {
            Ok(Some(FromNode::Data(data) | FromNode::Stderr(data))) => data,
            Ok(None | Some(FromNode::Exit(_))) => return None,
            Ok(Some(FromNode::Failed(error))) => return Some(error.message),
            Err(error) => return Some(error.to_string()),
        };
        if out.send(Outgoing::Bytes(wrap(data))).await.is_err() {
            return None;
        }
    }
}

/// Passes a client's bytes to the node; whether the client broke the connection off.
async fn pass_on(mut node: Sender<ToNode>, mut inputs: Queue) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_whole_and_small(length in 0usize..PIECE * 4, end: bool) {
            let data: Bytes = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut pieces: Vec<Input> = Input::pieces(data.clone(), end).collect();
            prop_assert_eq!(pieces.pop_if(|p| *p == Input::End).is_some(), end);
            let parts: Vec<Bytes> = pieces.into_iter().map(|p| match p { Input::Data(d) => d, Input::End => Bytes::new() }).collect();
            prop_assert!(parts.iter().all(|p| !p.is_empty() && p.len() <= PIECE));
            prop_assert_eq!(parts.concat(), data);
        }
    }
}
