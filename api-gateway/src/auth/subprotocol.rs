//! The bearer token that a browser puts among a WebSocket's subprotocols, because it can't send an `Authorization`. Pure.
use crate::stream::protocols::{self, Upgrade};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use model::ApiError;

/// What the subprotocol that carries a token begins with; the token follows in base64url without padding.
const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// The token among the subprotocols of a WebSocket's upgrade; `None` without one. It is never answered with: no stream serves such a protocol.
///
/// # Errors
/// 401 for two of them, for one that doesn't decode, and for one without another subprotocol beside it, which could be answered with.
pub fn token(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    if protocols::upgrade(headers) != Some(Upgrade::WebSocket) {
        return Ok(None);
    }
    let (tokens, others): (Vec<&str>, Vec<&str>) = protocols::words(headers, header::SEC_WEBSOCKET_PROTOCOL).partition(|p| p.starts_with(PREFIX));
    let encoded = match tokens.as_slice() {
        [] => return Ok(None),
        [one] => one.strip_prefix(PREFIX).unwrap_or_default(),
        _ => return Err(ApiError::unauthorized()),
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ApiError::unauthorized())?;
    let token = String::from_utf8(bytes).map_err(|_| ApiError::unauthorized())?;
    match (token.is_empty(), others.is_empty()) {
        (true, _) => Ok(None),
        (false, true) => Err(ApiError::unauthorized()),
        (false, false) => Ok(Some(token)),
    }
}

/// Takes a token from among the subprotocols: it is nobody's further on.
pub fn forget(headers: &mut HeaderMap) {
    let others: Vec<&str> = protocols::words(headers, header::SEC_WEBSOCKET_PROTOCOL).filter(|p| !p.starts_with(PREFIX)).collect();
    match HeaderValue::from_str(&others.join(", ")) {
        Ok(value) if !others.is_empty() => _ = headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value),
        _ => _ = headers.remove(header::SEC_WEBSOCKET_PROTOCOL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(upgrade: &'static str, protocols: &[&str]) -> Result<Option<String>, u16> {
        let mut headers =
            HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static("Upgrade")), (header::UPGRADE, HeaderValue::from_static(upgrade))]);
        headers.extend(protocols.iter().map(|p| (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(p).unwrap())));
        token(&headers).map_err(|e| e.code())
    }

    #[test]
    fn tokens() {
        let with = |encoded: &str| format!("{PREFIX}{encoded}");
        let sesame = Ok(Some("sesame".to_owned()));
        assert_eq!(of("websocket", &[&with("c2VzYW1l"), "v4.channel.k8s.io"]), sesame);
        assert_eq!(of("websocket", &[&format!("channel.k8s.io, {}", with("c2VzYW1l"))]), sesame);
        assert_eq!(of("websocket", &[&with("Pj4_"), "x"]), Ok(Some(">>?".to_owned())));
        assert_eq!(of("websocket", &[&with(""), "x"]), Ok(None));
        assert_eq!(of("websocket", &["v4.channel.k8s.io"]), Ok(None));
        assert_eq!(of("SPDY/3.1", &[&with("c2VzYW1l"), "x"]), Ok(None));
        for wrong in [&[with("c2VzYW1l")][..], &[with("c2VzYW1l"), with("c2VzYW1l"), "x".into()], &[with("YQ=="), "x".into()], &[with("_w"), "x".into()]] {
            assert_eq!(of("websocket", &wrong.iter().map(String::as_str).collect::<Vec<_>>()), Err(401), "{wrong:?}");
        }
    }
}
