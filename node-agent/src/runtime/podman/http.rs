//! Requests on Podman's socket that podman-api doesn't make right: one short HTTP/1.1 connection each.
use crate::runtime::RuntimeError;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// The API's version: what Podman 4.3 serves; later ones serve it too.
const BASE: &str = "/v4.0.0/libpod";

/// A way to Podman.
#[derive(Clone, Debug)]
pub struct Http {
    socket: PathBuf,
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

fn refusal(status: StatusCode, body: &[u8]) -> RuntimeError {
    let words = match serde_json::from_slice::<Refusal>(body) {
        Ok(r) if r.message.is_empty() => r.cause,
        Ok(r) => r.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    if status == StatusCode::NOT_FOUND { RuntimeError::NotFound(words) } else { RuntimeError::Refused(words) }
}

impl Http {
    /// By this socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, RuntimeError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(lost)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to Podman ended");
            }
        });
        Ok(sender)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>, upgrade: bool) -> Result<Response<Incoming>, RuntimeError> {
        let mut request = Request::builder().method(method).uri(format!("{BASE}{path}")).header(http::header::HOST, "podman");
        if upgrade {
            request = request.header(http::header::CONNECTION, "Upgrade").header(http::header::UPGRADE, "tcp");
        }
        let bytes = match body {
            Some(value) => {
                request = request.header(http::header::CONTENT_TYPE, "application/json");
                Bytes::from(value.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).map_err(lost)?;
        self.connect().await?.send_request(request).await.map_err(lost)
    }

    /// A request and its whole answer. `304 Not Modified` is success: it is so already.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, RuntimeError> {
        let answer = self.send(method, path, body, false).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(lost)?.to_bytes();
        if status.is_success() || status == StatusCode::NOT_MODIFIED { Ok(bytes) } else { Err(refusal(status, &bytes)) }
    }

    /// A request and its answer decoded.
    pub async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, RuntimeError> {
        let bytes = self.call(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|e| RuntimeError::Refused(format!("an answer of Podman to {path} did not decode: {e}")))
    }

    /// A request whose connection becomes a byte stream in both directions.
    pub async fn upgrade(&self, path: &str, body: Option<&Value>) -> Result<TokioIo<Upgraded>, RuntimeError> {
        let answer = self.send(Method::POST, path, body, true).await?;
        let status = answer.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let bytes = answer.into_body().collect().await.map_err(lost)?.to_bytes();
            return Err(refusal(status, &bytes));
        }
        Ok(TokioIo::new(hyper::upgrade::on(answer).await.map_err(lost)?))
    }
}

/// Percent-encodes a query's value.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}
