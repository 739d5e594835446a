//! One try of a probe.
use super::{Edge, Job, Outcome, grpc};
use crate::pod::probe::{ProbeKind, timeout};
use crate::runtime::{ExecSpec, collect};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container as Spec, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// How much of a failed probe's output an event shows.
const OUTPUT: usize = 10 << 10;

/// Tries once, within the probe's timeout.
pub async fn run(edge: &Edge, job: &Job, name: &str, kind: ProbeKind, id: &str) -> Outcome {
    let done = |failure| Outcome::Probed { container: name.to_owned(), kind, run: id.to_owned(), failure };
    let Some((c, probe)) = crate::pod::container(&job.pod, name).and_then(|c| kind.of(c).map(|p| (c, p))) else { return done(None) };
    let limit = Duration::from_secs(timeout(probe).as_secs().unsigned_abs());
    let failure = match tokio::time::timeout(limit, attempt(edge, job, c, probe, id, limit)).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(late(probe, limit)),
    };
    if let Some(why) = &failure {
        edge.recorder.container_warning(job, c, "Unhealthy", &format!("{} probe failed: {why}", kind.name()));
    }
    done(failure)
}

fn late(probe: &Probe, limit: Duration) -> String {
    if probe.exec.is_some() {
        format!("command timed out after {}s", limit.as_secs())
    } else if probe.grpc.is_some() {
        format!("timeout: health rpc did not complete within {}s", limit.as_secs())
    } else {
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
    }
}

async fn attempt(edge: &Edge, job: &Job, c: &Spec, probe: &Probe, id: &str, limit: Duration) -> Result<(), String> {
    if let Some(exec) = &probe.exec {
        let spec = ExecSpec { command: exec.command.clone().unwrap_or_default(), stdout: true, stderr: true, ..ExecSpec::default() };
        let session = edge.runtime.exec(id, &spec).await.map_err(|e| e.to_string())?;
        let (code, output) = collect(edge.runtime.as_ref(), session, OUTPUT).await.map_err(|e| e.to_string())?;
        return if code == 0 { Ok(()) } else { Err(String::from_utf8_lossy(&output).into_owned()) };
    }
    if let Some(action) = &probe.http_get {
        let status = http(&http_target(edge, job, c, action)?, limit).await?;
        return if (200..400).contains(&status) { Ok(()) } else { Err(format!("HTTP probe failed with statuscode: {status}")) };
    }
    if let Some(action) = &probe.tcp_socket {
        let host = host(edge, job, action.host.as_deref())?;
        let port = port(c, &action.port)?;
        return dial(&host, port).await.map(drop).map_err(|e| format!("dial tcp {host}:{port}: {e}"));
    }
    if let Some(action) = &probe.grpc {
        let port = port(c, &IntOrString::Int(action.port))?;
        return grpc::check(&host(edge, job, None)?, port, action.service.as_deref().unwrap_or_default()).await;
    }
    Err("missing probe handler".to_owned())
}

fn host(edge: &Edge, job: &Job, given: Option<&str>) -> Result<String, String> {
    match given.filter(|h| !h.is_empty()) {
        Some(host) => Ok(host.to_owned()),
        None => edge.pod_ips(job).into_iter().next().ok_or_else(|| "the pod has no address".to_owned()),
    }
}

/// Names that are looked up at once: each takes a thread until the resolver gives up, whoever stopped waiting for it.
const LOOKUPS: usize = 32;

/// Connects. A probe's host is mostly an address; where it is a name, not many are looked up at once.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    static LOOKING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));
    if let Ok(address) = host.parse::<IpAddr>() {
        return TcpStream::connect((address, port)).await;
    }
    let turn = LOOKING.clone().acquire_owned().await.map_err(io::Error::other)?;
    let name = host.to_owned();
    let look = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        drop(turn);
        found
    };
    let addresses = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??;
    TcpStream::connect(addresses.as_slice()).await
}

/// A port by number or by the name that the container gives it.
fn port(c: &Spec, wanted: &IntOrString) -> Result<u16, String> {
    let number = match wanted {
        IntOrString::Int(n) => Some(*n),
        IntOrString::String(name) => {
            let named = c.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name)).map(|p| p.container_port);
            named.or_else(|| name.parse().ok())
        }
    };
    number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| format!("invalid port: {wanted:?}"))
}

/// Where an HTTP probe or hook goes.
pub struct Target {
    host: String,
    port: u16,
    tls: bool,
    path: String,
    headers: Vec<(String, String)>,
}

/// From the action's fields, the pod's address and the container's ports.
pub fn http_target(edge: &Edge, job: &Job, c: &Spec, action: &HTTPGetAction) -> Result<Target, String> {
    let path = action.path.as_deref().unwrap_or("/");
    Ok(Target {
        host: host(edge, job, action.host.as_deref())?,
        port: port(c, &action.port)?,
        tls: action.scheme.as_deref() == Some("HTTPS"),
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        headers: action.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
    })
}

/// The status code of a GET. Certificates aren't verified, as the kubelet doesn't.
pub async fn http(target: &Target, limit: Duration) -> Result<u16, String> {
    let url = format!("{}://{}:{}{}", if target.tls { "https" } else { "http" }, target.host, target.port, target.path);
    let failed = |e: String| format!("Get \"{url}\": {e}");
    let exchange = async {
        let tcp = dial(&target.host, target.port).await.map_err(|e| format!("dial tcp {}:{}: connect: {e}", target.host, target.port))?;
        if target.tls { get(super::super::tls::trusting(&target.host, tcp).await?, target).await } else { get(tcp, target).await }
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(status) => status.map_err(failed),
        Err(_) => Err(failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned())),
    }
}

async fn get(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, target: &Target) -> Result<u16, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().uri(&target.path).header("User-Agent", "kube-probe/whalesong").header("Accept", "*/*").header("Connection", "close");
    if !target.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("Host", format!("{}:{}", target.host, target.port));
    }
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| e.to_string());
    let status = match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            // A little of the body is read, so that servers don't see their connection reset.
            let read = http_body_util::Limited::new(answer.into_body(), OUTPUT).collect().await;
            tracing::trace!(ok = read.is_ok(), "the body of a probe's answer");
            Ok(status)
        }
        Err(e) => Err(e),
    };
    connection.abort();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_by_address_and_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            dial(host, port).await.unwrap();
        }
        assert!(dial("", port).await.is_err());
    }

    #[test]
    fn ports_by_number_and_name() {
        let c: Spec = serde_json::from_value(serde_json::json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]})).unwrap();
        assert_eq!(port(&c, &IntOrString::Int(80)), Ok(80));
        assert_eq!(port(&c, &IntOrString::String("web".into())), Ok(8080));
        assert_eq!(port(&c, &IntOrString::String("81".into())), Ok(81));
        assert!(port(&c, &IntOrString::String("other".into())).is_err());
        assert!(port(&c, &IntOrString::Int(70000)).is_err());
    }
}
