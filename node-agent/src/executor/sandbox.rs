//! Makes a pod's sandbox, with the node's ports that lead into it.
use super::base::Executor;
use super::image;
use super::op::{OpContext, OpError, OpOutcome};
use crate::pod::TroubleKind;
use crate::runtime::{HostPort, Protocol, SandboxSpec};
use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};
use std::net::IpAddr;

/// Makes it, and asks meanwhile about the images that its first containers need.
pub async fn create(executor: &Executor, job: &OpContext) -> Result<OpOutcome, OpError> {
    let spec = crate::pod::spec(&job.pod);
    let sysctls = spec.security_context.as_ref().and_then(|c| c.sysctls.as_ref()).into_iter().flatten();
    let wanted = SandboxSpec {
        pod: job.pod_ref(),
        host_network: spec.host_network == Some(true),
        host_ipc: spec.host_ipc == Some(true),
        ports: host_ports(spec).map_err(|why| failed(executor, job, &why))?,
        sysctls: sysctls.map(|s| (s.name.clone(), s.value.clone())).collect(),
    };
    let (made, ()) = futures::join!(executor.runtime.create_sandbox(&wanted), image::look_ahead(executor, spec));
    match made {
        Ok(sandbox) => Ok(OpOutcome::Sandbox(Some(sandbox))),
        Err(e) => Err(failed(executor, job, &e.to_string())),
    }
}

fn failed(executor: &Executor, job: &OpContext, why: &str) -> OpError {
    let message = format!("Failed to create pod sandbox: {why}");
    executor.recorder.warning(&job.subject(), "FailedCreatePodSandBox", &message);
    OpError(TroubleKind::FailedCreatePodSandBox, message)
}

/// Ports of the node that lead to the pod's containers. With the node's own network they are the containers' anyway. Pods have no IPv6, so that nothing
/// leads from an IPv6 address to them. An address that isn't understood never means all of them.
fn host_ports(spec: &PodSpec) -> Result<Vec<HostPort>, String> {
    if spec.host_network == Some(true) {
        return Ok(Vec::new());
    }
    let sidecars = spec.init_containers.iter().flatten().filter(|c| crate::pod::is_sidecar(c));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let of = |p: &ContainerPort| {
        let number = |n: i32| u16::try_from(n).ok().filter(|n| *n > 0);
        let numbers = (Protocol::read(p.protocol.as_deref()), p.host_port.and_then(number), number(p.container_port));
        let (Some(protocol), Some(port), Some(target)) = numbers else { return Ok(None) };
        let address = match p.host_ip.as_deref().filter(|ip| !ip.is_empty()).map(|ip| (ip, ip.parse::<IpAddr>())) {
            None => None,
            Some((_, Ok(ip))) => match ip.to_canonical() {
                IpAddr::V4(v4) => Some(v4).filter(|v4| !v4.is_unspecified()),
                IpAddr::V6(_) => return Ok(None),
            },
            Some((ip, Err(_))) => return Err(format!("invalid hostIP {ip:?} of host port {port}")),
        };
        Ok(Some(HostPort { protocol, address, port, target }))
    };
    ports.map(of).filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_of_known_protocols() {
        let port = |protocol: &str| serde_json::json!({"containerPort": 80, "hostPort": 80, "protocol": protocol});
        let hostile = "tcp . 1 : 1.1.1.1 . 1 } } include \"/etc/shadow\"";
        let spec = serde_json::json!({"containers": [{"name": "c", "ports": [port("TCP"), port(hostile), port("SCTP")]}]});
        let got: Vec<&str> = host_ports(&serde_json::from_value(spec).unwrap()).unwrap().iter().map(|p| p.protocol.name()).collect();
        assert_eq!(got, ["tcp", "sctp"]);
    }

    #[test]
    fn a_host_port_is_open_where_it_was_asked_for_and_nowhere_else() {
        let of = |ip: &str| {
            let spec = serde_json::json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": ip}]}]});
            host_ports(&serde_json::from_value(spec).unwrap())
                .map(|ports| ports.iter().map(|p| p.address.map_or("any".to_owned(), |a| a.to_string())).collect::<Vec<_>>())
        };
        let rows = [("", "any"), ("0.0.0.0", "any"), ("127.0.0.1", "127.0.0.1"), ("::ffff:127.0.0.1", "127.0.0.1"), ("::ffff:0.0.0.0", "any")];
        rows.iter().for_each(|(ip, want)| assert_eq!(of(ip).unwrap(), [*want], "{ip}"));
        ["::1", "::", "fd00::1"].iter().for_each(|ip| assert!(of(ip).unwrap().is_empty(), "{ip}"));
        ["127.0.0.01", "foo", "1.2.3"].iter().for_each(|ip| assert_eq!(of(ip).unwrap_err(), format!("invalid hostIP {ip:?} of host port 80")));
    }
}
