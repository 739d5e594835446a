//! What an object takes, by the names that quotas have for it.
use super::pods;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::resource_list::ResourceList;
use crate::storage;
use serde_json::Value;
use std::collections::BTreeMap;

/// Resources that quotas count by a name of their own as well.
const ALIASES: [&str; 4] = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"];
/// The most devices that one request gets.
const DEVICES_MAX: i64 = 32;
const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";
const DEVICE_CLASS: &str = ".deviceclass.resource.k8s.io/devices";

/// An object and what it takes.
#[derive(Clone, Debug)]
pub struct Taken<'a> {
    /// Its group.
    pub group: &'a str,
    /// Its resource.
    pub resource: &'a str,
    /// The object.
    pub object: &'a Object,
    /// What it takes.
    pub usage: ResourceList,
}

impl<'a> Taken<'a> {
    /// What an object of this resource takes.
    pub fn by(group: &'a str, resource: &'a str, object: &'a Object) -> Self {
        Self { group, resource, object, usage: usage(group, resource, object) }
    }
}

/// Whether quotas count objects of this resource at all: Events never were.
pub fn counts(group: &str, resource: &str) -> bool {
    !(resource == "events" && matches!(group, "" | "events.k8s.io"))
}

/// The group and resource of the objects that take of a resource of this name.
pub fn counted_by(name: &str) -> (&str, &str) {
    match name.strip_prefix("count/") {
        Some(counted) => counted.split_once('.').map_or(("", counted), |(resource, group)| (group, resource)),
        None if name.ends_with(DEVICE_CLASS) => ("resource.k8s.io", "resourceclaims"),
        None if name.contains(STORAGE_CLASS) || matches!(name, "persistentvolumeclaims" | "requests.storage") => ("", "persistentvolumeclaims"),
        None if name == "services" || name.starts_with("services.") => ("", "services"),
        None => ("", ALIASES.iter().find(|alias| **alias == name).copied().unwrap_or("pods")),
    }
}

fn usage(group: &str, resource: &str, object: &Object) -> ResourceList {
    let mut out = ResourceList::default();
    let suffix = if group.is_empty() { String::new() } else { format!(".{group}") };
    out.add_one(&format!("count/{resource}{suffix}"), Quantity::from_value(1));
    match (group, resource) {
        ("", "pods") => pods::add_usage(object, &mut out),
        ("", "services") => add_service(object, &mut out),
        ("", "persistentvolumeclaims") => add_claim(object, &mut out),
        ("resource.k8s.io", "resourceclaims") => add_devices(object, &mut out),
        ("", name) if ALIASES.contains(&name) => out.add_one(name, Quantity::from_value(1)),
        _ => {}
    }
    out
}

fn add_service(service: &Object, out: &mut ResourceList) {
    let ports = service.list_at(&["spec", "ports"]);
    let kind = service.str_at(&["spec", "type"]);
    let allocates = service.at(&["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false));
    let node_ports = match kind {
        "NodePort" => ports.len(),
        "LoadBalancer" if allocates => ports.len(),
        "LoadBalancer" => ports.iter().filter(|port| port["nodePort"].as_i64().is_some_and(|n| n != 0)).count(),
        _ => 0,
    };
    out.add_one("services", Quantity::from_value(1));
    out.add_one("services.nodeports", Quantity::from_value(node_ports as i128));
    out.add_one("services.loadbalancers", Quantity::from_value(i128::from(kind == "LoadBalancer")));
}

fn add_claim(claim: &Object, out: &mut ResourceList) {
    let class = storage::class(claim);
    let amount = |path: &[&str]| claim.at(path).and_then(|q| Quantity::from_json(q).ok());
    let asked = amount(&["spec", "resources", "requests", "storage"]);
    // what a failed expansion has taken counts
    let allocated = amount(&["status", "allocatedResources", "storage"]).filter(|_| asked.is_some());
    let mut add = |name: &str, amount: Quantity| {
        out.add_one(name, amount);
        if !class.is_empty() {
            out.add_one(&format!("{class}{STORAGE_CLASS}{name}"), amount);
        }
    };
    add("persistentvolumeclaims", Quantity::from_value(1));
    if let Some(storage) = asked.max(allocated) {
        let whole = if storage.is_integer() { storage } else { Quantity::from_bytes(storage.value()) };
        add("requests.storage", whole);
    }
}

fn add_devices(claim: &Object, out: &mut ResourceList) {
    let number = |request: &Value| match request["allocationMode"].as_str() {
        Some("All") => DEVICES_MAX,
        _ => request["count"].as_i64().unwrap_or(1),
    };
    for request in claim.list_at(&["spec", "devices", "requests"]) {
        // of alternatives the worst one of each class counts
        let alternatives = request["firstAvailable"].as_array().filter(|all| !all.is_empty());
        let single = [request.get("exactly").unwrap_or(request).clone()];
        let mut most: BTreeMap<&str, i64> = BTreeMap::new();
        for one in alternatives.map_or(&single[..], Vec::as_slice) {
            let class = most.entry(one["deviceClassName"].as_str().unwrap_or_default()).or_default();
            *class = number(one).max(*class);
        }
        for (class, number) in most {
            out.add_one(&format!("{class}{DEVICE_CLASS}"), Quantity::from_value(number.into()));
        }
    }
}
