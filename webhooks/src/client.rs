//! The connection to webhooks: one POST over TLS with a JSON document each way, in bounded time and memory. Connections are kept for the next call.
use crate::client_config::{ClientConfig, Endpoint};
use crate::tls;
use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most bytes of an answer to a question of so many bytes: a patch or the objects that were sent, as base64 or with what a conversion adds.
fn answer_max(asked: usize) -> usize {
    (1 << 20) + asked.saturating_mul(3).min(15 << 20)
}

/// Most bytes of all answers that are being read at once.
const ANSWERS_MAX: usize = 64 << 20;
/// So many servers are remembered with their connections.
const SERVERS_MAX: usize = 256;
/// How long a connection without a call is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections to one server.
const IDLE_MAX: usize = 8;

/// Finds where a Service's port is served now.
pub trait Services: Send + Sync {
    /// An address that answers for the port `port` of a Service.
    ///
    /// # Errors
    /// One sentence.
    fn resolve(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, String>;
}

/// Why a webhook could not be asked, in the words of Go's HTTP client, which tests and users look for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It can't be reached as it is configured.
    #[error("{0}")]
    Config(String),
    /// It was not reached, or not understood.
    #[error("Post {url:?}: {why}")]
    Post {
        /// What was asked.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// It answered with an error.
    #[error("the server responded with the status code {0} but did not return more information")]
    Status(StatusCode),
}

type Http = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Reaches webhooks. One a process.
pub struct Client {
    servers: Mutex<HashMap<ClientConfig, Http>>,
    room: Arc<Semaphore>,
}

impl Default for Client {
    fn default() -> Self {
        Self { servers: Mutex::default(), room: Arc::new(Semaphore::new(ANSWERS_MAX)) }
    }
}

/// Where one call goes: the URL as it is reported and as it is connected to, and the host that the server is told.
struct Route {
    url: String,
    uri: Uri,
    host: Option<String>,
}

impl Client {
    /// Sends a JSON document to a webhook. Returns its answer.
    ///
    /// # Errors
    /// [`CallError`]: also when it takes longer than `timeout`.
    pub async fn post(&self, config: &ClientConfig, services: &dyn Services, timeout: Duration, body: Vec<u8>) -> Result<Bytes, CallError> {
        let route = route(config, services, timeout)?;
        let http = self.http(config)?;
        let mut request = Request::post(&route.uri).header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, "application/json");
        if let Some(host) = &route.host {
            request = request.header(header::HOST, host);
        }
        let most = answer_max(body.len());
        let request = request.body(Full::from(body)).map_err(|e| CallError::Config(e.to_string()))?;
        let fail = |why: String| CallError::Post { url: route.url.clone(), why };
        let answered = tokio::time::timeout(timeout, async {
            let response = http.request(request).await.map_err(|e| fail(chain(&e)))?;
            if !response.status().is_success() {
                return Err(CallError::Status(response.status()));
            }
            self.read(response.into_body(), most).await.map_err(fail)
        });
        answered.await.unwrap_or_else(|_| Err(fail("context deadline exceeded".to_owned())))
    }

    /// Reads an answer of bounded size, while there is room for it.
    async fn read(&self, mut body: Incoming, most: usize) -> Result<Bytes, String> {
        let (mut read, mut held): (_, Vec<SemaphorePermit<'_>>) = (BytesMut::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| chain(&e))?.into_data() else { continue };
            if read.len() + data.len() > most {
                return Err(format!("the answer is larger than {most} bytes"));
            }
            let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
            held.push(self.room.try_acquire_many(bytes).map_err(|_| "too many answers are being read".to_owned())?);
            read.extend_from_slice(&data);
        }
        Ok(read.freeze())
    }

    fn http(&self, config: &ClientConfig) -> Result<Http, CallError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = servers.get(config) {
            return Ok(http.clone());
        }
        let http = connector(config)?;
        if servers.len() >= SERVERS_MAX {
            servers.clear();
        }
        servers.insert(config.clone(), http.clone());
        Ok(http)
    }
}

fn connector(config: &ClientConfig) -> Result<Http, CallError> {
    let tls = tls::config(&config.authorities).map_err(CallError::Config)?;
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
    let builder = match &config.endpoint {
        Endpoint::Url(_) => builder,
        Endpoint::Service { namespace, name, .. } => {
            let name = ServerName::try_from(format!("{name}.{namespace}.svc")).map_err(|e| CallError::Config(e.to_string()))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_MAX).set_host(true);
    Ok(client.build(builder.enable_http1().wrap_connector(tcp)))
}

fn route(config: &ClientConfig, services: &dyn Services, timeout: Duration) -> Result<Route, CallError> {
    let query = format!("?timeout={}s", timeout.as_secs().max(1));
    let url = format!("{config}{query}");
    let (address, host) = match &config.endpoint {
        Endpoint::Url(_) => (url.clone(), None),
        Endpoint::Service { namespace, name, path, port } => {
            let address = services.resolve(namespace, name, *port).map_err(CallError::Config)?;
            (format!("https://{address}{}{query}", if path.is_empty() { "/" } else { path }), Some(format!("{name}.{namespace}.svc:{port}")))
        }
    };
    let uri = address.parse().map_err(|e| CallError::Config(format!("{url:?} is no URL: {e}")))?;
    Ok(Route { url, uri, host })
}

/// An error with what it came from: hyper's own says little.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
