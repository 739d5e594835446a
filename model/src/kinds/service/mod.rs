//! Services.
mod addresses;
mod ports;
mod rules;
mod status;
mod types;

pub use addresses::address_causes;

use self::types::{balanced, external, has_node_ports, health_checked};
use super::fields::{Checks, fill, fill_number, int, items_mut, keep, list, text, with_field};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::HashSet;

/// The rules of Services.
pub static STRATEGY: Service = Service;

/// The rules of Services.
pub struct Service;

impl Strategy for Service {
    fn create_on_update(&self) -> bool {
        true
    }
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::dns_label(name)
    }
    fn default(&self, service: &mut Object) {
        with_field(service, "spec", defaults);
    }
    fn prepare_create(&self, service: &mut Object) {
        service.set(&["status"], json!({"loadBalancer": {}}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        settle_addresses(new, Some(old));
        let before = old.at(&["spec"]).cloned().unwrap_or_default();
        with_field(new, "spec", |spec| {
            keep_allocated(spec, &before);
            leave_type(spec, &before);
        });
        if new.str_at(&["spec", "type"]) != "LoadBalancer" && old.str_at(&["spec", "type"]) == "LoadBalancer" {
            new.set(&["status", "loadBalancer"], json!({}));
        }
    }
    fn prepare_status(&self, new: &mut Object, _old: &Object) {
        status::default(new);
    }
    fn validate(&self, service: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        rules::validate(&mut checks, service);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = |service: &Object| service.at(&["spec"]).cloned().unwrap_or_default();
        let (after, before) = (spec(new), spec(old));
        addresses::validate_update(&mut checks, &after, &before);
        if balanced(&after) && balanced(&before) && after.get("loadBalancerClass") != before.get("loadBalancerClass") {
            checks.add(Cause::invalid("spec.loadBalancerClass", after.get("loadBalancerClass").unwrap_or(&Value::Null), "may not change once set"));
        }
        let number = |spec: &Value| int(spec, "healthCheckNodePort").unwrap_or_default();
        if health_checked(&after) && health_checked(&before) && number(&after) != number(&before) {
            checks.add(Cause::forbidden("spec.healthCheckNodePort", "field is immutable"));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        status::validate(&mut checks, new, old);
        checks.0
    }
}

/// Brings `clusterIP` and `clusterIPs` together where the client gave or changed only the former.
pub fn settle_addresses(new: &mut Object, old: Option<&Object>) {
    let before = old.and_then(|o| o.at(&["spec"])).cloned().unwrap_or_default();
    with_field(new, "spec", |spec| addresses::settle(spec, &before));
}

/// Whether a Service has a node port at which a load balancer asks for the node's health.
pub fn has_health_check(service: &Object) -> bool {
    service.at(&["spec"]).is_some_and(health_checked)
}

fn defaults(spec: &mut Value) {
    fill(spec, "type", "ClusterIP");
    fill(spec, "sessionAffinity", "None");
    default_affinity(spec);
    for port in items_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        if let Some(number) = int(port, "port").filter(|_| port.get("targetPort").is_none_or(|t| t.is_null() || *t == 0 || t.as_str() == Some(""))) {
            fill(port, "targetPort", number);
            fill_number(port, "targetPort", number);
        }
    }
    addresses::settle(spec, &Value::Null);
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    fill(spec, "internalTrafficPolicy", "Cluster");
    if !list(spec, "clusterIPs").iter().filter_map(Value::as_str).any(addresses::is_v6) {
        fill(spec, "ipFamilies", json!(["IPv4"]));
    }
    fill(spec, "ipFamilyPolicy", "SingleStack");
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || !list(spec, "externalIPs").is_empty() {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// Affinity has a timeout, and nothing has where there is none.
fn default_affinity(spec: &mut Value) {
    let timeout = spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").is_some_and(|t| !t.is_null());
    let (kind, Some(map)) = (text(spec, "sessionAffinity").to_owned(), spec.as_object_mut()) else { return };
    match kind.as_str() {
        "None" => drop(map.remove("sessionAffinityConfig")),
        "ClientIP" if !timeout => drop(map.insert("sessionAffinityConfig".to_owned(), json!({"clientIP": {"timeoutSeconds": 10_800}}))),
        _ => {}
    }
}

/// A client that leaves allocated values out wants to keep them; one that makes it an ExternalName gives them back.
fn keep_allocated(spec: &mut Value, before: &Value) {
    if text(spec, "type") == "ExternalName" {
        return give_back(spec, before);
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

/// What a Service has of addresses goes when it leaves the cluster, unless the client changed it as well: then it is refused.
fn give_back(spec: &mut Value, before: &Value) {
    let same = |spec: &Value, keys: &[&str]| keys.iter().all(|key| spec.get(*key) == before.get(*key));
    for keys in [["clusterIP", "clusterIPs"].as_slice(), &["ipFamilies"], &["ipFamilyPolicy"], &["internalTrafficPolicy"]] {
        if same(spec, keys)
            && let Some(map) = spec.as_object_mut()
        {
            keys.iter().for_each(|key| drop(map.remove(*key)));
        }
    }
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

#[cfg(test)]
mod tests;
