//! One try of a probe.
use super::base::Executor;
use super::dial::dial;
use super::grpc;
use super::http::{Answer, Headers, Target, Url, get};
use super::op::{OpContext, OpOutcome};
use crate::pod::probe::{ProbeKind, timeout};
use crate::runtime::{ExecSpec, collect};
use k8s_openapi::api::core::v1::{Container as Spec, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::time::Duration;

/// How much of a failed probe's output an event shows.
const OUTPUT: usize = 10 << 10;

/// Tries once, within the probe's timeout.
pub async fn run(executor: &Executor, job: &OpContext, name: &str, kind: ProbeKind, id: &str) -> OpOutcome {
    let done = |failure| OpOutcome::Probed { container: name.to_owned(), kind, run: id.to_owned(), failure };
    let container = crate::pod::container(&job.pod, name);
    let Some((c, probe)) = container.as_deref().and_then(|c| kind.of(c).map(|p| (c, p))) else { return done(None) };
    let limit = Duration::from_secs(timeout(probe).as_secs().unsigned_abs());
    let failure = match tokio::time::timeout(limit, attempt(executor, job, c, probe, id, limit)).await {
        Ok(Ok(warning)) => {
            if let Some(warning) = warning {
                executor.recorder.container_warning(&job.pod, c, "ProbeWarning", &format!("{} probe warning: {warning}", kind.name()));
            }
            None
        }
        Ok(Err(why)) => Some(why),
        Err(_) => Some(late(probe, limit)),
    };
    if let Some(why) = &failure {
        executor.recorder.container_warning(&job.pod, c, "Unhealthy", &format!("{} probe failed: {why}", kind.name()));
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

/// Tries; what is to be said of a success comes back.
async fn attempt(executor: &Executor, job: &OpContext, c: &Spec, probe: &Probe, id: &str, limit: Duration) -> Result<Option<String>, String> {
    if let Some(exec) = &probe.exec {
        let spec = ExecSpec { command: exec.command.clone().unwrap_or_default(), stdout: true, stderr: true, ..ExecSpec::default() };
        let session = executor.runtime.exec(id, &spec).await.map_err(|e| e.to_string())?;
        let (code, output) = collect(executor.runtime.as_ref(), session, OUTPUT).await.map_err(|e| e.to_string())?;
        return if code == 0 { Ok(None) } else { Err(String::from_utf8_lossy(&output).into_owned()) };
    }
    if let Some(action) = &probe.http_get {
        return verdict(&get(&http_target(executor, job, c, action, "probe")?, limit).await?);
    }
    if let Some(action) = &probe.tcp_socket {
        let host = host(executor, job, action.host.as_deref())?;
        let port = port(c, &action.port)?;
        return dial(&host, port).await.map(|_| None).map_err(|e| format!("dial tcp {host}:{port}: {e}"));
    }
    if let Some(action) = &probe.grpc {
        let port = port(c, &IntOrString::Int(action.port))?;
        return grpc::check(&host(executor, job, None)?, port, action.service.as_deref().unwrap_or_default()).await.map(|()| None);
    }
    Err("missing probe handler".to_owned())
}

fn host(executor: &Executor, job: &OpContext, given: Option<&str>) -> Result<String, String> {
    match given.filter(|h| !h.is_empty()) {
        Some(host) => Ok(host.to_owned()),
        None => executor.pod_ips(job).into_iter().next().ok_or_else(|| "the pod has no address".to_owned()),
    }
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

/// Where an action's request goes, from its fields, the pod's address and the container's ports; `purpose` is what it is made for.
pub fn http_target(executor: &Executor, job: &OpContext, c: &Spec, action: &HTTPGetAction, purpose: &str) -> Result<Target, String> {
    let (host, port) = (host(executor, job, action.host.as_deref())?, port(c, &action.port)?);
    let tls = action.scheme.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("https"));
    let url = Url::of_action(tls, &host, port, action.path.as_deref().unwrap_or_default());
    Ok(Target { url, headers: Headers::new(action.http_headers.as_deref().unwrap_or_default(), purpose) })
}

/// What an answer means: success, perhaps with a warning, or failure.
fn verdict(answer: &Answer) -> Result<Option<String>, String> {
    match answer.status {
        200..300 => Ok(None),
        300..400 => Ok(Some(format!("Probe terminated redirects, Response body: {}", String::from_utf8_lossy(&answer.body)))),
        status => Err(format!("HTTP probe failed with statuscode: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let rows = [
            (200, Ok(None)),
            (299, Ok(None)),
            (302, Ok(Some("Probe terminated redirects, Response body: hi".to_owned()))),
            (400, Err("HTTP probe failed with statuscode: 400".to_owned())),
            (199, Err("HTTP probe failed with statuscode: 199".to_owned())),
        ];
        for (status, want) in rows {
            assert_eq!(verdict(&Answer { status, body: b"hi".to_vec(), ..Answer::default() }), want);
        }
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
