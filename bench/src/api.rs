//! A client of any Kubernetes API server, by kubeconfig: raw requests over kept connections, so that as little as possible of what is measured is
//! the client's own. A request is measured from before it is sent until its answer is read; the answer isn't parsed.
use bytes::Bytes;
use futures::TryStreamExt;
use futures::io::{AsyncBufRead, AsyncBufReadExt};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The kubeconfig can't be read or lacks something.
    #[error("the kubeconfig is of no use: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// Its certificates are of no use.
    #[error(transparent)]
    Tls(#[from] kube::Error),
    /// The server refuses.
    #[error("{code}: {text}")]
    Refused {
        /// How.
        code: StatusCode,
        /// Its words.
        text: String,
    },
    /// No answer.
    #[error("no answer: {}", chain(.0))]
    Silent(#[from] hyper_util::client::legacy::Error),
    /// An answer that broke off.
    #[error("the answer broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// A path that is no URI, or a token that is no header.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// An answer that isn't JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A stream that broke.
    #[error("the stream broke: {0}")]
    Stream(#[from] std::io::Error),
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: as many connections as requests at once.
    Http1,
    /// HTTP/2: one connection.
    Http2,
}

/// A way to the API server. Clones share its connections.
#[derive(Clone)]
pub struct Api {
    config: Config,
    protocol: Protocol,
    token: Option<HeaderValue>,
    server: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Api {
    /// From a kubeconfig.
    ///
    /// # Errors
    /// [`ApiError::Kubeconfig`] when it can't be used.
    pub async fn new(kubeconfig: &Path, protocol: Protocol) -> Result<Self, ApiError> {
        let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default()).await?;
        let bearer = |token: &SecretString| HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(http::Error::from);
        let token = config.auth_info.token.as_ref().map(bearer).transpose()?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok(Self { client: client(&config, protocol)?, protocol, token, server, config })
    }

    /// The same access over connections of its own.
    ///
    /// # Errors
    /// When the client can't be made.
    pub fn fresh(&self) -> Result<Self, ApiError> {
        Ok(Self { client: client(&self.config, self.protocol)?, ..self.clone() })
    }

    /// Sends a request; an answer that is an error is one.
    async fn send(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Response<hyper::body::Incoming>, ApiError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server)).header(header::CONTENT_TYPE, content_type);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let answer = self.client.request(request.body(Full::from(body))?).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let code = answer.status();
        Err(ApiError::Refused { code, text: String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()).into_owned() })
    }

    /// Sends a request and reads the answer without parsing it.
    ///
    /// # Errors
    /// [`ApiError`] when there is no answer or it is an error.
    pub async fn text(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Bytes, ApiError> {
        Ok(self.send(method, path, content_type, body).await?.into_body().collect().await?.to_bytes())
    }

    /// Reads without parsing.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn read(&self, path: &str) -> Result<Bytes, ApiError> {
        self.text(Method::GET, path, "application/json", Vec::new()).await
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        Ok(serde_json::from_slice(&self.read(path).await?)?)
    }

    /// Creates.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn post(&self, path: &str, object: &Value) -> Result<Bytes, ApiError> {
        self.text(Method::POST, path, "application/json", object.to_string().into_bytes()).await
    }

    /// Merge-patches.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn merge(&self, path: &str, patch: &Value) -> Result<Bytes, ApiError> {
        self.text(Method::PATCH, path, "application/merge-patch+json", patch.to_string().into_bytes()).await
    }

    /// Deletes, with options.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Bytes, ApiError> {
        self.text(Method::DELETE, path, "application/json", options.to_string().into_bytes()).await
    }

    /// Opens a watch; each line of the stream is one event.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn watch(&self, path: &str) -> Result<Events<impl AsyncBufRead + use<>>, ApiError> {
        let body = self.send(Method::GET, path, "application/json", Vec::new()).await?.into_body();
        Ok(Events { stream: Box::pin(body.into_data_stream().map_err(std::io::Error::other).into_async_read()), line: String::new() })
    }

    /// Makes a namespace of a name that starts with `prefix`, and waits until pods can be made there: until its default service account is.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn namespace(&self, prefix: &str) -> Result<String, ApiError> {
        let name = format!("{prefix}-{}", std::process::id());
        self.post("/api/v1/namespaces", &serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
        let mut accounts = self.watch(&format!("/api/v1/namespaces/{name}/serviceaccounts?watch=true&resourceVersion=0&timeoutSeconds=10")).await?;
        while let Some(event) = accounts.next::<Value>().await? {
            if event["object"]["metadata"]["name"] == "default" {
                break;
            }
        }
        Ok(name)
    }
}

fn client(config: &Config, protocol: Protocol) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, ApiError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // small frames of one request would otherwise wait for each other's acknowledgement: 40 ms
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    let connector = match protocol {
        Protocol::Http1 => connector.enable_http1().wrap_connector(tcp),
        Protocol::Http2 => connector.enable_http2().wrap_connector(tcp),
    };
    Ok(Client::builder(TokioExecutor::new()).http2_only(protocol == Protocol::Http2).build(connector))
}

/// The events of a watch.
pub struct Events<S> {
    stream: std::pin::Pin<Box<S>>,
    line: String,
}

impl<S: AsyncBufRead> Events<S> {
    /// The next event, of which only what `T` has is parsed; `None` at the stream's end.
    ///
    /// # Errors
    /// [`ApiError::Stream`] and [`ApiError::Json`].
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&self.line)?))
    }
}
