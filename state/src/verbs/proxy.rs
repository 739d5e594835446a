//! Requests that are passed on to a pod: whether they may be, and where they go. A pod is named itself, or it is one of those behind a Service. Nothing
//! else is reached so, and no address that somebody names.
use crate::lookup::ObjectLookup;
use crate::pipeline::Pipeline;
use crate::reply::json_reply;
use crate::request_context::{self, RequestContext};
use crate::webhooks::services;
use model::{ApiError, Key, Object, Stored, Subresource};
use serde_json::{Value, json};
use state_client::connect::{ProxyName, ProxyTarget};
use state_client::{Body, Reply};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is said of an address that no request is passed on to.
const NOT_ALLOWED: &str = "address not allowed";

impl Pipeline {
    /// Answers a request that is to be passed on with where it goes.
    pub(crate) async fn proxy(&self, call: &RequestContext, sub: Subresource, body: Body) -> Result<Reply, ApiError> {
        self.allow_fresh(call).await?;
        let options = request_context::optional_object(body)?.unwrap_or_default();
        self.admit_connection(call, sub, &options).await?;
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let target = target(self.store(), call, TURN.fetch_add(1, Ordering::Relaxed))?;
        let document = serde_json::to_value(&target).map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(json_reply(&document, 200))
    }
}

/// Where a call goes; `turn` chooses among several pods.
fn target(view: &dyn ObjectLookup, call: &RequestContext, turn: usize) -> Result<ProxyTarget, ApiError> {
    let singular = call.kind.singular.as_ref();
    let name = ProxyName::parse(&call.name).ok_or_else(|| ApiError::bad_request(format!("invalid {singular} request {:?}", &*call.name)))?;
    let found = view.get(&call.key(&name.name)).ok_or_else(|| call.not_found(&name.name))?;
    match singular {
        "pod" => of_pod(found.object(), &name),
        "service" => of_service(view, found.object(), &name, turn),
        _ => Err(ApiError::unavailable(format!("the agent of node {:?} serves nothing over HTTP", &*name.name))),
    }
}

fn of_pod(pod: &Object, name: &ProxyName) -> Result<ProxyTarget, ApiError> {
    let port = match &*name.port {
        "" => default_port(pod).unwrap_or(if name.tls { 443 } else { 80 }),
        text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| ApiError::bad_request(format!("invalid port {text:?}")))?,
    };
    reached(pod, port, name.tls).ok_or_else(|| ApiError::bad_request(NOT_ALLOWED))
}

/// The first port that a container of the pod declares.
fn default_port(pod: &Object) -> Option<u16> {
    let ports = pod.list_at(&["spec", "containers"]).iter().filter_map(|c| c.pointer("/ports/0/containerPort"));
    ports.filter_map(Value::as_u64).find_map(|port| u16::try_from(port).ok())
}

/// A pod with a network of its own, where that is.
fn reached(pod: &Object, port: u16, tls: bool) -> Option<ProxyTarget> {
    let (node, address) = (pod.str_at(&["spec", "nodeName"]), pod.str_at(&["status", "podIP"]));
    let ended = matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed");
    if node.is_empty() || address.is_empty() || ended || pod.at(&["spec", "hostNetwork"]) == Some(&Value::Bool(true)) {
        return None;
    }
    let text = str::to_owned;
    Some(ProxyTarget { node: text(node), namespace: text(pod.namespace()), pod: text(pod.name()), uid: text(pod.uid()), address: text(address), port, tls })
}

fn of_service(view: &dyn ObjectLookup, service: &Object, name: &ProxyName, turn: usize) -> Result<ProxyTarget, ApiError> {
    let (namespace, service_name) = (service.namespace(), service.name());
    let port =
        port_name(service, &name.port).ok_or_else(|| ApiError::unavailable(format!("no service port {:?} found for service {service_name:?}", name.port)))?;
    let slices = view.list("discovery.k8s.io", "endpointslices", namespace);
    let of_slice = |slice: &Object| -> Vec<ProxyTarget> {
        let ready = services::ready(slice, service_name, &port);
        ready.into_iter().filter_map(|(endpoint, port)| behind(view, namespace, endpoint, port, name.tls)).collect()
    };
    let mut targets: Vec<ProxyTarget> = slices.iter().flat_map(|slice: &std::sync::Arc<Stored>| slice.read(of_slice)).collect();
    if targets.is_empty() {
        return Err(ApiError::unavailable(format!("no endpoints available for service {service_name:?}")));
    }
    Ok(targets.swap_remove(turn % targets.len()))
}

/// The name of the Service's port that is named, or numbered, so; of the only one where none is.
fn port_name(service: &Object, asked: &str) -> Option<String> {
    let ports = service.list_at(&["spec", "ports"]);
    let name = |port: &Value| port["name"].as_str().unwrap_or_default().to_owned();
    let is_meant = |port: &&Value| name(port) == asked || (!asked.is_empty() && port["port"] == json!(asked.parse::<u16>().ok()));
    match ports {
        [only] if asked.is_empty() => Some(name(only)),
        ports => ports.iter().find(is_meant).map(name),
    }
}

/// The pod behind an endpoint: one of the Service's namespace that has the endpoint's address.
fn behind(view: &dyn ObjectLookup, namespace: &str, endpoint: &Value, port: u16, tls: bool) -> Option<ProxyTarget> {
    let refers = endpoint.get("targetRef").filter(|r| r["kind"] == "Pod")?;
    let pod = view.get(&Key::new("", "pods", namespace, refers["name"].as_str()?))?;
    let target = reached(pod.object(), port, tls)?;
    let same = endpoint["addresses"].as_array().is_some_and(|all| all.iter().any(|a| *a == target.address));
    same.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::fixture::MapLookup;

    fn pod(name: &str, host: bool) -> Value {
        json!({"metadata": {"name": name, "namespace": "n", "uid": name},
            "spec": {"nodeName": "node", "hostNetwork": host, "containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
            "status": {"podIP": "10.0.0.1", "phase": "Running"}})
    }

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn pods_are_reached_at_a_port_of_their_own_network() {
        let of = |name: &str, host: bool| of_pod(&object(pod("p", host)), &ProxyName::parse(name).unwrap()).map(|t| (t.port, t.tls)).map_err(|e| e.message);
        assert_eq!(of("p", false), Ok((8080, false)));
        assert_eq!(of("https:p:444", false), Ok((444, true)));
        assert_eq!(of("p:0", false), Err("invalid port \"0\"".to_owned()));
        assert_eq!(of("p:web", false), Err("invalid port \"web\"".to_owned()));
        assert_eq!(of("p", true), Err(NOT_ALLOWED.to_owned()));
        let bare = object(json!({"metadata": {"name": "p"}, "spec": {"nodeName": "node", "containers": [{"name": "a"}]}, "status": {"podIP": "10.0.0.1"}}));
        assert_eq!(of_pod(&bare, &ProxyName::parse("https:p:").unwrap()).map(|t| t.port), Ok(443));
        let unbound = object(json!({"metadata": {"name": "p"}, "spec": {}, "status": {}}));
        assert!(of_pod(&unbound, &ProxyName::parse("p").unwrap()).is_err());
    }

    #[test]
    fn services_are_reached_at_pods_that_are_behind_them() {
        let endpoint = |pod: &str, address: &str| json!({"addresses": [address], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": pod}});
        let slice = |name: &str, endpoints: Value| json!({"metadata": {"name": name, "namespace": "n", "labels": {services::SERVICE: "s"}}, "ports": [{"name": "web", "port": 8080}], "endpoints": endpoints});
        let service = object(json!({"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": [{"name": "web", "port": 80}]}}));
        let foreign = json!([
            endpoint("p", "10.0.0.9"), endpoint("host", "10.0.0.1"), endpoint("gone", "10.0.0.1"),
            {"addresses": ["169.254.169.254"], "conditions": {"ready": true}},
        ]);
        let view = |endpoints: Value| {
            let pods = MapLookup::default().with("", "pods", pod("p", false)).with("", "pods", pod("host", true));
            pods.with("discovery.k8s.io", "endpointslices", slice("a", endpoints))
        };
        let of = |name: &str, endpoints: Value| {
            of_service(&view(endpoints), &service, &ProxyName::parse(name).unwrap(), 7).map(|t| (t.pod, t.port)).map_err(|e| e.message)
        };
        for name in ["s", "s:web", "s:80", "http:s:web"] {
            assert_eq!(of(name, json!([endpoint("p", "10.0.0.1")])), Ok(("p".to_owned(), 8080)), "{name}");
        }
        assert_eq!(of("s", foreign), Err("no endpoints available for service \"s\"".to_owned()));
        assert_eq!(of("s:other", json!([])), Err("no service port \"other\" found for service \"s\"".to_owned()));
    }
}
