//! Commands in containers, and connections to pods.
use crate::executor::Executor;
use crate::runtime::{ExecSpec, Output, Session};
use bus::stream::{Receiver, Sender};
use bus::{Duplex, StreamError};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use model::ApiError;
use state_client::node::{FromNode, ToNode};
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a port may take for a handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How much is read of a port at once.
const PIECE: usize = 32 << 10;

/// What is run or joined, and how.
pub struct SessionRequest {
    /// The container's run.
    pub container: String,
    /// The command; none to attach.
    pub spec: ExecSpec,
    /// Whether to join the container's own process.
    pub attach: bool,
    /// Whether the end of the client's stdin is the end of the process' one: not for a container that others may attach to later.
    pub ends_stdin: bool,
}

/// Runs a command, or attaches, until its output ends; then sends its exit code.
pub async fn run(executor: &Executor, asked: &SessionRequest, mut stream: Duplex<FromNode, ToNode>) -> Result<(), StreamError> {
    let SessionRequest { container, spec, attach, .. } = asked;
    let opened = if *attach { executor.runtime.attach(container, spec).await } else { executor.runtime.exec(container, spec).await };
    let Session { id, mut input, mut output } = match opened {
        Ok(session) => session,
        Err(e) => return stream.send(FromNode::Failed(ApiError::internal(e.to_string()))).await,
    };
    let (mut down, mut up) = stream.split();
    // Side by side: a command that waits for its output to be read reads no input meanwhile.
    let broken = tokio::select! {
        printed = print(&mut output, &mut down) => printed?,
        lost = feed(executor, asked, &id, &mut input, &mut up) => return Err(lost),
    };
    if *attach {
        // whoever is told so can still read the log, which has all of it
        return match broken {
            Some(why) => down.send(FromNode::Failed(ApiError::internal(format!("the container's output broke off: {why}")))).await,
            None => Ok(()),
        };
    }
    match executor.runtime.exec_exit(&id).await {
        Ok(code) => down.send(FromNode::Exit(code)).await,
        Err(e) => down.send(FromNode::Failed(ApiError::internal(e.to_string()))).await,
    }
}

/// Passes on what the command prints, until that ends. What Podman says at the end of its own connection having broken isn't the command's: it comes back.
async fn print(output: &mut BoxStream<'static, std::io::Result<Output>>, down: &mut Sender<FromNode>) -> Result<Option<String>, StreamError> {
    let mut held = None;
    while let Some(piece) = output.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                tracing::debug!(%error, "a session's connection broke");
                break;
            }
        };
        for piece in passed(&mut held, piece).into_iter().flatten() {
            down.send(match piece {
                Output::Stdout(bytes) => FromNode::Data(bytes),
                Output::Stderr(bytes) => FromNode::Stderr(bytes),
            })
            .await?;
        }
    }
    Ok(held.map(|held| String::from_utf8_lossy(&held).trim_end().to_owned()))
}

/// What is passed on when `piece` comes: what was held back until now, and the piece itself, unless it may be Podman's last word.
fn passed(held: &mut Option<Bytes>, piece: Output) -> [Option<Output>; 2] {
    let before = held.take().map(Output::Stderr);
    match piece {
        Output::Stderr(bytes) if bytes.starts_with(BROKEN) => {
            *held = Some(bytes);
            [before, None]
        }
        piece => [before, Some(piece)],
    }
}

/// How Podman begins what it writes to stderr when conmon closes the socket of a container that has just ended, before all of it was read.
const BROKEN: &[u8] = b"Error: read unixpacket";

/// A conmon that reads two new sizes at once applies the first one twice: after this time without another, the last one is said again.
const SETTLED: Duration = Duration::from_millis(100);

/// Carries frames to the command for as long as it prints; comes back only when the client is lost.
async fn feed(executor: &Executor, asked: &SessionRequest, id: &str, input: &mut (impl AsyncWriteExt + Unpin), up: &mut Receiver<ToNode>) -> StreamError {
    let (mut taken, mut size) = (true, None);
    loop {
        let frame = match size {
            Some(size) => match tokio::time::timeout(SETTLED, up.recv()).await {
                Ok(frame) => frame,
                Err(_) => Ok(Some(again(size))),
            },
            None => up.recv().await,
        };
        let done = match frame {
            // A command that closed its stdin may still print.
            Ok(Some(ToNode::Data(bytes))) if taken => input.write_all(&bytes).await,
            Ok(Some(ToNode::Eof)) if taken && asked.ends_stdin => input.shutdown().await,
            Ok(Some(ToNode::Data(_) | ToNode::Eof)) => Ok(()),
            Ok(Some(ToNode::Resize { width, height })) => {
                size = (size != Some((width, height))).then_some((width, height));
                if let Err(error) = executor.runtime.resize(id, asked.attach, width, height).await {
                    tracing::debug!(%error, "a terminal was not resized");
                }
                Ok(())
            }
            Ok(None) => std::future::pending().await,
            Err(lost) => return lost,
        };
        taken = taken && done.is_ok();
    }
}

fn again((width, height): (u16, u16)) -> ToNode {
    ToNode::Resize { width, height }
}

/// What a port sends next; `None` when it has ended. A connection that breaks off has ended too: that is said of it by its end, and nothing of others.
async fn piece(port: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Option<Bytes> {
    buffer.reserve(PIECE);
    match port.read_buf(buffer).await {
        Ok(0) => None,
        Ok(_) => Some(buffer.split().freeze()),
        Err(error) => {
            tracing::debug!(%error, "a forwarded connection was broken off");
            None
        }
    }
}

/// A port in a pod, and how it is connected to.
pub struct PortRequest {
    /// The pod's UID.
    pub uid: String,
    /// The pod's own address; its loopback where there is none.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Both directions of a connection to a port.
trait Connected: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connected for T {}

async fn connect(executor: &Executor, asked: &PortRequest) -> Result<Box<dyn Connected>, String> {
    let PortRequest { uid, address, port, tls } = asked;
    let host = address.map_or_else(|| "localhost".to_owned(), |a| a.to_string());
    let failed = |why: String| format!("failed to connect to {host}:{port} inside namespace \"{uid}\": {why}");
    let tcp = executor.runtime.connect(uid, *address, *port).await.map_err(|e| failed(e.to_string()))?;
    if !tls {
        return Ok(Box::new(tcp));
    }
    let late = |_| failed("the TLS handshake takes too long".to_owned());
    let secured = tokio::time::timeout(HANDSHAKE, crate::tls::trusting(&host, tcp)).await.map_err(late)?;
    secured.map(|tls| Box::new(tls) as Box<dyn Connected>).map_err(failed)
}

/// One connection to a port in the pod, in both directions until both have ended.
pub async fn forward(executor: &Executor, asked: &PortRequest, mut stream: Duplex<FromNode, ToNode>) -> Result<(), StreamError> {
    let connected = match connect(executor, asked).await {
        Ok(connected) => connected,
        Err(why) => return stream.send(FromNode::Failed(ApiError::internal(why))).await,
    };
    let (mut read, mut write) = tokio::io::split(connected);
    let (mut down, mut up) = stream.split();
    let from_pod = async {
        let mut buffer = BytesMut::with_capacity(PIECE);
        while let Some(piece) = piece(&mut read, &mut buffer).await {
            down.send(FromNode::Data(piece)).await?;
        }
        Ok(())
    };
    let to_pod = async {
        let mut taken = true;
        loop {
            let done = match up.recv().await? {
                Some(ToNode::Data(bytes)) if taken => write.write_all(&bytes).await,
                Some(ToNode::Eof) if taken => write.shutdown().await,
                Some(_) => Ok(()),
                None => return Ok(()),
            };
            taken = taken && done.is_ok();
        }
    };
    tokio::select! {
        ended = from_pod => ended,
        ended = to_pod => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    /// What comes of a server that has sent something and then sends more and ends the connection, or breaks it off.
    async fn comes(broken_off: bool) -> Vec<Bytes> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        if broken_off {
            // who closes with unread data sends a reset
            client.write_all(b"unread").await.unwrap();
            server.readable().await.unwrap();
        } else {
            server.write_all(b"hello").await.unwrap();
        }
        drop(server);
        let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
        while let Some(bytes) = piece(&mut client, &mut buffer).await {
            all.push(bytes);
        }
        all
    }

    #[test]
    fn what_podman_says_last_is_held_back() {
        let (out, err) = (|text: &'static str| Output::Stdout(text.into()), |text: &'static str| Output::Stderr(text.into()));
        let broken = "Error: read unixpacket @->/run/attach: connection reset by peer\n";
        let mut held = None;
        assert_eq!(passed(&mut held, out("a")), [None, Some(out("a"))]);
        assert_eq!(passed(&mut held, err(broken)), [None, None]);
        assert_eq!(passed(&mut held, err("b")), [Some(err(broken)), Some(err("b"))], "it was the command's own");
        assert_eq!(passed(&mut held, err(broken)), [None, None]);
        assert!(held.is_some());
    }

    #[tokio::test]
    async fn a_connection_that_breaks_off_is_one_that_ends() {
        assert_eq!(comes(false).await, ["hello"]);
        assert!(comes(true).await.is_empty());
    }
}
