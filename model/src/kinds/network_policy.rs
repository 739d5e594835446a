//! NetworkPolicies.
use super::fields::{Checks, int, items, list, map, text};
use super::pod::selector_causes;
use crate::addresses;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::fmt::Display;

/// The rules of NetworkPolicies.
pub static STRATEGY: NetworkPolicy = NetworkPolicy;

/// The rules of NetworkPolicies.
pub struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    fn default(&self, policy: &mut Object) {
        if policy.list_at(&["spec", "policyTypes"]).is_empty() && policy.at(&["spec"]).is_some() {
            let egress = !policy.list_at(&["spec", "egress"]).is_empty();
            policy.set(&["spec", "policyTypes"], if egress { vec!["Ingress", "Egress"] } else { vec!["Ingress"] });
        }
        for direction in ["ingress", "egress"] {
            let Some(rules) = policy.at_mut(&["spec", direction]).and_then(Value::as_array_mut) else { continue };
            for port in rules.iter_mut().flat_map(|rule| super::fields::items_mut(rule, "ports")) {
                super::fields::fill(port, "protocol", "TCP");
            }
        }
    }
    fn validate(&self, policy: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = policy.at(&["spec"]).unwrap_or(&Value::Null);
        spec.get("podSelector").into_iter().for_each(|s| checks.extend(selector_causes(&"spec.podSelector", s)));
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for (path, rule) in items(spec, &"spec", direction) {
                for (path, port) in items(rule, &path, "ports") {
                    self::port(&mut checks, &path, port);
                }
                for (path, peer) in items(rule, &path, peers) {
                    self::peer(&mut checks, &path, peer);
                }
            }
        }
        let types = list(spec, "policyTypes");
        if types.len() > 2 {
            checks.add(Cause::invalid("spec.policyTypes", &spec["policyTypes"], "may not specify more than two policyTypes"));
        } else {
            for (i, kind) in types.iter().enumerate() {
                checks.choice(format_args!("spec.policyTypes[{i}]"), Some(kind), &["Egress", "Ingress"]);
            }
        }
        checks.0
    }
}

fn port(checks: &mut Checks, path: &dyn Display, port: &Value) {
    checks.choice(format_args!("{path}.protocol"), port.get("protocol"), &["SCTP", "TCP", "UDP"]);
    match (port.get("port"), int(port, "endPort")) {
        (Some(Value::String(name)), end) => {
            checks.all(format_args!("{path}.port"), name, crate::names::port_name(name));
            if let Some(end) = end {
                checks.add(Cause::invalid(format_args!("{path}.endPort"), &end.into(), "may not be specified when `port` is non-numeric"));
            }
        }
        (Some(number), end) => {
            let number = number.as_i64().unwrap_or_default();
            checks.port(format_args!("{path}.port"), number);
            if let Some(end) = end {
                checks.port(format_args!("{path}.endPort"), end);
                if end < number {
                    checks.add(Cause::invalid(format_args!("{path}.endPort"), &end.into(), "must be greater than or equal to `port`"));
                }
            }
        }
        (None, Some(end)) => checks.add(Cause::invalid(format_args!("{path}.endPort"), &end.into(), "may not be specified when `port` is not specified")),
        (None, None) => {}
    }
}

fn peer(checks: &mut Checks, path: &dyn Display, peer: &Value) {
    let selectors = ["podSelector", "namespaceSelector"].into_iter().filter(|key| peer.get(*key).is_some());
    let count = selectors.clone().count();
    for key in selectors {
        checks.extend(selector_causes(&format_args!("{path}.{key}"), &peer[key]));
    }
    match map(peer, "ipBlock") {
        Some(_) if count > 0 => checks.add(Cause::forbidden(path, "may not specify both ipBlock and another peer")),
        Some(_) => block(checks, &format_args!("{path}.ipBlock"), &peer["ipBlock"]),
        None if count == 0 => checks.required(path, "must specify a peer"),
        None => {}
    }
}

fn block(checks: &mut Checks, path: &dyn Display, block: &Value) {
    let cidr = text(block, "cidr");
    let errors = if cidr.is_empty() { Vec::new() } else { addresses::cidr(cidr) };
    let whole = errors.is_empty();
    checks.all(format_args!("{path}.cidr"), cidr, errors);
    for (i, except) in list(block, "except").iter().enumerate() {
        let (at, text) = (format!("{path}.except[{i}]"), except.as_str().unwrap_or_default());
        let errors = addresses::cidr(text);
        let within = errors.is_empty() && (!whole || addresses::is_within(text, cidr));
        if errors.is_empty() && !within {
            checks.add(Cause::invalid(&at, except, "must be a strict subset of `cidr`"));
        }
        checks.all(&at, text, errors);
    }
}
