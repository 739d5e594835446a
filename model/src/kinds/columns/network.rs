//! Services and what is behind them.
use super::{AGE, NAME, NONE, at, labels, list, or_none, some_of, text, wide};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

pub(in crate::kinds) fn service() -> Vec<Column> {
    vec![
        NAME,
        text("Type", "How the service is exposed", |o, _| o.str_at(&["spec", "type"]).into()),
        text("Cluster-IP", "Address inside of the cluster", |o, _| or_none(cluster_ip(o))),
        text("External-IP", "Addresses from outside", |o, _| external(o).into()),
        text("Port(s)", "Ports, with node ports where there are some", |o, _| or_none(ports(o))),
        AGE,
        wide(text("Selector", "Labels of the pods behind it", |o, _| or_none(labels(o.at(&["spec", "selector"]).and_then(Value::as_object))))),
    ]
}

fn cluster_ip(service: &Object) -> String {
    let first = service.list_at(&["spec", "clusterIPs"]).first().and_then(Value::as_str);
    first.unwrap_or_else(|| service.str_at(&["spec", "clusterIP"])).to_owned()
}

fn external(service: &Object) -> String {
    let mut addresses: Vec<String> = service.list_at(&["spec", "externalIPs"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match service.str_at(&["spec", "type"]) {
        "ExternalName" => return service.str_at(&["spec", "externalName"]).to_owned(),
        "LoadBalancer" => {
            let ingress =
                service.list_at(&["status", "loadBalancer", "ingress"]).iter().map(|i| if at(i, "ip").is_empty() { at(i, "hostname") } else { at(i, "ip") });
            addresses = ingress.filter(|a| !a.is_empty()).chain(addresses).collect();
            if addresses.is_empty() {
                return "<pending>".to_owned();
            }
        }
        _ => {}
    }
    if addresses.is_empty() { NONE.to_owned() } else { addresses.join(",") }
}

fn ports(service: &Object) -> String {
    let one = |p: &Value| {
        let number = |key| p.get(key).and_then(Value::as_i64).unwrap_or_default();
        match number("nodePort") {
            0 => format!("{}/{}", number("port"), at(p, "protocol")),
            node => format!("{}:{node}/{}", number("port"), at(p, "protocol")),
        }
    };
    service.list_at(&["spec", "ports"]).iter().map(one).collect::<Vec<_>>().join(",")
}

pub(in crate::kinds) fn endpoints() -> Vec<Column> {
    vec![NAME, text("Endpoints", "Addresses and ports behind the service", |o, _| or_none(some_of(&subsets(o)))), AGE]
}

fn subsets(endpoints: &Object) -> Vec<String> {
    let mut all = Vec::new();
    for subset in endpoints.list_at(&["subsets"]) {
        let addresses = list(subset, "addresses").iter().map(|a| at(a, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses);
            continue;
        }
        for port in ports {
            let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
            all.extend(addresses.clone().map(|ip| if ip.contains(':') { format!("[{ip}]:{number}") } else { format!("{ip}:{number}") }));
        }
    }
    all
}

pub(in crate::kinds) fn endpoint_slice() -> Vec<Column> {
    vec![
        NAME,
        text("AddressType", "IPv4, IPv6 or FQDN", |o, _| o.str_at(&["addressType"]).into()),
        text("Ports", "Ports of the endpoints", |o, _| unset(some_of(&slice_ports(o)))),
        text("Endpoints", "Addresses of the endpoints", |o, _| unset(some_of(&slice_addresses(o)))),
        AGE,
    ]
}

fn unset(text: String) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

fn slice_ports(slice: &Object) -> Vec<String> {
    let one = |p: &Value| match p.get("port").and_then(Value::as_i64) {
        Some(number) => number.to_string(),
        None if !at(p, "name").is_empty() => at(p, "name"),
        None => "*".to_owned(),
    };
    slice.list_at(&["ports"]).iter().map(one).collect()
}

fn slice_addresses(slice: &Object) -> Vec<String> {
    slice.list_at(&["endpoints"]).iter().flat_map(|e| list(e, "addresses")).filter_map(Value::as_str).map(str::to_owned).collect()
}
