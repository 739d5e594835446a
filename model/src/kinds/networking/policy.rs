//! NetworkPolicies: which pods may talk to whom.
use crate::addresses::{cidr, is_wider, parse_cidr};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text, with_field};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

const TYPES: [&str; 2] = ["Ingress", "Egress"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// Rules by direction, with who is on the other side.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

/// The rules of NetworkPolicies.
pub(in crate::kinds) static NETWORK_POLICY: NetworkPolicy = NetworkPolicy;

/// The rules of NetworkPolicies.
pub(in crate::kinds) struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    fn default(&self, policy: &mut Object) {
        // a policy is for what comes in, and for what goes out where it has a rule for that
        if policy.list_at(&["spec", "policyTypes"]).is_empty() {
            let types = if policy.list_at(&["spec", "egress"]).is_empty() { json!(["Ingress"]) } else { json!(TYPES) };
            with_field(policy, "spec", |spec| spec.as_object_mut().into_iter().for_each(|spec| _ = spec.insert("policyTypes".to_owned(), types.clone())));
        }
    }
    fn validate(&self, policy: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = policy.at(&["spec"]).unwrap_or(&Value::Null);
        for (direction, side) in DIRECTIONS {
            for (path, rule) in items(spec, &"spec", direction) {
                items(rule, &path, "ports").for_each(|(path, item)| port(&mut checks, &path, item));
                items(rule, &path, side).for_each(|(path, item)| peer(&mut checks, &path, item));
            }
        }
        types(&mut checks, spec.get("policyTypes").unwrap_or(&Value::Null));
        checks.0
    }
}

fn types(checks: &mut Checks, given: &Value) {
    let types = given.as_array().map_or(&[][..], Vec::as_slice);
    if types.len() > TYPES.len() {
        return checks.add(Cause::invalid("spec.policyTypes", given, "may not specify more than two policyTypes"));
    }
    types.iter().enumerate().for_each(|(i, kind)| checks.choice(format_args!("spec.policyTypes[{i}]"), Some(kind), &TYPES));
}

fn port(checks: &mut Checks, path: &dyn Display, port: &Value) {
    checks.choice(format_args!("{path}.protocol"), port.get("protocol"), &PROTOCOLS);
    let (field, end) = (format!("{path}.endPort"), int(port, "endPort"));
    let mut end_wrong = |why: &str| end.into_iter().for_each(|end| checks.add(Cause::invalid(&field, &end.into(), why)));
    match port.get("port") {
        None => end_wrong("may not be specified when `port` is not specified"),
        Some(Value::String(name)) => {
            end_wrong("may not be specified when `port` is non-numeric");
            checks.all(format_args!("{path}.port"), name, names::port_name(name));
        }
        Some(number) => {
            let number = number.as_i64().unwrap_or_default();
            if end.is_some_and(|end| end < number) {
                end_wrong("must be greater than or equal to `port`");
            }
            checks.port(format_args!("{path}.port"), number);
            end.into_iter().for_each(|end| checks.port(&field, end));
        }
    }
}

fn peer(checks: &mut Checks, path: &dyn Display, peer: &Value) {
    let selected = ["podSelector", "namespaceSelector"].iter().any(|key| peer.get(*key).is_some());
    match peer.get("ipBlock") {
        None if !selected => checks.required(path, "must specify a peer"),
        None => {}
        Some(block) => {
            if selected {
                checks.add(Cause::forbidden(path, "may not specify both ipBlock and another peer"));
            }
            range(checks, &format_args!("{path}.ipBlock"), block);
        }
    }
}

/// A range of addresses, without some of them.
fn range(checks: &mut Checks, path: &dyn Display, block: &Value) {
    let whole = text(block, "cidr");
    checks.optional_name(format_args!("{path}.cidr"), whole, cidr);
    let Some(whole) = parse_cidr(whole) else { return };
    for (i, part) in list(block, "except").iter().filter_map(Value::as_str).enumerate() {
        let path = format_args!("{path}.except[{i}]");
        checks.all(path, part, cidr(part));
        if parse_cidr(part).is_some_and(|part| !is_wider(whole, part)) {
            checks.add(Cause::invalid(path, &part.into(), "must be a strict subset of `cidr`"));
        }
    }
}
