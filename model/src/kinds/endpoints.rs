//! Endpoints.
use super::fields::{Checks, fill, int, items, items_mut, list, text, top_items};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{addresses, names};
use serde_json::Value;
use std::fmt::Display;

/// The rules of Endpoints.
pub static STRATEGY: Endpoints = Endpoints;

/// The rules of Endpoints.
pub struct Endpoints;

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
            for key in ["addresses", "notReadyAddresses"] {
                items(subset, &path, key).for_each(|(path, address)| address_rules(&mut checks, &path, address));
            }
            let many = list(subset, "ports").len() > 1;
            for (path, port) in items(subset, &path, "ports") {
                checks.port(format_args!("{path}.port"), int(port, "port").unwrap_or_default());
                port_rules(&mut checks, &path, port, many);
            }
        }
        checks.0
    }
}

fn address_rules(checks: &mut Checks, path: &dyn Display, address: &Value) {
    let ip = text(address, "ip");
    checks.all(format_args!("{path}.ip"), ip, addresses::ip(ip));
    checks.all(format_args!("{path}.ip"), ip, addresses::endpoint(ip));
    checks.optional_name(format_args!("{path}.hostname"), text(address, "hostname"), names::dns_label);
    if let Some(node) = address.get("nodeName").and_then(Value::as_str) {
        checks.all(format_args!("{path}.nodeName"), node, names::dns_subdomain(node));
    }
}

/// What Endpoints and EndpointSlices say of a port in the same way; it `needs` a name where there are several ports.
pub(super) fn port_rules(checks: &mut Checks, path: &dyn Display, port: &Value, needs: bool) {
    let (path_of, name) = (|key: &str| format!("{path}.{key}"), text(port, "name"));
    if needs {
        checks.name(path_of("name"), name, names::dns_label)
    } else {
        checks.optional_name(path_of("name"), name, names::dns_label)
    }
    checks.one_of(path_of("protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
        checks.all(path_of("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::check;
    use serde_json::json;

    #[test]
    fn subsets() {
        let subset = |subset: Value| json!({ "subsets": [subset] });
        let address = |address: Value| subset(json!({ "addresses": [address] }));
        let port = |port: Value| subset(json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [port]}));
        let ports = |a: &str, b: &str| subset(json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "name": a}, {"port": 2, "name": b}]}));
        check(
            &STRATEGY,
            vec![
                (subset(json!({"notReadyAddresses": [{"ip": "10.0.0.1", "hostname": "a", "nodeName": "n.example"}]})), ""),
                (port(json!({"port": 1, "appProtocol": "http", "name": "a", "protocol": "UDP"})), ""),
                (ports("a", "b"), ""),
                (subset(json!({"ports": [{"port": 80}]})), "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
                (
                    address(json!({"ip": "x"})),
                    "subsets[0].addresses[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff) | subsets[0].addresses[0].ip: Invalid value: \"x\": must be a valid IP address",
                ),
                (address(json!({"ip": "010.0.0.1"})), "subsets[0].addresses[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s"),
                (address(json!({"ip": "127.0.0.1"})), "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range…"),
                (
                    subset(json!({"notReadyAddresses": [{"ip": "169.254.0.1"}]})),
                    "subsets[0].notReadyAddresses[0].ip: Invalid value: \"169.254.0.1\": may not be in the link-local range…",
                ),
                (address(json!({"ip": "1.2.3.4", "hostname": "a.b"})), "subsets[0].addresses[0].hostname: Invalid value: \"a.b\": must not contain dots"),
                (address(json!({"ip": "1.2.3.4", "nodeName": "A"})), "subsets[0].addresses[0].nodeName: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
                (port(json!({"port": 0})), "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
                (port(json!({"port": 1, "name": "A"})), "subsets[0].ports[0].name: Invalid value: \"A\": a lowercase RFC 1123 label…"),
                (
                    port(json!({"port": 1, "protocol": "X"})),
                    "subsets[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                ),
                (port(json!({"port": 1, "appProtocol": "a b"})), "subsets[0].ports[0].appProtocol: Invalid value: \"a b\": name part…"),
                (ports("a", ""), "subsets[0].ports[1].name: Required value"),
            ],
        );
    }
}
