//! EndpointSlices: at most a hundred endpoints each, changed as little as possible.
use super::{Backend, MANAGED_BY, SERVICE_NAME, backends, by_ports, label_patch, labels, publishes_unready, selector, slice};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::Key;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const MANAGER: &str = "endpointslice-controller.k8s.io";
const MAX_ENDPOINTS: usize = 100;

/// Keeps the EndpointSlices of Services with a selector.
pub struct EndpointSlices;

impl Controller for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpoint-slice-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = super::inputs();
        inputs.push(Input::new(Resource::ENDPOINT_SLICES, service_of));
        inputs
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::ENDPOINT_SLICES, Part::Whole, "of Services with a selector")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(service) = view.at(key).filter(|s| !s.deleting()) else { return plan };
        let Some(selector) = selector(service) else { return plan };
        let backends = backends(view, service, selector);
        for (family, v6) in families(service) {
            let existing = view.controlled_by(&Resource::ENDPOINT_SLICES, service.uid());
            let existing = existing.filter(|s| ours(s) && s.object().str_at(&["addressType"]) == family).collect();
            Slicing { view, service, family, v6, existing }.plan(&backends, &mut plan);
        }
        plan
    }
}

fn ours(item: &Item) -> bool {
    item.label(MANAGED_BY) == Some(MANAGER)
}

fn service_of(_: &View, change: ViewChange<'_>) -> Vec<Key> {
    let named = |item: &Item| item.label(SERVICE_NAME).map(|name| Resource::SERVICES.key(item.namespace(), name));
    change.both().filter(|item| ours(item)).filter_map(named).collect()
}

/// The Service's address families: as slices name them, and whether they are IPv6.
fn families(service: &Item) -> Vec<(&'static str, bool)> {
    let families = service.object().list_at(&["spec", "ipFamilies"]);
    let v6 = |f: &Value| f == "IPv6";
    let mut out: Vec<_> = families.iter().map(|f| if v6(f) { ("IPv6", true) } else { ("IPv4", false) }).collect();
    if out.is_empty() {
        out.push(("IPv4", false));
    }
    out
}

/// The slices of one Service and address family.
struct Slicing<'a> {
    view: &'a View,
    service: &'a Item,
    family: &'static str,
    v6: bool,
    existing: Vec<&'a Arc<Item>>,
}

/// What one slice should hold; `item` is the slice that is to hold it, if there is one already.
struct Wanted<'a> {
    item: Option<&'a Arc<Item>>,
    ports: Vec<Value>,
    endpoints: Vec<Value>,
}

impl<'a> Slicing<'a> {
    fn plan(&self, backends: &[Backend<'_>], plan: &mut Plan) {
        let mut wanted = Vec::new();
        for (ports, group) in by_ports(backends.iter().filter(|b| b.address(self.v6).is_some())) {
            let endpoints = group.iter().filter_map(|b| Some((b.item.uid().to_owned(), self.endpoint(b)?))).collect();
            self.fill(ports, endpoints, &mut wanted);
        }
        if wanted.is_empty() {
            wanted.push(Wanted { item: None, ports: Vec::new(), endpoints: Vec::new() });
        }
        let used = |item: &&&Arc<Item>| !wanted.iter().any(|w| w.item.is_some_and(|i| i.key() == item.key()));
        let mut spare = self.existing.iter().filter(used).copied().collect::<Vec<_>>().into_iter();
        // a slice that would go takes the place of one that would be made: readers never see a gap
        for wanted in &mut wanted {
            wanted.item = wanted.item.or_else(|| spare.next());
        }
        for wanted in wanted {
            self.write(wanted, plan);
        }
        spare.for_each(|item| _ = plan.delete(item));
    }

    /// Puts endpoints where they are already, then where there is room, then in new slices.
    fn fill(&self, ports: Vec<Value>, mut endpoints: BTreeMap<String, Value>, wanted: &mut Vec<Wanted<'a>>) {
        let same_ports = |item: &&&Arc<Item>| item.object().list_at(&["ports"]) == ports;
        let mut slices: Vec<Wanted<'a>> = Vec::new();
        for item in self.existing.iter().filter(same_ports) {
            let kept = item.object().list_at(&["endpoints"]).iter().filter_map(|e| endpoints.remove(e["targetRef"]["uid"].as_str()?)).collect();
            slices.push(Wanted { item: Some(item), ports: ports.clone(), endpoints: kept });
        }
        let mut rest = endpoints.into_values();
        for slice in &mut slices {
            let room = MAX_ENDPOINTS.saturating_sub(slice.endpoints.len());
            slice.endpoints.extend(rest.by_ref().take(room));
        }
        slices.retain(|s| !s.endpoints.is_empty());
        wanted.append(&mut slices);
        loop {
            let endpoints: Vec<Value> = rest.by_ref().take(MAX_ENDPOINTS).collect();
            if endpoints.is_empty() {
                return;
            }
            wanted.push(Wanted { item: None, ports: ports.clone(), endpoints });
        }
    }

    fn endpoint(&self, backend: &Backend<'_>) -> Option<Value> {
        let (serving, terminating) = (backend.pod.ready(), backend.item.deleting());
        let ready = publishes_unready(self.service) || (serving && !terminating);
        let mut endpoint = json!({
            "addresses": [backend.address(self.v6)?],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "targetRef": backend.reference(),
        });
        let node = backend.pod.node();
        if !node.is_empty() {
            endpoint["nodeName"] = json!(node);
        }
        if let Some(zone) = self.view.get(&Resource::NODES, "", node).and_then(|n| n.label("topology.kubernetes.io/zone")) {
            endpoint["zone"] = json!(zone);
        }
        if let Some(hostname) = backend.pod.hostname_under(self.service.name()) {
            endpoint["hostname"] = json!(hostname);
        }
        Some(endpoint)
    }

    fn labels(&self) -> Value {
        labels(self.service, &[(SERVICE_NAME, self.service.name()), (MANAGED_BY, MANAGER)])
    }

    fn write(&self, wanted: Wanted<'_>, plan: &mut Plan) {
        let Some(item) = wanted.item else {
            plan.create(&Resource::ENDPOINT_SLICES, slice(self.service, self.labels(), self.family, wanted.ports, wanted.endpoints));
            return;
        };
        let mut patch = Map::new();
        for (field, value) in [("ports", wanted.ports), ("endpoints", wanted.endpoints)] {
            if item.object().list_at(&[field]) != value {
                patch.insert(field.to_owned(), Value::Array(value));
            }
        }
        if let Some(labels) = label_patch(item, &self.labels()) {
            patch.insert("metadata".to_owned(), json!({"labels": labels}));
        }
        if !patch.is_empty() {
            plan.merge_as_seen(item, "", Value::Object(patch));
        }
    }
}
