//! The messages of one answer. A document is one message. A watch or a log is many, and ends with an empty one; now and then one of them wants to be
//! acknowledged, so that nothing is sent to a program that is gone, nor more than a slow one takes.
use super::pack;
use super::request::{self, Asked};
use crate::handler::Api;
use crate::respond::Body;
use bus::{ClientGone, ClientRequest};
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;
use model::{ApiError, Reason};
use std::time::Duration;

/// How long a program may take to acknowledge a message.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so long a silent stream asks whether its program is there.
const QUIET: Duration = Duration::from_secs(30);
/// So many messages, or bytes, go out before one has to be acknowledged.
const MESSAGES: usize = 1_000;
const BYTES: usize = 4 << 20;
/// The most bytes of a piece of a stream that are put together into one message.
const LINE_MAX: usize = 16 << 20;
/// What a program is sent that is asked whether it is there.
const HEARTBEAT: &[u8] = br#"{"type":"HEARTBEAT"}"#;

/// Answers one message.
///
/// # Errors
/// [`ClientGone`] when the program takes no more.
pub async fn give(api: &Api, message: ClientRequest) -> Result<(), ClientGone> {
    let packed = request::is_packed(&message);
    let Asked { request, path, stream } = match request::read(api, &message) {
        Ok(asked) => asked,
        Err(error) => return fail(&message, &error, packed).await,
    };
    let response = api.answer_about(request, path).await;
    if stream && response.status() == StatusCode::OK { many(&message, response, packed).await } else { one(&message, response, packed).await }
}

/// The headers of an answer. Those of an error are what NATS' own services have.
fn headers(code: u16, error: Option<&str>, response: &[(&'static str, String)], packed: bool) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Status-Code", code.to_string())];
    if let Some(why) = error {
        headers.push(("Nats-Service-Error-Code", code.to_string()));
        headers.push(("Nats-Service-Error", why.to_owned()));
    }
    headers.extend(response.iter().filter(|(name, _)| *name != "Content-Type" || !packed).cloned());
    if packed {
        headers.push(("Content-Type", pack::MEDIA_TYPE.to_owned()));
    }
    headers
}

async fn fail(message: &ClientRequest, error: &ApiError, packed: bool) -> Result<(), ClientGone> {
    let status = Bytes::from(error.to_status().to_string());
    let kind = [("Content-Type", "application/json".to_owned())];
    let body = if packed { pack::from_json(&status).unwrap_or(status) } else { status };
    message.send(&headers(error.code(), Some(&error.message), &kind, packed), body).await
}

/// What of HTTP's headers is said over NATS as well.
fn passed_on(response: &Response<Body>) -> Vec<(&'static str, String)> {
    let all = [("Content-Type", header::CONTENT_TYPE), ("Warning", header::WARNING), ("Retry-After", header::RETRY_AFTER)];
    let text = |value: &header::HeaderValue| value.to_str().ok().map(str::to_owned);
    all.iter().flat_map(|(name, header)| response.headers().get_all(header).iter().filter_map(move |value| Some((*name, text(value)?)))).collect()
}

/// An answer that is one document.
async fn one(message: &ClientRequest, response: Response<Body>, packed: bool) -> Result<(), ClientGone> {
    let (code, kept) = (response.status().as_u16(), passed_on(&response));
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => return fail(message, &ApiError::internal(e.to_string()), packed).await,
    };
    let body = match if packed { pack::from_json(&body) } else { Ok(body) } {
        Ok(body) if body.len() > message.room() => {
            let why = format!("the answer of {} bytes is larger than a message of this NATS server: ask for it in pages, with `limit`", body.len());
            return fail(message, &ApiError::new(Reason::RequestEntityTooLarge, why), packed).await;
        }
        Ok(body) => body,
        Err(error) => return fail(message, &error, packed).await,
    };
    let why = (code >= 400).then(|| serde_json::from_slice::<serde_json::Value>(&body).ok().and_then(|status| status["message"].as_str().map(str::to_owned)));
    message.send(&headers(code, why.map(Option::unwrap_or_default).as_deref(), &kept, packed), body).await
}

/// What went out of a stream since something of it was acknowledged.
#[derive(Default)]
struct Sent {
    messages: usize,
    bytes: usize,
}

impl Sent {
    /// Sends one message; waits for its acknowledgement when it is time.
    async fn send(&mut self, message: &ClientRequest, headers: &[(&str, String)], body: Bytes) -> Result<(), ClientGone> {
        (self.messages, self.bytes) = (self.messages + 1, self.bytes + body.len());
        if self.messages < MESSAGES && self.bytes < BYTES {
            return message.send(headers, body).await;
        }
        *self = Self::default();
        message.send_and_wait(headers, body, PATIENCE).await
    }
}

/// An answer of many messages: lines of JSON one by one, anything else as it comes.
async fn many(message: &ClientRequest, response: Response<Body>, packed: bool) -> Result<(), ClientGone> {
    let headers = headers(response.status().as_u16(), None, &passed_on(&response), packed);
    let lines = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let (mut body, mut sent, mut rest) = (response.into_body(), Sent::default(), BytesMut::new());
    loop {
        let frame = match tokio::time::timeout(QUIET, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(_) => break,
            Err(_) => {
                let heartbeat = if packed { pack::from_json(HEARTBEAT).unwrap_or_default() } else { Bytes::from_static(HEARTBEAT) };
                // a log's lines are its own; whoever reads one is asked by an empty line
                let heartbeat = if lines { heartbeat } else { Bytes::from_static(b"\n") };
                let headers = [&headers[..], &[("Heartbeat", "true".to_owned())]].concat();
                message.send_and_wait(&headers, heartbeat, PATIENCE).await?;
                continue;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if !lines {
            for piece in pieces(data, message.room()) {
                sent.send(message, &headers, piece).await?;
            }
            continue;
        }
        // what came whole isn't copied, and no room is kept for what was sent
        let mut data = if rest.is_empty() {
            data
        } else {
            rest.extend_from_slice(&data);
            std::mem::take(&mut rest).freeze()
        };
        while let Some(end) = memchr::memchr(b'\n', &data) {
            let line = data.split_to(end + 1).slice(..end);
            let body = if packed { pack::from_json(&line).map_err(|e| ClientGone(e.message))? } else { line };
            if body.len() > message.room() {
                return fail(message, &ApiError::new(Reason::RequestEntityTooLarge, "an event is larger than a message of this NATS server"), packed).await;
            }
            sent.send(message, &headers, body).await?;
        }
        rest.extend_from_slice(&data);
        if rest.len() > LINE_MAX {
            return fail(message, &ApiError::internal("a line has no end"), packed).await;
        }
    }
    message.send(&headers, Bytes::new()).await
}

/// Bytes in pieces of at most so many.
fn pieces(mut data: Bytes, most: usize) -> Vec<Bytes> {
    let mut all = Vec::new();
    while !data.is_empty() {
        all.push(data.split_to(data.len().min(most.max(1))));
    }
    all
}
