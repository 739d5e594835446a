//! Mirroring: what somebody else writes into the Endpoints of a Service without a selector is in EndpointSlices too, which is what nodes read.
use super::{MANAGED_BY, SERVICE_NAME, label_patch, map_patch, selector, slice};
use crate::runtime::{Controller, Input, Item, Labels, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::{Key, Object};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Endpoints with this label aren't mirrored.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints with this annotation are an election, not addresses.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that mean the Endpoints themselves.
const OWN: [&str; 2] = ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];
/// So many addresses of the same ports are mirrored.
const MAX_ADDRESSES: usize = 1000;

/// Keeps the EndpointSlices of Endpoints that somebody else writes.
pub struct MirroredEndpoints;

impl Controller for MirroredEndpoints {
    fn name(&self) -> &'static str {
        "endpoint-slice-mirroring-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![
            Input::itself(Resource::SERVICES),
            Input::new(Resource::ENDPOINTS, |_, change| change.item().map(|i| Resource::SERVICES.key(i.namespace(), i.name())).into_iter().collect()),
            Input::new(Resource::ENDPOINT_SLICES, service_of),
        ]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::ENDPOINT_SLICES, Part::Whole, "of Endpoints of Services without a selector")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        // without the Endpoints their slices go as all do whose owner is gone
        let Some(endpoints) = view.get(&Resource::ENDPOINTS, &key.namespace, &key.name) else { return plan };
        let ours = |slice: &&Arc<Item>| slice.label(MANAGED_BY) == Some(MANAGER) && !slice.deleting();
        let mut existing: Vec<&Arc<Item>> = view.controlled_by(&Resource::ENDPOINT_SLICES, endpoints.uid()).filter(ours).collect();
        existing.sort_unstable_by_key(|slice| slice.name());
        let elsewhere = view.at(key).is_some_and(|service| !service.deleting() && selector(service).is_none());
        if elsewhere && mirrored(endpoints) {
            mirror(endpoints, &mut existing, &mut plan);
        }
        existing.into_iter().for_each(|slice| _ = plan.delete(slice));
        plan
    }
}

fn service_of(_: &View, change: ViewChange<'_>) -> Vec<Key> {
    let ours = |item: &&Item| item.label(MANAGED_BY) == Some(MANAGER);
    change.both().filter(ours).filter_map(|item| Some(Resource::SERVICES.key(item.namespace(), item.label(SERVICE_NAME)?))).collect()
}

fn mirrored(endpoints: &Item) -> bool {
    !endpoints.deleting() && endpoints.label(SKIP) != Some("true") && endpoints.object().annotation(LEADER).is_none()
}

/// What one slice holds.
#[derive(Default)]
struct Wanted {
    ports: Vec<Value>,
    endpoints: Vec<Value>,
    addresses: BTreeSet<String>,
}

/// One slice for each address family and set of ports. The slices that it takes are no longer in `existing`.
fn mirror(endpoints: &Item, existing: &mut Vec<&Arc<Item>>, plan: &mut Plan) {
    let (wanted, skipped) = wanted(endpoints.object());
    if skipped > 0 {
        let message = format!("A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped");
        plan.warn(endpoints, "TooManyAddressesToMirror", message);
    }
    for ((family, _), wanted) in wanted {
        let holds = |slice: &&Arc<Item>| slice.object().str_at(&["addressType"]) == family && slice.object().list_at(&["ports"]) == wanted.ports;
        match existing.iter().position(holds) {
            Some(at) => change(existing.remove(at), endpoints, wanted.endpoints, plan),
            None => _ = plan.create(&Resource::ENDPOINT_SLICES, made(endpoints, family, wanted)),
        }
    }
}

/// What the slices hold, by family and ports, and how many addresses were too many.
fn wanted(endpoints: &Object) -> (BTreeMap<(&'static str, String), Wanted>, usize) {
    let mut all: BTreeMap<(&'static str, String), Wanted> = BTreeMap::new();
    let mut skipped = 0;
    for subset in endpoints.list_at(&["subsets"]) {
        let list = |field: &str| subset.get(field).and_then(Value::as_array).into_iter().flatten();
        let ports: Vec<Value> = list("ports").map(port).collect();
        let identity = Value::Array(ports.clone()).to_string();
        let (ready, others) = (list("addresses").map(|a| (a, true)), list("notReadyAddresses").map(|a| (a, false)));
        for (address, ready) in ready.chain(others) {
            let Ok(ip) = address["ip"].as_str().unwrap_or_default().parse::<IpAddr>() else { continue };
            let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
            let slice = all.entry((family, identity.clone())).or_insert_with(|| Wanted { ports: ports.clone(), ..Wanted::default() });
            if slice.endpoints.len() == MAX_ADDRESSES {
                skipped += 1;
            } else if slice.addresses.insert(ip.to_string()) {
                slice.endpoints.push(endpoint(address, &ip, ready));
            }
        }
    }
    (all, skipped)
}

fn port(port: &Value) -> Value {
    let mut slice = json!({"name": port["name"].as_str().unwrap_or_default(), "port": port["port"], "protocol": port["protocol"].as_str().unwrap_or("TCP")});
    if let Some(app) = port["appProtocol"].as_str() {
        slice["appProtocol"] = json!(app);
    }
    slice
}

fn endpoint(address: &Value, ip: &IpAddr, ready: bool) -> Value {
    let mut endpoint = json!({"addresses": [ip.to_string()], "conditions": {"ready": ready}});
    for field in ["targetRef", "nodeName", "hostname"] {
        if let Some(value) = address.get(field).filter(|v| !v.is_null() && *v != "") {
            endpoint[field] = value.clone();
        }
    }
    endpoint
}

fn labels(endpoints: &Item) -> Value {
    let theirs = endpoints.labels().into_iter().flat_map(Labels::iter);
    let mut labels: Map<String, Value> = theirs.map(|(key, value)| (key.to_owned(), json!(value))).collect();
    labels.insert(SERVICE_NAME.to_owned(), json!(endpoints.name()));
    labels.insert(MANAGED_BY.to_owned(), json!(MANAGER));
    Value::Object(labels)
}

fn annotations(endpoints: &Item) -> Map<String, Value> {
    let mut annotations = endpoints.object().at(&["metadata", "annotations"]).and_then(Value::as_object).cloned().unwrap_or_default();
    OWN.iter().for_each(|own| drop(annotations.remove(*own)));
    annotations
}

fn change(slice: &Item, endpoints: &Item, wanted: Vec<Value>, plan: &mut Plan) {
    let mut patch = Map::new();
    if slice.object().list_at(&["endpoints"]) != wanted {
        patch.insert("endpoints".to_owned(), Value::Array(wanted));
    }
    let mut metadata = Map::new();
    if let Some(labels) = label_patch(slice, &labels(endpoints)) {
        metadata.insert("labels".to_owned(), labels);
    }
    let shown = slice.object().at(&["metadata", "annotations"]).and_then(Value::as_object).into_iter().flatten();
    if let Some(annotations) = map_patch(shown.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))), annotations(endpoints)) {
        metadata.insert("annotations".to_owned(), annotations);
    }
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if !patch.is_empty() {
        plan.merge_as_seen(slice, "", Value::Object(patch));
    }
}

fn made(endpoints: &Item, family: &str, wanted: Wanted) -> Object {
    let mut slice = slice(endpoints, labels(endpoints), family, wanted.ports, wanted.endpoints);
    slice.set(&["metadata", "annotations"], Value::Object(annotations(endpoints)));
    slice
}
