//! The gRPC health protocol, as far as a probe needs it: one question, over one HTTP/2 connection.
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// More isn't read of an answer.
const ANSWER_MAX: usize = 4 << 10;
/// gRPC's code for what a server doesn't have.
const UNIMPLEMENTED: &str = "12";

/// `grpc.health.v1.HealthCheckRequest`, with gRPC's prefix: not compressed, and its length.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8((length & 0x7f) as u8);
        message.put_slice(service.as_bytes());
    }
    let mut out = BytesMut::with_capacity(message.len() + 5);
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(&message);
    out.freeze()
}

/// The status of a `HealthCheckResponse`; a message without one means 0.
fn status(mut answer: Bytes) -> Option<u8> {
    if answer.remaining() < 5 || answer.get_u8() != 0 {
        return None;
    }
    match (answer.get_u32(), answer.as_ref()) {
        (0, []) => Some(0),
        (2, [0x08, status]) => Some(*status),
        _ => None,
    }
}

/// Asks whether a service is healthy.
///
/// # Errors
/// Why it counts as unhealthy, in the kubelet's words.
pub async fn check(host: &str, port: u16, service: &str) -> Result<(), String> {
    let failed = |e: String| format!("error: health rpc failed: {e}");
    let tcp = TcpStream::connect((host, port)).await.map_err(|e| format!("error: failed to connect service at \"{host}:{port}\": {e}"))?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.map_err(|e| failed(e.to_string()))?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{host}:{port}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/whalesong")
        .body(Full::new(question(service)))
        .map_err(|e| failed(e.to_string()))?;
    let read = async {
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let headers = answer.headers().clone();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|e| e.to_string())?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok((headers, trailers, body.to_bytes()))
    };
    let read = read.await;
    connection.abort();
    let (headers, trailers, body) = read.map_err(failed)?;
    verdict(&headers, &trailers, body)
}

fn verdict(headers: &HeaderMap, trailers: &HeaderMap, body: Bytes) -> Result<(), String> {
    // An answer without a body has its status among the headers.
    let text = |name: &str| trailers.get(name).or_else(|| headers.get(name)).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let code = text("grpc-status");
    match (code.as_str(), status(body)) {
        ("0", Some(1)) => Ok(()),
        ("0", Some(other)) => {
            let name = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].get(usize::from(other)).copied().unwrap_or("UNKNOWN");
            Err(format!("service unhealthy (responded with \"{name}\")"))
        }
        ("0", None) => Err("error: health rpc failed: the answer is no HealthCheckResponse".to_owned()),
        (UNIMPLEMENTED, _) => Err(format!("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}", text("grpc-message"))),
        _ => Err(format!("error: health rpc failed: code {code}: {}", text("grpc-message"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http::Response;
    use http_body_util::StreamBody;
    use hyper::body::{Frame, Incoming};
    use hyper::service::service_fn;
    use std::convert::Infallible;

    /// Is healthy as what it is asked for: its status by the service's name.
    async fn answer(request: Request<Incoming>) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let (code, message): (&str, &[u8]) = match asked.get(7..).unwrap_or_default() {
            b"" => ("0", &[0, 0, 0, 0, 2, 8, 1]),
            b"tired" => ("0", &[0, 0, 0, 0, 2, 8, 2]),
            b"none" => ("12", &[]),
            _ => ("5", &[]),
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::copy_from_slice(message))), Ok(Frame::trailers(trailers))];
        Ok(Response::new(StreamBody::new(stream::iter(frames))))
    }

    #[tokio::test]
    async fn servers_are_asked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tcp), service_fn(answer)));
            }
        });
        assert_eq!(check("127.0.0.1", port, "").await, Ok(()));
        for (service, why) in [("tired", "responded with \"NOT_SERVING\""), ("none", "does not implement"), ("else", "code 5")] {
            let got = check("127.0.0.1", port, service).await.unwrap_err();
            assert!(got.contains(why), "{got}");
        }
        assert!(check("127.0.0.1", 1, "").await.unwrap_err().contains("failed to connect"));
    }

    #[test]
    fn long_names_have_long_lengths() {
        let asked = question(&"x".repeat(300));
        assert_eq!(asked.get(..8), Some(&[0, 0, 0, 1, 47, 0x0a, 0xac, 0x02][..]));
    }
}
