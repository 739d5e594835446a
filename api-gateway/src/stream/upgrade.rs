//! The upgrade of a request to a WebSocket or to SPDY/3.1, with one of Kubernetes' protocols on it.
use super::protocols::{self, ACCEPTED_PROTOCOLS, NoProtocol, Protocol, STREAM_PROTOCOL, Served};
use super::transport::{self, Sink, Source};
use crate::body::text;
use crate::encoding::Encoding;
use crate::respond::{self, Body};
use crate::upload::Upload;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use model::ApiError;
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// How long a client may take to begin after its upgrade was accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// An upgrade that was asked for and can be done.
pub(crate) struct Upgrade {
    on: OnUpgrade,
    to: protocols::Upgrade,
    headers: HeaderMap,
    protocol: Protocol,
}

/// A response that refuses an upgrade.
pub(crate) type Refusal = Box<Response<Body>>;

fn wrong(why: &str) -> Refusal {
    Box::new(respond::error(&ApiError::bad_request(why), Encoding::Json))
}

/// The answer to a client with whom no protocol is shared.
fn refusal(no: NoProtocol, served: &[Protocol]) -> Refusal {
    let (code, why) = match no {
        NoProtocol::Unnamed(why) => (400, why),
        NoProtocol::Unknown(why) => (403, why),
    };
    let mut response = respond::text(code, why);
    for protocol in served.iter().filter(|_| code == 403) {
        response.headers_mut().append(ACCEPTED_PROTOCOLS, HeaderValue::from_static(protocol.name));
    }
    Box::new(response)
}

/// The headers that answer a WebSocket's upgrade.
fn websocket(headers: &HeaderMap, protocol: Protocol) -> Result<HeaderMap, Refusal> {
    let key = text(headers, header::SEC_WEBSOCKET_KEY).ok_or_else(|| wrong("the WebSocket upgrade has no Sec-WebSocket-Key"))?;
    if text(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(wrong("only version 13 of the WebSocket protocol is served"));
    }
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|e| wrong(&e.to_string()))?;
    let mut answer = HeaderMap::from_iter([(header::UPGRADE, HeaderValue::from_static("websocket")), (header::SEC_WEBSOCKET_ACCEPT, accept)]);
    // A client that named no subprotocol must get none.
    if !protocol.name.is_empty() {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name));
    }
    Ok(answer)
}

fn spdy(protocol: Protocol) -> HeaderMap {
    HeaderMap::from_iter([(header::UPGRADE, HeaderValue::from_static("SPDY/3.1")), (STREAM_PROTOCOL, HeaderValue::from_static(protocol.name))])
}

impl Upgrade {
    /// Reads a request's upgrade.
    ///
    /// # Errors
    /// The response that says what is missing: 400 without an upgrade over HTTP/1.1, 403 without a protocol that is served.
    pub fn read(request: &mut Request<Upload>, served: &Served) -> Result<Self, Refusal> {
        let asked = request.headers();
        let to = protocols::upgrade(asked).ok_or_else(|| wrong("Upgrade request required"))?;
        let rows = if to == protocols::Upgrade::Spdy { served.spdy } else { &[] };
        let protocol = protocols::choose(to, asked, served).map_err(|no| refusal(no, rows))?;
        let mut headers = match to {
            protocols::Upgrade::WebSocket => websocket(asked, protocol)?,
            protocols::Upgrade::Spdy => spdy(protocol),
        };
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        Ok(Self { on: hyper::upgrade::on(request), to, headers, protocol })
    }

    /// What the client switches to.
    pub fn to(&self) -> protocols::Upgrade {
        self.to
    }

    /// The protocol agreed on.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The response that makes the client switch, and what becomes the connection once it did.
    pub fn accept(self) -> (Response<Body>, Pending) {
        let mut response = Response::new(respond::full(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = self.headers;
        (response, Pending { on: self.on, to: self.to, text: self.protocol.base64 })
    }
}

/// A connection whose client has still to switch.
pub(crate) struct Pending {
    on: OnUpgrade,
    to: protocols::Upgrade,
    text: bool,
}

impl Pending {
    /// Waits for the switch; `None` when the client went away instead.
    pub async fn open(self) -> Option<(Source, Sink)> {
        let upgraded = match tokio::time::timeout(PATIENCE, self.on).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an upgrade failed");
                return None;
            }
            Err(_) => return None,
        };
        Some(match self.to {
            protocols::Upgrade::WebSocket => transport::websocket(upgraded, self.text).await,
            protocols::Upgrade::Spdy => transport::bare(upgraded),
        })
    }
}
