//! The upgrade of a request to a WebSocket with one of Kubernetes' subprotocols.
use crate::body::text;
use crate::respond::{self, Body};
use crate::upload::Upload;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use model::ApiError;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The largest message taken from a client, in bytes; `kubectl` sends at most 32 KiB at once.
const MESSAGE: usize = 4 * 1024 * 1024;

/// How long a client may take to begin after its upgrade was accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// An upgrade that was asked for and can be done.
pub(crate) struct Upgrade {
    on: OnUpgrade,
    accept: HeaderValue,
    protocol: &'static str,
}

fn has_word(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(|w| w.trim().eq_ignore_ascii_case(word))
}

/// The first subprotocol of the client's that is served.
fn choose(headers: &HeaderMap, served: &[&'static str]) -> Option<&'static str> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    offered.map(str::trim).find_map(|o| served.iter().find(|s| **s == o).copied())
}

impl Upgrade {
    /// Reads a request's upgrade.
    ///
    /// # Errors
    /// 400 that says what is missing: a WebSocket upgrade over HTTP/1.1 with one of the `served` subprotocols.
    pub fn read(request: &mut Request<Upload>, served: &[&'static str]) -> Result<Self, ApiError> {
        let headers = request.headers();
        if has_word(headers, header::UPGRADE, "SPDY/3.1") {
            return Err(ApiError::bad_request("streams over SPDY are not served: use WebSockets (kubectl 1.31 and later do by default)"));
        }
        if !has_word(headers, header::CONNECTION, "upgrade") || !has_word(headers, header::UPGRADE, "websocket") {
            return Err(ApiError::bad_request("Upgrade request required"));
        }
        let key = text(headers, header::SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad_request("the WebSocket upgrade has no Sec-WebSocket-Key"))?;
        if text(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
            return Err(ApiError::bad_request("only version 13 of the WebSocket protocol is served"));
        }
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|e| ApiError::internal(e.to_string()))?;
        let protocol =
            choose(headers, served).ok_or_else(|| ApiError::bad_request(format!("none of the subprotocols served is offered: {}", served.join(", "))))?;
        Ok(Self { on: hyper::upgrade::on(request), accept, protocol })
    }

    /// The subprotocol agreed on.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The response that makes the client switch, and what becomes the WebSocket once it did.
    pub fn accept(self) -> (Response<Body>, Pending) {
        let mut response = Response::new(respond::full(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        (response, Pending(self.on))
    }
}

/// A WebSocket whose client has still to switch.
pub(crate) struct Pending(OnUpgrade);

impl Pending {
    /// Waits for the switch; `None` when the client went away instead.
    pub async fn open(self) -> Option<Socket> {
        let upgraded = match tokio::time::timeout(PATIENCE, self.0).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an upgrade failed");
                return None;
            }
            Err(_) => return None,
        };
        let config = WebSocketConfig::default().read_buffer_size(16 * 1024).write_buffer_size(0).max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
        Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_decides() {
        let mut headers = HeaderMap::new();
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("x, b"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a"));
        assert_eq!(choose(&headers, &["a", "b"]), Some("b"));
        assert_eq!(choose(&headers, &["c"]), None);
    }
}
