//! The status of Services: what a load balancer's owner says of it.
use super::types::balanced;
use crate::error::Cause;
use crate::kinds::fields::{Checks, fill, items, items_mut, list, text};
use crate::object::Object;
use crate::{addresses, names};
use serde_json::Value;
use std::fmt::Display;

const BALANCER: &str = "status.loadBalancer";

fn balancer(service: &Object) -> &Value {
    service.at(&["status", "loadBalancer"]).unwrap_or(&Value::Null)
}

/// A balancer's address is where traffic goes, unless its owner says otherwise.
pub(super) fn default(service: &mut Object) {
    let mut balancer = balancer(service).clone();
    if service.str_at(&["spec", "type"]) != "LoadBalancer" || list(&balancer, "ingress").is_empty() {
        return;
    }
    for ingress in items_mut(&mut balancer, "ingress").filter(|i| !text(i, "ip").is_empty()) {
        fill(ingress, "ipMode", "VIP");
    }
    service.set(&["status", "loadBalancer"], balancer);
}

pub(super) fn validate(checks: &mut Checks, new: &Object, old: &Object) {
    if !new.at(&["spec"]).is_some_and(balanced) {
        if !list(balancer(new), "ingress").is_empty() {
            checks.add(Cause::forbidden(format_args!("{BALANCER}.ingress"), "may only be used when `spec.type` is 'LoadBalancer'"));
        }
        return;
    }
    let before: Vec<&str> = list(balancer(old), "ingress").iter().map(|i| text(i, "ip")).collect();
    for (path, ingress) in items(balancer(new), &BALANCER, "ingress") {
        let ip = text(ingress, "ip");
        if !before.contains(&ip) {
            checks.optional_name(format_args!("{path}.ip"), ip, addresses::ip);
        }
        mode(checks, &format_args!("{path}.ipMode"), ingress.get("ipMode"), ip);
        let hostname = text(ingress, "hostname");
        checks.optional_name(format_args!("{path}.hostname"), hostname, names::dns_subdomain);
        if addresses::parse_loose(hostname).is_some() {
            checks.add(Cause::invalid(format_args!("{path}.hostname"), &hostname.into(), "must be a DNS name, not an IP address"));
        }
    }
}

fn mode(checks: &mut Checks, path: &dyn Display, mode: Option<&Value>, ip: &str) {
    match (mode, ip) {
        (None, "") => {}
        (None, _) => checks.required(path, "must be specified when `ip` is set"),
        (Some(_), "") => checks.add(Cause::forbidden(path, "may not be specified when `ip` is not set")),
        (mode, _) => checks.choice(path, mode, &["Proxy", "VIP"]),
    }
}
