//! The gRPC health protocol, as far as a probe needs it: one question over one connection.
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// More isn't read of an answer.
const ANSWER_MAX: usize = 4 << 10;

/// Asks whether a service is healthy.
///
/// # Errors
/// Why it counts as unhealthy, in the kubelet's words.
pub async fn check(host: &str, port: u16, service: &str) -> Result<(), String> {
    let refused = |why: String| format!("error: failed to connect service at \"{host}:{port}\": {why}");
    let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).and_then(|e| e.user_agent("kube-probe/whalesong"));
    let channel = endpoint.map_err(|e| refused(cause(&e)))?.connect().await.map_err(|e| refused(cause(&e)))?;
    let mut client = HealthClient::new(channel).max_decoding_message_size(ANSWER_MAX);
    let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await.map_err(|status| failure(&status))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!("service unhealthy (responded with \"{}\")", other.as_str_name())),
    }
}

fn failure(status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => format!("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}", status.message()),
        code => format!("error: health rpc failed: code {}: {}", i32::from(code), status.message()),
    }
}

/// What lies at the bottom of an error: its outer words say only that there is one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::stream;
    use http::{HeaderMap, Request, Response};
    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::{Frame, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
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
        Ok(Response::builder().header("content-type", "application/grpc").body(StreamBody::new(stream::iter(frames))).unwrap())
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
}
