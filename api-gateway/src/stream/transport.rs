//! The connection below a stream once its client has switched: a WebSocket's messages, or the bytes of a bare connection.
use bytes::{Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The largest message taken from a WebSocket's client, in bytes; `kubectl` sends at most 32 KiB at once.
const MESSAGE: usize = 4 * 1024 * 1024;
/// Bytes read at once from a bare connection.
const CHUNK: usize = 32 * 1024;
/// Messages that wait for a client. A full queue stops what fills it, so that the other side feels it.
pub(super) const QUEUE: usize = 16;

type Connection = TokioIo<Upgraded>;

/// What is to be sent to a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A message, or bytes of a bare connection.
    Bytes(Bytes),
    /// Nothing more comes: a WebSocket says so with its normal end, because clients report any other as an error.
    Close,
}

/// What comes from a client.
pub(crate) enum Source {
    /// Messages.
    WebSocket(SplitStream<WebSocketStream<Connection>>),
    /// Bytes as they come.
    Bare(ReadHalf<Connection>),
}

/// What goes to a client.
pub(crate) enum Sink {
    /// Messages, in text or binary.
    WebSocket(SplitSink<WebSocketStream<Connection>, Message>, bool),
    /// Bytes.
    Bare(WriteHalf<Connection>),
}

/// Both halves of a connection that became a WebSocket, whose messages are `text` or binary.
pub(super) async fn websocket(upgraded: Upgraded, text: bool) -> (Source, Sink) {
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024).write_buffer_size(0).max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (sink, source) = socket.split();
    (Source::WebSocket(source), Sink::WebSocket(sink, text))
}

/// Both halves of a connection that is used as it is.
pub(super) fn bare(upgraded: Upgraded) -> (Source, Sink) {
    let (read, write) = tokio::io::split(TokioIo::new(upgraded));
    (Source::Bare(read), Sink::Bare(write))
}

/// The bytes of a message that has any.
fn said(message: Message) -> Option<Bytes> {
    let bytes = match message {
        Message::Binary(data) => data,
        Message::Text(text) => text.into(),
        _ => return None,
    };
    (!bytes.is_empty()).then_some(bytes)
}

impl Source {
    /// The next message or bytes, never empty; `None` when the client is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::WebSocket(messages) => loop {
                match messages.next().await?.ok()? {
                    Message::Close(_) => return None,
                    message => {
                        if let Some(said) = said(message) {
                            return Some(said);
                        }
                    }
                }
            },
            Self::Bare(read) => {
                let mut buffer = BytesMut::with_capacity(CHUNK);
                read.read_buf(&mut buffer).await.ok().filter(|n| *n > 0)?;
                Some(buffer.freeze())
            }
        }
    }
}

impl Sink {
    /// Sends; `None` when nothing more can be sent.
    async fn send(&mut self, outgoing: Outgoing) -> Option<()> {
        match (self, outgoing) {
            (Self::WebSocket(sink, text), Outgoing::Bytes(bytes)) => {
                let message = if *text { Message::Text(Utf8Bytes::try_from(bytes).ok()?) } else { Message::Binary(bytes) };
                sink.send(message).await.ok()
            }
            (Self::WebSocket(sink, _), Outgoing::Close) => {
                sink.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))).await.ok()?;
                None
            }
            (Self::Bare(write), Outgoing::Bytes(bytes)) => {
                write.write_all(&bytes).await.ok()?;
                write.flush().await.ok()
            }
            (Self::Bare(_), Outgoing::Close) => None,
        }
    }
}

/// How long a client may take to answer that it reads.
const GREETING: Duration = Duration::from_secs(1);

/// Waits until a WebSocket's client reads: it answers a ping, or says something itself, which comes back. `kubectl` drops what comes between the
/// answer to its handshake and the making of its streams, which takes it a moment; a command that is quick prints within that.
pub(super) async fn greet(source: &mut Source, sink: &mut Sink) -> Option<Bytes> {
    let (Source::WebSocket(messages), Sink::WebSocket(sink, _)) = (source, sink) else { return None };
    sink.send(Message::Ping(Bytes::new())).await.ok()?;
    let heard = tokio::time::timeout(GREETING, async {
        loop {
            match messages.next().await?.ok()? {
                Message::Pong(_) | Message::Close(_) => return None,
                message => {
                    if let Some(said) = said(message) {
                        return Some(said);
                    }
                }
            }
        }
    });
    heard.await.unwrap_or_default()
}

/// Sends what is queued until the end of it, or until the client is gone.
pub(super) async fn write(mut sink: Sink, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        if sink.send(outgoing).await.is_none() {
            return;
        }
    }
}
