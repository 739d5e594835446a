//! Which pods are behind a Service: as EndpointSlices, and as Endpoints for those who still read them.
mod legacy;
mod mirror;
mod slices;
#[cfg(test)]
mod tests;

pub use legacy::LegacyEndpoints;
pub use mirror::MirroredEndpoints;
pub use slices::EndpointSlices;

use crate::pod::{Pod, pod};
use crate::runtime::{Input, Item, Labels, Resource, View, ViewChange};
use model::{Key, Object};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Says of which Service a slice is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Says which controller keeps a slice.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Marks slices and Endpoints of Services without a cluster IP.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Services, and pods that change what is behind one.
fn inputs() -> Vec<Input> {
    vec![Input::itself(Resource::SERVICES), Input::new(Resource::PODS, services_of), Input::silent(Resource::NODES)]
}

/// The Services that a pod's change concerns: those that select it, before or now. None when nothing of it changed that they show.
fn services_of(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    if let (Some(old), Some(new)) = (change.old, change.new)
        && shown(old) == shown(new)
    {
        return Vec::new();
    }
    let Some(item) = change.item() else { return Vec::new() };
    let concerned = |service: &&Arc<Item>| selector(service).is_some_and(|s| change.both().any(|pod| selects(s, pod)));
    view.in_namespace(&Resource::SERVICES, item.namespace()).filter(concerned).map(|s| s.key().clone()).collect()
}

/// What of a pod Services show.
fn shown(item: &Item) -> impl PartialEq + use<'_> {
    let pod = pod(item);
    let ips: Vec<String> = pod.ips().into_iter().map(str::to_owned).collect();
    (item.uid(), item.labels(), item.deleting(), pod.ready(), pod.terminal(), pod.node().to_owned(), ips)
}

/// The Service's selector; `None` when somebody else says what is behind it.
fn selector(service: &Item) -> Option<&Map<String, Value>> {
    let object = service.object();
    object.at(&["spec", "selector"])?.as_object().filter(|s| !s.is_empty() && object.str_at(&["spec", "type"]) != "ExternalName")
}

fn selects(selector: &Map<String, Value>, item: &Item) -> bool {
    selector.iter().all(|(k, v)| item.label(k) == v.as_str())
}

fn headless(service: &Item) -> bool {
    service.object().str_at(&["spec", "clusterIP"]) == "None"
}

fn publishes_unready(service: &Item) -> bool {
    service.object().at(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true))
}

/// The Service's labels and those that say whose they are.
fn labels(service: &Item, own: &[(&str, &str)]) -> Value {
    let labels = service.labels().into_iter().flat_map(Labels::iter).filter(|(key, _)| *key != HEADLESS);
    let mut labels: Map<String, Value> = labels.map(|(key, value)| (key.to_owned(), json!(value))).collect();
    labels.extend(own.iter().map(|(k, v)| ((*k).to_owned(), json!(v))));
    if headless(service) {
        labels.insert(HEADLESS.to_owned(), json!(""));
    }
    Value::Object(labels)
}

/// The merge patch that makes labels what they should be; those that should go become `null`.
fn label_patch(item: &Item, wanted: &Value) -> Option<Value> {
    map_patch(item.labels().into_iter().flat_map(Labels::iter), wanted.as_object().cloned().unwrap_or_default())
}

/// The merge patch that makes a map of texts what it should be.
fn map_patch<'a>(there: impl Iterator<Item = (&'a str, &'a str)>, wanted: Map<String, Value>) -> Option<Value> {
    let mut patch = wanted;
    for (key, value) in there {
        match patch.get(key) {
            Some(new) if new == value => _ = patch.remove(key),
            Some(_) => {}
            None => _ = patch.insert(key.to_owned(), Value::Null),
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A new slice that goes with its owner.
fn slice(owner: &Item, labels: Value, family: &str, ports: Vec<Value>, endpoints: Vec<Value>) -> Object {
    let mut slice = Object::default();
    slice.set(&["apiVersion"], "discovery.k8s.io/v1");
    slice.set(&["kind"], "EndpointSlice");
    slice.set(&["metadata", "generateName"], format!("{}-", owner.name()));
    slice.set(&["metadata", "namespace"], owner.namespace());
    slice.set(&["metadata", "labels"], labels);
    slice.set(&["metadata", "ownerReferences"], vec![crate::ownership::controller_reference(owner)]);
    slice.set(&["addressType"], family);
    slice.set(&["ports"], ports);
    slice.set(&["endpoints"], endpoints);
    slice
}

/// A pod behind a Service.
struct Backend<'a> {
    item: &'a Item,
    pod: Arc<Pod>,
    /// The Service's ports as numbers of this pod; those that it doesn't have are missing.
    ports: Vec<Value>,
}

impl Backend<'_> {
    /// The pod's first address of this family.
    fn address(&self, v6: bool) -> Option<&str> {
        addresses(&self.pod).find(|ip| ip.contains(':') == v6)
    }
    fn reference(&self) -> Value {
        json!({"kind": "Pod", "namespace": self.item.namespace(), "name": self.item.name(), "uid": self.item.uid()})
    }
}

/// The addresses of a pod that may stand behind a Service. Whoever writes a pod's status may say any: one that is refused there must not keep the others
/// from being written.
fn addresses(pod: &Pod) -> impl Iterator<Item = &str> {
    pod.ips().into_iter().filter(|ip| model::addresses::endpoint(ip).is_empty())
}

/// The pods that the Service selects and that have an address and still run, by name.
fn backends<'a>(view: &'a View, service: &'a Item, selector: &'a Map<String, Value>) -> Vec<Backend<'a>> {
    let selected = view.labelled(&Resource::PODS, service.namespace(), selector);
    let backend = |item: &'a Arc<Item>| {
        let pod = pod(item);
        let ports = service.object().list_at(&["spec", "ports"]).iter().filter_map(|port| resolve(port, &pod)).collect();
        Backend { item, pod, ports }
    };
    let mut backends: Vec<_> = selected.map(backend).filter(|b| !b.pod.terminal() && addresses(&b.pod).next().is_some()).collect();
    backends.sort_unstable_by_key(|b| b.item.name());
    backends
}

/// A Service's port as a number of this pod; `None` when the pod has no port of that name.
fn resolve(port: &Value, pod: &Pod) -> Option<Value> {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    let number = match &port["targetPort"] {
        Value::Number(n) if n.as_i64() != Some(0) => n.as_i64()?,
        Value::String(name) => {
            let named = |p: &&crate::pod::ContainerPort| p.name.as_deref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol;
            pod.ports().find(named)?.container_port
        }
        _ => port["port"].as_i64()?,
    };
    let mut resolved = json!({"name": port["name"].as_str().unwrap_or_default(), "protocol": protocol, "port": number});
    if let Some(app) = port["appProtocol"].as_str() {
        resolved["appProtocol"] = json!(app);
    }
    Some(resolved)
}

/// Backends with the same ports together; ordered, so that the same pods always give the same.
fn by_ports<'a, 'b>(backends: impl Iterator<Item = &'b Backend<'a>>) -> Vec<(Vec<Value>, Vec<&'b Backend<'a>>)>
where
    'a: 'b,
{
    let mut groups: BTreeMap<String, (Vec<Value>, Vec<&Backend<'_>>)> = BTreeMap::new();
    for backend in backends {
        let identity = Value::Array(backend.ports.clone()).to_string();
        groups.entry(identity).or_insert_with(|| (backend.ports.clone(), Vec::new())).1.push(backend);
    }
    groups.into_values().collect()
}
