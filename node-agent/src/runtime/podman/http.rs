//! Requests on Podman's socket: one short HTTP/1.1 connection each. None is waited for without end, and no answer is longer than it may be.
use crate::runtime::RuntimeError;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

/// The API's version: what Podman 4.3 serves; later ones serve it too.
const BASE: &str = "/v4.0.0/libpod";

/// How long a request may take: the kubelet's `runtimeRequestTimeout`.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer that is believed.
const ANSWER_MAX: usize = 32 << 20;
/// The most that is passed on of why Podman refused: it becomes a part of the pod's status.
const WORDS_MAX: usize = 4096;
/// The longest line of an answer that comes line by line.
const LINE_MAX: usize = 1 << 20;

/// A way to Podman.
#[derive(Clone, Debug)]
pub struct Http {
    socket: PathBuf,
    patience: Duration,
}

fn lost(e: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Unreachable(e.to_string())
}

/// Podman's error body.
#[derive(serde::Deserialize)]
struct Refusal {
    #[serde(default)]
    cause: String,
    #[serde(default)]
    message: String,
}

/// What Podman 4.3 gives as the cause of a 500 when a container went while it was asked about.
const GONE: [&str; 2] = ["no such container", "no such pod"];

fn refusal(status: StatusCode, body: &[u8]) -> RuntimeError {
    let Refusal { cause, message } = serde_json::from_slice(body)
        .unwrap_or_else(|_| Refusal { cause: String::new(), message: String::from_utf8_lossy(body.get(..WORDS_MAX).unwrap_or(body)).into_owned() });
    let gone = status == StatusCode::NOT_FOUND || GONE.contains(&cause.as_str());
    let words: String = if message.is_empty() { cause } else { message }.chars().take(WORDS_MAX).collect();
    if gone { RuntimeError::NotFound(words) } else { RuntimeError::Refused(words) }
}

/// A connection's task, which ends with what is kept of it.
type Task = AbortOnDropHandle<()>;

impl Http {
    /// By this socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), patience: PATIENCE }
    }

    /// The same with less patience: for what must go on without Podman.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { socket: self.socket.clone(), patience }
    }

    /// The same with more patience: for a request that lasts by itself.
    #[must_use]
    pub fn longer(&self, by: Duration) -> Self {
        self.within(self.patience.saturating_add(by))
    }

    /// Gives up what isn't done in time.
    async fn timely<T>(&self, what: &str, work: impl Future<Output = Result<T, RuntimeError>>) -> Result<T, RuntimeError> {
        let late = |_| Err(RuntimeError::Unreachable(format!("no answer to {what} within {:?}", self.patience)));
        tokio::time::timeout(self.patience, work).await.unwrap_or_else(late)
    }

    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, Task), RuntimeError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(lost)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to Podman ended");
            }
        });
        Ok((sender, AbortOnDropHandle::new(task)))
    }

    async fn send(&self, asked: PodmanRequest<'_>) -> Result<(Response<Incoming>, Task), RuntimeError> {
        let mut request = Request::builder().method(asked.method).uri(format!("{BASE}{}", asked.path)).header(http::header::HOST, "podman");
        for (name, value) in asked.headers {
            request = request.header(name.clone(), value);
        }
        let bytes = match asked.body {
            Some(value) => {
                request = request.header(http::header::CONTENT_TYPE, "application/json");
                Bytes::from(value.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).map_err(lost)?;
        let (mut sender, task) = self.connect().await?;
        Ok((sender.send_request(request).await.map_err(lost)?, task))
    }

    /// A request and its whole answer. `304 Not Modified` is success: it is so already.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, RuntimeError> {
        let asked = PodmanRequest { method, path, headers: &[], body };
        let (status, bytes) = self
            .timely(path, async {
                let (answer, _task) = self.send(asked).await?;
                Ok((answer.status(), whole(answer).await?))
            })
            .await?;
        if status.is_success() || status == StatusCode::NOT_MODIFIED { Ok(bytes) } else { Err(refusal(status, &bytes)) }
    }

    /// A request and its answer decoded.
    pub async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, RuntimeError> {
        let bytes = self.call(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|e| RuntimeError::Refused(format!("an answer of Podman to {path} did not decode: {e}")))
    }

    /// A request whose connection becomes a byte stream in both directions.
    pub async fn upgrade(&self, path: &str, body: Option<&Value>) -> Result<TokioIo<Upgraded>, RuntimeError> {
        const HEADERS: &[(HeaderName, &str)] = &[(http::header::CONNECTION, "Upgrade"), (http::header::UPGRADE, "tcp")];
        let headers: Vec<(HeaderName, String)> = HEADERS.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let asked = PodmanRequest { method: Method::POST, path, headers: &headers, body };
        let upgraded = self.timely(path, async {
            let (answer, _task) = self.send(asked).await?;
            let status = answer.status();
            if status != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refusal(status, &whole(answer).await?));
            }
            hyper::upgrade::on(answer).await.map_err(lost)
        });
        Ok(TokioIo::new(upgraded.await?))
    }

    /// A request whose answer is a line after the other. Where `silence` is given, so long may pass without one.
    pub async fn lines(&self, method: Method, path: &str, headers: &[(HeaderName, String)], silence: Option<Duration>) -> Result<Lines, RuntimeError> {
        let opened = self.timely(path, async {
            let (answer, task) = self.send(PodmanRequest { method, path, headers, body: None }).await?;
            let status = answer.status();
            if status.is_success() { Ok((answer.into_body(), task)) } else { Err(refusal(status, &whole(answer).await?)) }
        });
        let (body, task) = opened.await?;
        Ok(Lines { body, buffer: BytesMut::new(), silence, path: path.to_owned(), _task: task })
    }
}

/// What a request is made of.
struct PodmanRequest<'a> {
    method: Method,
    path: &'a str,
    headers: &'a [(HeaderName, String)],
    body: Option<&'a Value>,
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, RuntimeError> {
    Ok(Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(lost)?.to_bytes())
}

/// An answer that comes line by line.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    silence: Option<Duration>,
    path: String,
    _task: Task,
}

impl Lines {
    /// The next line, decoded; `None` at the end.
    ///
    /// # Errors
    /// When nothing comes for too long, a line is too long or doesn't decode, or the connection breaks.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, RuntimeError> {
        let silence = self.silence;
        let line = match silence {
            None => self.line().await,
            Some(limit) => match tokio::time::timeout(limit, self.line()).await {
                Ok(line) => line,
                Err(_) => Err(RuntimeError::Unreachable(format!("nothing more came of {} within {limit:?}", self.path))),
            },
        };
        let decode = |line: BytesMut| serde_json::from_slice(&line).map_err(|e| RuntimeError::Refused(format!("a line of Podman did not decode: {e}")));
        line?.map(decode).transpose()
    }

    async fn line(&mut self) -> Result<Option<BytesMut>, RuntimeError> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.buffer.get(seen..).and_then(|new| new.iter().position(|b| *b == b'\n')) {
                let line = self.buffer.split_to(seen + at + 1);
                if line.iter().any(|b| !b.is_ascii_whitespace()) {
                    return Ok(Some(line));
                }
                seen = 0;
                continue;
            }
            seen = self.buffer.len();
            match self.body.frame().await {
                Some(frame) => self.buffer.extend_from_slice(frame.map_err(lost)?.data_ref().map_or(&[][..], |data| data)),
                None => return Ok(Some(std::mem::take(&mut self.buffer)).filter(|rest| rest.iter().any(|b| !b.is_ascii_whitespace()))),
            }
            if self.buffer.len() > LINE_MAX && !self.buffer.get(seen..).is_some_and(|new| new.contains(&b'\n')) {
                return Err(RuntimeError::Refused(format!("a line of Podman is longer than {LINE_MAX} bytes")));
            }
        }
    }
}

/// Percent-encodes a query's value.
pub fn escape(text: &str) -> String {
    const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, &PLAIN).to_string()
}

#[cfg(test)]
mod tests;
