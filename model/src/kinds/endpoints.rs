//! Endpoints and EndpointSlices.
use super::fields::{Checks, fill, int, items, items_mut, list, text, top_items};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most endpoints of one slice.
const MAX_ENDPOINTS: usize = 1000;

/// The rules of Endpoints.
pub static ENDPOINTS: Endpoints = Endpoints;
/// The rules of EndpointSlices.
pub static SLICE: Slice = Slice;

/// The rules of Endpoints.
pub struct Endpoints;
/// The rules of EndpointSlices.
pub struct Slice;

const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

impl Strategy for Endpoints {
    fn create_on_update(&self) -> bool {
        true
    }
    fn default(&self, endpoints: &mut Object) {
        if let Some(Value::Array(subsets)) = endpoints.0.get_mut("subsets") {
            subsets.iter_mut().flat_map(|s| items_mut(s, "ports")).for_each(|p| fill(p, "protocol", "TCP"));
        }
    }
    fn validate(&self, endpoints: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for (path, subset) in top_items(endpoints, "subsets") {
            if list(subset, "addresses").is_empty() && list(subset, "notReadyAddresses").is_empty() {
                checks.required(&path, "must specify `addresses` or `notReadyAddresses`");
            }
            for (path, address) in items(subset, &path, "addresses").chain(items(subset, &path, "notReadyAddresses")) {
                let ip = text(address, "ip");
                if ip.parse::<IpAddr>().is_err() {
                    checks.add(Cause::invalid(format_args!("{path}.ip"), &ip.into(), IP));
                }
            }
            for (path, port) in items(subset, &path, "ports") {
                checks.port(format_args!("{path}.port"), int(port, "port").unwrap_or_default());
                checks.one_of(format_args!("{path}.protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
            }
        }
        checks.0
    }
}

impl Strategy for Slice {
    fn default(&self, slice: &mut Object) {
        if let Some(Value::Array(ports)) = slice.0.get_mut("ports") {
            for port in ports {
                if let Some(map) = port.as_object_mut() {
                    map.entry("name").or_insert_with(|| "".into());
                }
                fill(port, "protocol", "TCP");
            }
        }
        slice.0.entry("endpoints").or_insert(Value::Null);
    }
    fn validate(&self, slice: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let kind = slice.str_at(&["addressType"]);
        checks.one_of("addressType", kind, &["FQDN", "IPv4", "IPv6"]);
        let count = slice.list_at(&["endpoints"]).len();
        if count > MAX_ENDPOINTS {
            checks.add(Cause::too_many("endpoints", count, MAX_ENDPOINTS));
        }
        for (path, endpoint) in top_items(slice, "endpoints") {
            if list(endpoint, "addresses").is_empty() {
                checks.required(format_args!("{path}.addresses"), "must contain at least 1 address");
            }
            for (i, address) in list(endpoint, "addresses").iter().filter_map(Value::as_str).enumerate() {
                checks.all(format_args!("{path}.addresses[{i}]"), address, address_errors(kind, address));
            }
        }
        let mut seen = HashSet::new();
        for (path, port) in top_items(slice, "ports") {
            checks.unique(format_args!("{path}.name"), &text(port, "name").into(), &mut seen);
            checks.one_of(format_args!("{path}.protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
            if let Some(number) = int(port, "port") {
                checks.port(format_args!("{path}.port"), number);
            }
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("addressType", new.at(&["addressType"]), old.at(&["addressType"]));
        checks.0
    }
}

fn address_errors(kind: &str, address: &str) -> Vec<String> {
    let valid = match kind {
        "IPv4" => address.parse::<Ipv4Addr>().is_ok(),
        "IPv6" => address.parse::<Ipv6Addr>().is_ok(),
        "FQDN" => return names::dns_subdomain(address),
        _ => true,
    };
    if valid { Vec::new() } else { vec![IP.to_owned()] }
}
