//! Responses.
use crate::encoding::Encoding;
use crate::{negotiate, transcode};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use model::{ApiError, order};
use serde_json::Value;
use std::io::{self, Write};

/// The body of every response.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// JSON's media type.
pub const JSON: &str = "application/json";

/// Bodies from this size on are compressed for clients that take it, as Kubernetes does: below, it costs more than it saves.
const GZIP_FROM: usize = 128 * 1024;

/// A body that is at hand.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A response with a whole body.
pub fn bytes(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Plain text.
pub fn text(code: u16, body: impl Into<String>) -> Response<Body> {
    let mut response = bytes(code, "text/plain; charset=utf-8", body.into());
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A JSON document in Kubernetes' order, with the newline at its end.
pub fn json(code: u16, value: &Value) -> Response<Body> {
    bytes(code, JSON, text_of(value))
}

/// The text of a JSON document as it is sent.
pub fn text_of(value: &Value) -> Bytes {
    let mut text = order::json(value);
    text.push(b'\n');
    text.into()
}

/// JSON with the newline that Kubernetes ends each document with.
pub fn ended(json: &Bytes) -> Bytes {
    if json.ends_with(b"\n") { json.clone() } else { [json, &b"\n"[..]].concat().into() }
}

/// A JSON document in an encoding, compressed when it is large and the client takes gzip.
///
/// # Errors
/// 500 when it isn't JSON.
pub fn document(code: u16, document: &Bytes, encoding: Encoding, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    if encoding == Encoding::Json {
        return Ok(large(code, JSON, ended(document), headers));
    }
    let (body, content_type) = transcode::document(document, encoding)?;
    Ok(large(code, content_type, body, headers))
}

/// An error as a `Status`, with `Retry-After` where it says so.
pub fn error(error: &ApiError, encoding: Encoding) -> Response<Body> {
    let warnings = error.details.as_ref().map(|details| details.warnings.as_slice()).unwrap_or_default();
    let status = text_of(&error.to_status());
    let encoded = transcode::document(&status, encoding);
    let (body, content_type) = encoded.unwrap_or((status, JSON));
    let mut response = bytes(error.code(), content_type, body);
    let seconds = error.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    if seconds > 0 || error.code() == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    warned(response, warnings)
}

/// The same response with `Warning` headers: `299 - "sentence"`.
#[must_use]
pub fn warned(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{}\"", quotable(warning))) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// A sentence as it may stand within quotes in a header: no control characters, quotes escaped.
fn quotable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A whole body, compressed when it is large and the client takes gzip.
pub fn large(code: u16, content_type: &'static str, body: Bytes, headers: &HeaderMap) -> Response<Body> {
    let wanted = negotiate::takes_gzip(crate::body::text(headers, header::ACCEPT_ENCODING));
    if !wanted || body.len() < GZIP_FROM {
        return bytes(code, content_type, body);
    }
    let Ok(packed) = gzip(&body) else { return bytes(code, content_type, body) };
    let mut response = bytes(code, content_type, packed);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_survive_odd_characters() {
        let r = warned(text(200, ""), &["unknown field \"spec.x\"\n".to_owned(), "ümlaut".to_owned()]);
        let got: Vec<_> = r.headers().get_all(header::WARNING).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
        assert_eq!(got, ["299 - \"unknown field \\\"spec.x\\\" \"", "299 - \"ümlaut\""]);
    }

    #[test]
    fn large_bodies_are_compressed_when_accepted() {
        let mut headers = HeaderMap::new();
        let body = Bytes::from(vec![b'x'; GZIP_FROM]);
        assert!(large(200, JSON, body.clone(), &headers).headers().get(header::CONTENT_ENCODING).is_none());
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(large(200, JSON, body, &headers).headers().get(header::CONTENT_ENCODING).is_some());
        assert!(large(200, JSON, Bytes::from_static(b"x"), &headers).headers().get(header::CONTENT_ENCODING).is_none());
    }

    #[test]
    fn too_many_requests_say_when_to_come_back() {
        let r = error(&ApiError::too_many_requests("slow down", 7), Encoding::Json);
        assert_eq!((r.status().as_u16(), r.headers().get(header::RETRY_AFTER).unwrap().to_str().unwrap()), (429, "7"));
    }
}
