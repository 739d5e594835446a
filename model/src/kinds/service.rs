//! Services.
use super::fields::{Checks, fill, fill_number, int, items, items_mut, keep, list, map, text, with_field};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{meta, names};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Display;
use std::net::IpAddr;

/// The rules of Services.
pub static STRATEGY: Service = Service;

/// The rules of Services.
pub struct Service;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

impl Strategy for Service {
    fn create_on_update(&self) -> bool {
        true
    }
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::dns_1035_label(name)
    }
    fn default(&self, service: &mut Object) {
        with_field(service, "spec", defaults);
    }
    fn prepare_create(&self, service: &mut Object) {
        service.set(&["status"], json!({"loadBalancer": {}}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        let before = old.at(&["spec"]).cloned().unwrap_or_default();
        with_field(new, "spec", |spec| {
            keep_allocated(spec, &before);
            leave_type(spec, &before);
        });
        if new.str_at(&["spec", "type"]) != "LoadBalancer" && old.str_at(&["spec", "type"]) == "LoadBalancer" {
            new.set(&["status", "loadBalancer"], json!({}));
        }
    }
    fn validate(&self, service: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        validate(&mut checks, service.at(&["spec"]).unwrap_or(&Value::Null));
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let external = |s: &Object| s.str_at(&["spec", "type"]) == "ExternalName";
        let (after, before) = (new.str_at(&["spec", "clusterIP"]), old.str_at(&["spec", "clusterIP"]));
        if !external(new) && !external(old) && !before.is_empty() && after != before {
            checks.add(Cause::invalid("spec.clusterIPs[0]", &json!([after]), "may not change once set"));
        }
        checks.0
    }
}

fn defaults(spec: &mut Value) {
    fill(spec, "type", "ClusterIP");
    fill(spec, "sessionAffinity", "None");
    if text(spec, "sessionAffinity") == "ClientIP" && spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").is_none() {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    for port in items_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        if let Some(number) = int(port, "port").filter(|_| port.get("targetPort").is_none_or(|t| t.is_null() || *t == 0 || t.as_str() == Some(""))) {
            fill(port, "targetPort", number);
            fill_number(port, "targetPort", number);
        }
    }
    same_address(spec);
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    fill(spec, "internalTrafficPolicy", "Cluster");
    fill(spec, "ipFamilies", json!(["IPv4"]));
    fill(spec, "ipFamilyPolicy", "SingleStack");
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || !list(spec, "externalIPs").is_empty() {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// The old field holds the first of the new one.
fn same_address(spec: &mut Value) {
    let first = list(spec, "clusterIPs").first().and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = text(spec, "clusterIP").to_owned();
    if !one.is_empty() {
        fill(spec, "clusterIPs", json!([one]));
    } else if !first.is_empty() {
        fill(spec, "clusterIP", first);
    }
}

/// A client that leaves allocated values out wants to keep them; one that makes it an ExternalName gives them back.
fn keep_allocated(spec: &mut Value, before: &Value) {
    if text(spec, "type") == "ExternalName" {
        if let Some(map) = spec.as_object_mut() {
            ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"].iter().for_each(|key| drop(map.remove(*key)));
        }
        return;
    }
    if text(spec, "clusterIP").is_empty() {
        for key in ["clusterIP", "clusterIPs"] {
            if let Some(value) = before.get(key) {
                fill(spec, key, value.clone());
            }
        }
    }
    if matches!(text(spec, "type"), "NodePort" | "LoadBalancer") {
        for port in items_mut(spec, "ports").filter(|p| int(p, "nodePort").unwrap_or_default() == 0) {
            let same = |p: &&Value| p.get("port") == port.get("port") && text(p, "protocol") == text(port, "protocol");
            if let Some(number) = list(before, "ports").iter().find(same).and_then(|p| int(p, "nodePort")) {
                fill_number(port, "nodePort", number);
            }
        }
    }
}

/// Whether a Service of this type has node ports.
fn has_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Whether it is reached from outside of the cluster.
fn external(spec: &Value) -> bool {
    has_node_ports(spec) || (text(spec, "type") == "ClusterIP" && !list(spec, "externalIPs").is_empty())
}

fn balanced(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer"
}

fn health_checked(spec: &Value) -> bool {
    balanced(spec) && text(spec, "externalTrafficPolicy") == "Local"
}

/// What only the old type has goes with it, unless the client changed that as well: then it is refused. A client that reads, changes the type and writes
/// sends all of it.
fn leave_type(spec: &mut Value, before: &Value) {
    let numbers = |spec: &Value| -> HashSet<i64> { list(spec, "ports").iter().filter_map(|p| int(p, "nodePort")).filter(|n| *n != 0).collect() };
    if has_node_ports(before) && !has_node_ports(spec) && numbers(spec).is_subset(&numbers(before)) {
        items_mut(spec, "ports").filter_map(Value::as_object_mut).for_each(|port| drop(port.remove("nodePort")));
    }
    type Rule = (&'static str, fn(&Value) -> bool);
    const OWN: [Rule; 4] = [
        ("healthCheckNodePort", health_checked),
        ("allocateLoadBalancerNodePorts", balanced),
        ("loadBalancerClass", balanced),
        ("externalTrafficPolicy", external),
    ];
    for (field, has) in OWN {
        if has(before)
            && !has(spec)
            && spec.get(field) == before.get(field)
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove(field);
        }
    }
}

fn validate(checks: &mut Checks, spec: &Value) {
    let kind = text(spec, "type");
    checks.one_of("spec.type", kind, &TYPES);
    checks.one_of("spec.sessionAffinity", text(spec, "sessionAffinity"), &["ClientIP", "None"]);
    checks.extend(meta::labels("spec.selector", map(spec, "selector")));
    let headless = text(spec, "clusterIP") == "None";
    match kind {
        "ExternalName" => {
            let name = text(spec, "externalName");
            checks.name("spec.externalName", name.strip_suffix('.').unwrap_or(name), names::dns_subdomain);
        }
        "NodePort" | "LoadBalancer" if headless => {
            checks.add(Cause::invalid("spec.clusterIPs[0]", &"None".into(), format!("may not be set to 'None' for {kind} services")))
        }
        _ => {}
    }
    if list(spec, "ports").is_empty() && !headless && kind != "ExternalName" {
        checks.required("spec.ports", "");
    }
    for (path, address) in [("spec.clusterIPs[0]", text(spec, "clusterIP"))].into_iter().filter(|(_, a)| !a.is_empty() && *a != "None") {
        ip(checks, &path, address);
    }
    for (i, address) in list(spec, "externalIPs").iter().filter_map(Value::as_str).enumerate() {
        ip(checks, &format_args!("spec.externalIPs[{i}]"), address);
    }
    for key in ["internalTrafficPolicy", "externalTrafficPolicy"] {
        if !text(spec, key).is_empty() {
            checks.one_of(format_args!("spec.{key}"), text(spec, key), &["Cluster", "Local"]);
        }
    }
    ports(checks, spec, kind);
}

fn ip(checks: &mut Checks, path: &dyn Display, address: &str) {
    if address.parse::<IpAddr>().is_err() {
        checks.add(Cause::invalid(path, &address.into(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    }
}

fn ports(checks: &mut Checks, spec: &Value, kind: &str) {
    let many = list(spec, "ports").len() > 1;
    let (mut names_seen, mut ports_seen, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (path, port) in items(spec, &"spec", "ports") {
        let name = text(port, "name");
        if !name.is_empty() {
            checks.all(format_args!("{path}.name"), name, names::dns_label(name));
            checks.unique(format_args!("{path}.name"), &name.into(), &mut names_seen);
        } else if many {
            checks.required(format_args!("{path}.name"), "");
        }
        checks.port(format_args!("{path}.port"), int(port, "port").unwrap_or_default());
        checks.one_of(format_args!("{path}.protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
        checks.port_or_name(format_args!("{path}.targetPort"), port.get("targetPort"));
        let id = json!({"port": port.get("port"), "protocol": port.get("protocol")});
        checks.unique(&path, &id, &mut ports_seen);
        let Some(node) = int(port, "nodePort").filter(|n| *n != 0) else { continue };
        if matches!(kind, "ClusterIP" | "ExternalName") {
            checks.add(Cause::forbidden(format_args!("{path}.nodePort"), format!("may not be used when `type` is '{kind}'")));
        }
        if !node_ports.insert((node, text(port, "protocol"))) {
            checks.add(Cause::duplicate(format_args!("{path}.nodePort"), &node.into()));
        }
    }
}
