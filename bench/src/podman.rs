//! What a user does with `curl --unix-socket`: plain requests to Podman's socket, each on a connection of its own.
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum PodmanError {
    /// Nobody listens there.
    #[error("no Podman at {0}: {1}")]
    Socket(PathBuf, std::io::Error),
    /// The connection broke.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// A path that is no URI.
    #[error(transparent)]
    Uri(#[from] http::Error),
    /// Podman's own words.
    #[error("{0}: {1}")]
    Refused(String, String),
    /// An answer that isn't JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Podman behind its socket.
#[derive(Clone, Debug)]
pub struct Podman {
    socket: PathBuf,
}

impl Podman {
    /// Behind this one.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// A request below `/libpod`; what came back, null when nothing.
    ///
    /// # Errors
    /// When there is no answer or it is an error.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, PodmanError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| PodmanError::Socket(self.socket.clone(), e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request =
            Request::builder().method(method).uri(format!("/v4.0.0/libpod{path}")).header("host", "podman").header("content-type", "application/json");
        let answer = sender.send_request(request.body(Full::new(bytes))?).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        if !status.is_success() {
            return Err(PodmanError::Refused(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? })
    }
}
