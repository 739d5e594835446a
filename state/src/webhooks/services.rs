//! Where a Service of the cluster is reached from here: at one of the endpoints that are ready, as its EndpointSlices say. The Service's own address would
//! need the rules of a node's service proxy on this machine.
use crate::lookup::ObjectLookup;
use model::{Key, Object};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use webhooks::Services;

/// The label of a slice that names its Service.
pub(crate) const SERVICE: &str = "kubernetes.io/service-name";

/// Services as the cache has them.
pub struct Endpoints<'a>(pub &'a dyn ObjectLookup);

impl Services for Endpoints<'_> {
    fn resolve(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, String> {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let service = self.0.get(&Key::new("", "services", namespace, name)).ok_or_else(|| format!("service {name:?} not found"))?;
        let wanted = service.read(|service| port_name(service, port)).ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
        let slices = self.0.list("discovery.k8s.io", "endpointslices", namespace);
        let ready: Vec<SocketAddr> = slices.iter().flat_map(|slice| slice.read(|slice| addresses(slice, name, &wanted))).collect();
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        ready.get(turn % ready.len().max(1)).copied().ok_or_else(|| format!("no endpoints available for service {name:?}"))
    }
}

/// The name of a Service's port; `""` for one without.
fn port_name(service: &Object, port: u16) -> Option<String> {
    let found = service.list_at(&["spec", "ports"]).iter().find(|p| p["port"].as_u64() == Some(port.into()))?;
    Some(found["name"].as_str().unwrap_or_default().to_owned())
}

/// The endpoints of a slice that are ready, with their port of this name; none where the slice is another Service's.
pub(crate) fn ready<'a>(slice: &'a Object, service: &str, port: &str) -> Vec<(&'a Value, u16)> {
    let named = slice.list_at(&["ports"]).iter().find(|p| p["name"].as_str().unwrap_or_default() == port);
    let port = named.filter(|_| slice.label(SERVICE) == Some(service)).and_then(|p| p["port"].as_u64()).and_then(|p| u16::try_from(p).ok());
    let Some(port) = port else { return Vec::new() };
    let ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    slice.list_at(&["endpoints"]).iter().filter(ready).map(|endpoint| (endpoint, port)).collect()
}

/// The ready addresses of a slice for the port of this name.
fn addresses(slice: &Object, service: &str, port: &str) -> Vec<SocketAddr> {
    let of = |(endpoint, port): (&Value, u16)| {
        let texts: Vec<&str> = endpoint["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        texts.into_iter().filter_map(|text| text.parse::<IpAddr>().ok()).map(|address| SocketAddr::new(address, port)).collect::<Vec<_>>()
    };
    ready(slice, service, port).into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::fixture::MapLookup;
    use serde_json::json;

    #[test]
    fn a_ready_endpoint_of_the_port() {
        let slice = |ready: bool| {
            json!({"metadata": {"name": format!("s-{ready}"), "namespace": "n", "labels": {SERVICE: "s"}}, "ports": [{"name": "https", "port": 8443}],
                "endpoints": [{"addresses": [if ready { "10.0.0.1" } else { "10.0.0.2" }], "conditions": {"ready": ready}}]})
        };
        let service = |name: &str| json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"ports": [{"name": "https", "port": 443}, {"name": "other", "port": 80}]}});
        let view = MapLookup::default()
            .with("", "services", service("s"))
            .with("", "services", service("t"))
            .with("discovery.k8s.io", "endpointslices", slice(true))
            .with("discovery.k8s.io", "endpointslices", slice(false));
        let of = |name: &str, port: u16| Endpoints(&view).resolve("n", name, port);
        for _ in 0..3 {
            assert_eq!(of("s", 443), Ok("10.0.0.1:8443".parse().unwrap()));
        }
        assert_eq!(of("s", 80), Err("no endpoints available for service \"s\"".to_owned()));
        assert_eq!(of("s", 1), Err("no service port 1 found for service \"s\"".to_owned()));
        assert_eq!(of("t", 443), Err("no endpoints available for service \"t\"".to_owned()));
        assert_eq!(of("u", 443), Err("service \"u\" not found".to_owned()));
    }
}
