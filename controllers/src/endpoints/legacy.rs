//! Endpoints: one object a Service, at most a thousand addresses.
use super::{Backend, backends, by_ports, label_patch, labels, publishes_unready, selector};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View};
use model::{Key, Object};
use serde_json::{Map, Value, json};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MAX_ADDRESSES: usize = 1000;

/// Keeps the Endpoints of Services with a selector.
pub struct LegacyEndpoints;

impl Controller for LegacyEndpoints {
    fn name(&self) -> &'static str {
        "endpoint-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = super::inputs();
        inputs.push(Input::new(Resource::ENDPOINTS, |_, change| change.item().map(|i| Resource::SERVICES.key(i.namespace(), i.name())).into_iter().collect()));
        inputs
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::ENDPOINTS, Part::Whole, "of Services with a selector")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let existing = view.get(&Resource::ENDPOINTS, &key.namespace, &key.name);
        match (view.at(key), existing) {
            (None, Some(left)) if left.label(MANAGED_BY) == Some(MANAGER) && !left.deleting() => _ = plan.delete(left),
            (Some(service), existing) if !service.deleting() => {
                if let Some(selector) = selector(service) {
                    let backends = backends(view, service, selector);
                    write(service, &backends, existing.map(|e| &**e), &mut plan);
                }
            }
            _ => {}
        }
        plan
    }
}

fn write(service: &Item, backends: &[Backend<'_>], existing: Option<&Item>, plan: &mut Plan) {
    let (subsets, truncated) = subsets(service, backends);
    let labels = labels(service, &[(MANAGED_BY, MANAGER)]);
    let capacity = if truncated { json!("truncated") } else { Value::Null };
    let Some(item) = existing else {
        let mut object = Object::default();
        object.set(&["apiVersion"], "v1");
        object.set(&["kind"], "Endpoints");
        object.set(&["metadata"], json!({"name": service.name(), "namespace": service.namespace(), "labels": labels}));
        if truncated {
            object.set(&["metadata", "annotations", OVER_CAPACITY], capacity);
        }
        object.set(&["subsets"], subsets);
        plan.create(&Resource::ENDPOINTS, object);
        return;
    };
    let mut patch = Map::new();
    if item.object().list_at(&["subsets"]) != subsets {
        patch.insert("subsets".to_owned(), crate::status::list(subsets));
    }
    let mut metadata = Map::new();
    if let Some(labels) = label_patch(item, &labels) {
        metadata.insert("labels".to_owned(), labels);
    }
    if item.object().annotation(OVER_CAPACITY) != capacity.as_str() {
        metadata.insert("annotations".to_owned(), json!({(OVER_CAPACITY): capacity}));
    }
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if !patch.is_empty() {
        plan.merge_as_seen(item, "", Value::Object(patch));
    }
}

/// Ready and other addresses by the ports that they have, and whether some had to be left out.
fn subsets(service: &Item, backends: &[Backend<'_>]) -> (Vec<Value>, bool) {
    let unready = publishes_unready(service);
    let has_ports = !service.object().list_at(&["spec", "ports"]).is_empty();
    let v6 = service.object().list_at(&["spec", "ipFamilies"]).first().is_some_and(|f| f == "IPv6");
    let counted = |b: &&Backend<'_>| b.address(v6).is_some() && (unready || !b.item.deleting()) && (!has_ports || !b.ports.is_empty());
    let mut room = MAX_ADDRESSES;
    let mut truncated = false;
    let mut subsets = Vec::new();
    for (ports, mut group) in by_ports(backends.iter().filter(counted)) {
        // ready ones first, so that they are the last to be left out
        group.sort_by_key(|b| (!b.pod.ready(), b.address(v6).map(str::to_owned)));
        truncated |= group.len() > room;
        group.truncate(room);
        room -= group.len();
        let (ready, waiting): (Vec<_>, Vec<_>) = group.into_iter().partition(|b| unready || b.pod.ready());
        let mut subset = Map::new();
        for (field, members) in [("addresses", ready), ("notReadyAddresses", waiting)] {
            if !members.is_empty() {
                subset.insert(field.to_owned(), members.into_iter().map(|b| address(service, b, v6)).collect());
            }
        }
        if subset.is_empty() {
            continue;
        }
        if !ports.is_empty() {
            subset.insert("ports".to_owned(), ports.into_iter().map(without_empty_name).collect());
        }
        subsets.push(Value::Object(subset));
    }
    (subsets, truncated)
}

fn without_empty_name(mut port: Value) -> Value {
    if let Some(map) = port.as_object_mut().filter(|m| m.get("name").is_some_and(|n| n == "")) {
        map.remove("name");
    }
    port
}

fn address(service: &Item, backend: &Backend<'_>, v6: bool) -> Value {
    let mut address = json!({"ip": backend.address(v6), "targetRef": backend.reference()});
    if !backend.pod.node().is_empty() {
        address["nodeName"] = json!(backend.pod.node());
    }
    if let Some(hostname) = backend.pod.hostname_under(service.name()) {
        address["hostname"] = json!(hostname);
    }
    address
}
