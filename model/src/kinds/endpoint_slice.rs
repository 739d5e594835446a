//! EndpointSlices.
use super::endpoints::port_rules;
use super::fields::{Checks, fill, int, list, map, text, top_items};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{addresses, meta, names};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most endpoints of a slice, addresses of an endpoint, ports of a slice, labels of an endpoint's topology, zones or nodes that an endpoint is for.
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

/// The rules of EndpointSlices.
pub static STRATEGY: Slice = Slice;

/// The rules of EndpointSlices.
pub struct Slice;

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
        if within(&mut checks, &"ports", slice.list_at(&["ports"]).len(), MAX_PORTS) {
            ports(&mut checks, slice);
        }
        if within(&mut checks, &"endpoints", slice.list_at(&["endpoints"]).len(), MAX_ENDPOINTS) {
            top_items(slice, "endpoints").for_each(|(path, one)| endpoint(&mut checks, &path, one, kind));
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("addressType", new.at(&["addressType"]), old.at(&["addressType"]));
        checks.0
    }
}

/// Whether there are no more than `max`; more are refused.
fn within(checks: &mut Checks, path: &dyn Display, count: usize, max: usize) -> bool {
    if count > max {
        checks.add(Cause::too_many(path, count, max));
    }
    count <= max
}

fn ports(checks: &mut Checks, slice: &Object) {
    let mut seen = HashSet::new();
    for (path, port) in top_items(slice, "ports") {
        port_rules(checks, &path, port, false);
        checks.unique(format_args!("{path}.name"), &text(port, "name").into(), &mut seen);
        // Kubernetes takes any number; a proxy can send nothing to those out of range
        if let Some(number) = int(port, "port") {
            checks.port(format_args!("{path}.port"), number);
        }
    }
}

fn endpoint(checks: &mut Checks, path: &dyn Display, endpoint: &Value, kind: &str) {
    let all = format!("{path}.addresses");
    let count = list(endpoint, "addresses").len();
    if count == 0 {
        checks.required(&all, "must contain at least 1 address");
    }
    within(checks, &all, count, MAX_ADDRESSES);
    for (i, address) in list(endpoint, "addresses").iter().filter_map(Value::as_str).enumerate() {
        address_rules(checks, &all, i, address, kind);
    }
    if let Some(node) = endpoint.get("nodeName").and_then(Value::as_str) {
        checks.all(format_args!("{path}.nodeName"), node, names::dns_subdomain(node));
    }
    let topology = map(endpoint, "deprecatedTopology");
    within(checks, &format_args!("{path}.deprecatedTopology"), topology.map_or(0, serde_json::Map::len), MAX_TOPOLOGY);
    checks.extend(meta::labels(format_args!("{path}.deprecatedTopology"), topology));
    if let Some(hostname) = endpoint.get("hostname").and_then(Value::as_str) {
        checks.all(format_args!("{path}.hostname"), hostname, names::dns_label(hostname));
    }
    if let Some(given) = endpoint.get("hints") {
        hints(checks, &format_args!("{path}.hints.forZones"), list(given, "forZones"), names::label_value);
        hints(checks, &format_args!("{path}.hints.forNodes"), list(given, "forNodes"), names::dns_subdomain);
    }
}

/// An address that can be read must be of the slice's type, which Kubernetes says of the list, and one that endpoints may have.
fn address_rules(checks: &mut Checks, all: &dyn Display, i: usize, address: &str, kind: &str) {
    let path = format_args!("{all}[{i}]");
    let (form, of_type) = match kind {
        "IPv4" => (addresses::ip(address), address.parse::<Ipv4Addr>().is_ok()),
        "IPv6" => (addresses::canonical_v6(address), address.parse::<Ipv6Addr>().is_ok()),
        "FQDN" => return checks.extend(domain(&path, address)),
        _ => return,
    };
    if !form.is_empty() {
        return checks.all(path, address, form);
    }
    if !of_type {
        checks.add(Cause::invalid(all, &address.into(), format!("must be an {kind} address")));
    }
    checks.all(path, address, addresses::endpoint(address));
}

/// What is wrong with a domain's full name.
fn domain(path: &dyn Display, name: &str) -> Option<Cause> {
    if name.is_empty() {
        return Some(Cause::required(path, ""));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let refuse = |value: &str, errors: Vec<String>| (!errors.is_empty()).then(|| Cause::invalid(path, &value.into(), errors.join(",")));
    let short = || (!name.contains('.')).then(|| Cause::invalid(path, &name.into(), "should be a domain with at least two segments separated by dots"));
    refuse(name, names::dns_subdomain(name)).or_else(short).or_else(|| name.split('.').find_map(|label| refuse(label, names::dns_label(label))))
}

fn hints(checks: &mut Checks, path: &dyn Display, given: &[Value], rule: fn(&str) -> Vec<String>) {
    if !within(checks, path, given.len(), MAX_HINTS) {
        return;
    }
    let mut seen = HashSet::new();
    for (i, name) in given.iter().map(|hint| text(hint, "name")).enumerate() {
        checks.unique(format_args!("{path}[{i}].name"), &name.into(), &mut seen);
        checks.all(format_args!("{path}[{i}].name"), name, rule(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{check, check_change};
    use serde_json::json;

    fn of(kind: &str, endpoint: Value) -> Value {
        json!({"addressType": kind, "endpoints": [endpoint]})
    }
    fn rows(rows: Vec<(Value, &str)>) {
        check(&STRATEGY, rows);
    }

    #[test]
    fn addresses() {
        let address = |kind: &str, address: &str| of(kind, json!({ "addresses": [address] }));
        let first = "endpoints[0].addresses[0]: Invalid value:";
        let many: Vec<String> = (0..101).map(|n| format!("10.0.0.{n}")).collect();
        rows(vec![
            (address("IPv4", "10.0.0.1"), ""),
            (address("IPv6", "2001:db8::1"), ""),
            (address("FQDN", "a.example."), ""),
            (json!({"addressType": "IPv4", "endpoints": null}), ""),
            (json!({"endpoints": null}), "addressType: Required value"),
            (json!({"addressType": "X"}), "addressType: Unsupported value: \"X\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""),
            (of("IPv4", json!({"addresses": []})), "endpoints[0].addresses: Required value: must contain at least 1 address"),
            (of("IPv4", json!({"addresses": many})), "endpoints[0].addresses: Too many: 101: must have at most 100 items"),
            (address("IPv4", "x"), &format!("{first} \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
            (address("IPv4", "01.2.3.4"), &format!("{first} \"01.2.3.4\": must not have leading 0s")),
            (address("IPv4", "2001:db8::1"), "endpoints[0].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address"),
            (address("IPv4", "127.0.0.1"), &format!("{first} \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)")),
            (address("IPv4", "169.254.0.1"), &format!("{first} \"169.254.0.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)")),
            (address("IPv4", "0.0.0.0"), &format!("{first} \"0.0.0.0\": may not be unspecified (0.0.0.0)")),
            (address("IPv4", "224.0.0.1"), &format!("{first} \"224.0.0.1\": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")),
            (address("IPv6", "10.0.0.1"), "endpoints[0].addresses: Invalid value: \"10.0.0.1\": must be an IPv6 address"),
            (address("IPv6", "2001:DB8::1"), &format!("{first} \"2001:DB8::1\": must be in canonical form (\"2001:db8::1\")")),
            (address("IPv6", "::1"), &format!("{first} \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)")),
            (address("FQDN", ""), "endpoints[0].addresses[0]: Required value"),
            (address("FQDN", "a_b.c"), &format!("{first} \"a_b.c\": a lowercase RFC 1123 subdomain…")),
            (address("FQDN", "a."), &format!("{first} \"a\": should be a domain with at least two segments separated by dots")),
            (address("FQDN", &format!("a.{}", "b".repeat(64))), &format!("{first} \"{}\": must be no more than 63 characters", "b".repeat(64))),
        ]);
    }

    #[test]
    fn endpoints() {
        let one = |more: Value| {
            let mut endpoint = json!({"addresses": ["10.0.0.1"]});
            crate::kinds::fixture::merge(&mut endpoint, more);
            of("IPv4", endpoint)
        };
        let zones = |names: &[&str]| one(json!({"hints": {"forZones": names.iter().map(|n| json!({ "name": n })).collect::<Vec<_>>()}}));
        let nodes = |names: &[&str]| one(json!({"hints": {"forNodes": names.iter().map(|n| json!({ "name": n })).collect::<Vec<_>>()}}));
        let topology: serde_json::Map<String, Value> = (0..17).map(|n| (format!("k{n}"), "v".into())).collect();
        let nine = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        rows(vec![
            (one(json!({"nodeName": "n.example", "hostname": "h", "zone": "z", "deprecatedTopology": {"a": "b"}})), ""),
            (zones(&["a", "b"]), ""),
            (nodes(&["a", "b.c"]), ""),
            (one(json!({"nodeName": "A"})), "endpoints[0].nodeName: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            (one(json!({"hostname": ""})), "endpoints[0].hostname: Invalid value: \"\": a lowercase RFC 1123 label…"),
            (one(json!({"deprecatedTopology": {"-": "b"}})), "endpoints[0].deprecatedTopology: Invalid value: \"-\": name part…"),
            (one(json!({ "deprecatedTopology": topology })), "endpoints[0].deprecatedTopology: Too many: 17: must have at most 16 items"),
            (zones(&["a", "a"]), "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\""),
            (zones(&["a b"]), "endpoints[0].hints.forZones[0].name: Invalid value: \"a b\": a valid label must…"),
            (zones(&nine), "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"),
            (nodes(&["a", "a"]), "endpoints[0].hints.forNodes[1].name: Duplicate value: \"a\""),
            (nodes(&["A"]), "endpoints[0].hints.forNodes[0].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            (nodes(&nine), "endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items"),
            (
                json!({"addressType": "IPv4", "endpoints": vec![json!({"addresses": ["10.0.0.1"]}); 1001]}),
                "endpoints: Too many: 1001: must have at most 1000 items",
            ),
        ]);
    }

    #[test]
    fn ports_of_a_slice() {
        let ports = |ports: Value| json!({"addressType": "IPv4", "ports": ports});
        rows(vec![
            (ports(json!([{"name": "a", "port": 1, "appProtocol": "x/y", "protocol": "SCTP"}, {"port": 1}, {"name": "b"}])), ""),
            (ports(json!([{"name": "A"}])), "ports[0].name: Invalid value: \"A\": a lowercase RFC 1123 label…"),
            (ports(json!([{"name": "a"}, {"name": "a"}])), "ports[1].name: Duplicate value: \"a\""),
            (ports(json!([{}, {"name": ""}])), "ports[1].name: Duplicate value: \"\""),
            (ports(json!([{"protocol": "X"}])), "ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\""),
            (ports(json!([{"appProtocol": "a b"}])), "ports[0].appProtocol: Invalid value: \"a b\": name part…"),
            (ports(json!([{"port": 65_536}])), "ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive"),
            (ports(json!(vec![json!({}); 20_001])), "ports: Too many: 20001: must have at most 20000 items"),
        ]);
    }

    #[test]
    fn the_type_stays() {
        let slice = |kind: &str| json!({ "addressType": kind });
        check_change(
            &STRATEGY,
            vec![(slice("IPv4"), slice("IPv4"), ""), (slice("IPv4"), slice("FQDN"), "addressType: Invalid value: \"FQDN\": field is immutable")],
        );
    }
}
