//! One GET, as probes and hooks make it: redirects within the host are followed.
mod headers;
mod url;

pub use headers::Headers;
pub use url::Url;

use super::dial::dial;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How much of an answer is read.
const BODY: usize = 10 << 10;
/// How many requests are made before redirects are taken for endless.
const REQUESTS: usize = 10;

/// Where an HTTP probe or hook goes, and what it says.
pub struct Target {
    /// Where to.
    pub url: Url,
    /// What with.
    pub headers: Headers,
}

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Where it redirects to.
    pub location: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// The answer to a GET, after redirects within the host; one to another host is the answer. Certificates aren't verified, as the kubelet doesn't.
///
/// # Errors
/// In the words of Go's client.
pub async fn get(target: &Target, limit: Duration) -> Result<Answer, String> {
    match tokio::time::timeout(limit, follow(target)).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(&target.url, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")),
    }
}

fn failed(url: &Url, why: &str) -> String {
    format!("Get \"{url}\": {why}")
}

async fn follow(target: &Target) -> Result<Answer, String> {
    let (mut url, mut host) = (target.url.clone(), target.headers.host.clone());
    for _ in 0..REQUESTS {
        let answer = once(&url, host.as_deref(), &target.headers).await.map_err(|e| failed(&url, &e))?;
        let Some(next) = redirect(&url, &answer).map_err(|e| failed(&url, &e))?.filter(|next| next.host() == target.url.host()) else {
            return Ok(answer);
        };
        // a `Host` that was given holds for the server that it was given for
        host = host.filter(|_| next.authority == url.authority);
        url = next;
    }
    Err(failed(&url, "stopped after 10 redirects"))
}

/// Where an answer leads; `None`: nowhere.
fn redirect(from: &Url, answer: &Answer) -> Result<Option<Url>, String> {
    match (&answer.location, answer.status) {
        (Some(location), 301 | 302 | 303 | 307 | 308) if !location.is_empty() => from.resolve(location).map(Some),
        _ => Ok(None),
    }
}

async fn once(url: &Url, host: Option<&str>, headers: &Headers) -> Result<Answer, String> {
    let port = url.port()?;
    let tcp = dial(url.host(), port).await.map_err(|e| format!("dial tcp {}:{port}: connect: {e}", url.host()))?;
    if url.tls { send(crate::tls::trusting(url.host(), tcp).await?, url, host, headers).await } else { send(tcp, url, host, headers).await }
}

fn request(url: &Url, host: Option<&str>, headers: &Headers) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::builder().uri(url.target()).header(header::HOST, host.unwrap_or(&url.authority));
    if let Some(agent) = &headers.agent {
        request = request.header(header::USER_AGENT, agent);
    }
    for (name, value) in &headers.others {
        request = request.header(name, value);
    }
    if !headers.others.iter().any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case("close")) {
        request = request.header(header::CONNECTION, "close");
    }
    request.body(Empty::new()).map_err(|e| e.to_string())
}

async fn send(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, url: &Url, host: Option<&str>, headers: &Headers) -> Result<Answer, String> {
    let request = request(url, host, headers)?;
    // some servers know names of headers only as they are mostly written
    let mut client = hyper::client::conn::http1::Builder::new();
    let (mut sender, connection) = client.title_case_headers(true).handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let mut connection = tokio::task::JoinSet::from_iter([connection]);
    let answer = read(sender.send_request(request).await.map_err(|e| e.to_string())?).await;
    connection.abort_all();
    answer
}

/// The beginning of the body is read, also so that servers don't see their connection reset.
async fn read(answer: http::Response<Incoming>) -> Result<Answer, String> {
    let location = answer.headers().get(header::LOCATION).map(|l| String::from_utf8_lossy(l.as_bytes()).into_owned());
    let (status, mut incoming, mut body) = (answer.status().as_u16(), answer.into_body(), Vec::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        let left = BODY.saturating_sub(body.len());
        body.extend(frame.data_ref().into_iter().flatten().take(left));
        if body.len() >= BODY {
            break;
        }
    }
    Ok(Answer { status, location, body })
}

#[cfg(test)]
mod tests;
