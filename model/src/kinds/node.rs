//! Nodes.
use super::fields::{Checks, int, items, keep, list, map, text};
use super::pod::{COUNTED, is_extended};
use crate::error::{Cause, CauseReason};
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{addresses, names};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// The rules of Nodes.
pub static STRATEGY: Node = Node;

/// The rules of Nodes.
pub struct Node;

const POD_CIDRS: &str = "spec.podCIDRs";

impl Strategy for Node {
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn default(&self, node: &mut Object) {
        if let (Some(capacity), None) = (node.at(&["status", "capacity"]).cloned(), node.at(&["status", "allocatable"])) {
            node.set(&["status", "allocatable"], capacity);
        }
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, node: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = node.at(&["spec"]).unwrap_or(&Value::Null);
        taints(&mut checks, spec);
        pod_cidrs(&mut checks, spec);
        status(&mut checks, node);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let before = old.list_at(&["spec", "podCIDRs"]);
        if !before.is_empty() && new.list_at(&["spec", "podCIDRs"]) != before {
            checks.add(Cause::forbidden(POD_CIDRS, "node updates may not change podCIDR except from \"\" to valid"));
        }
        match (old.str_at(&["spec", "providerID"]), new.str_at(&["spec", "providerID"])) {
            ("", _) => {}
            (_, "") => checks.add(Cause::invalid("spec.providerID", &Value::Null, "field cannot be cleared once set")),
            (old, new) if new != old => checks.add(Cause::invalid("spec.providerID", &Value::Null, "field cannot be modified once set")),
            _ => {}
        }
        if new.str_at(&["spec", "externalID"]) != old.str_at(&["spec", "externalID"]) {
            checks.add(Cause::forbidden("spec.externalID", "may not be updated"));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        status(&mut checks, new);
        unique_addresses(&mut checks, new);
        checks.0
    }
}

/// Kubernetes says of taints that they are in the metadata.
fn taints(checks: &mut Checks, spec: &Value) {
    let mut seen = HashSet::new();
    for (path, taint) in items(spec, &"metadata", "taints") {
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        checks.all(format_args!("{path}.key"), key, names::qualified_name(key));
        let errors = names::label_value(value);
        if !errors.is_empty() {
            checks.add(Cause::invalid(format_args!("{path}.value"), &value.into(), errors.join(";")));
        }
        checks.one_of(format_args!("{path}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        if !seen.insert((key, effect)) {
            let added = taint.get("timeAdded").unwrap_or(&Value::Null);
            let text = |text: &str| Value::from(text);
            let shown = format!("{{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":{added}}}", text(key), text(value), text(effect));
            checks.add(duplicate(&path, &format!("{shown}: taints must be unique by key and effect pair")));
        }
    }
}

/// Kubernetes shows a duplicate as it has it in memory.
fn duplicate(path: &dyn Display, shown: &str) -> Cause {
    Cause { reason: CauseReason::FieldValueDuplicate, field: path.to_string(), message: format!("Duplicate value: {shown}") }
}

fn pod_cidrs(checks: &mut Checks, spec: &Value) {
    let cidrs = list(spec, "podCIDRs");
    for (i, cidr) in cidrs.iter().filter_map(Value::as_str).enumerate() {
        checks.all(format_args!("{POD_CIDRS}[{i}]"), cidr, addresses::cidr(cidr));
    }
    let of_v6 = cidrs.iter().filter_map(Value::as_str).filter(|cidr| cidr.contains(':')).count();
    if cidrs.len() > 2 || (cidrs.len() == 2 && of_v6 != 1) {
        checks.add(Cause::invalid(POD_CIDRS, &cidrs.into(), "may specify no more than one CIDR for each IP family"));
    }
}

fn status(checks: &mut Checks, node: &Object) {
    let status = node.at(&["status"]).unwrap_or(&Value::Null);
    for key in ["capacity", "allocatable"] {
        for (resource, amount) in map(status, key).into_iter().flatten() {
            quantity(checks, &format_args!("status.{key}.{resource}"), resource, amount);
        }
    }
    let swap = status.pointer("/nodeInfo/swap").and_then(|swap| int(swap, "capacity"));
    if let Some(capacity) = swap.filter(|n| *n <= 0) {
        checks.add(Cause::invalid("metadata.nodeSwapStatus.capacity", &capacity.into(), "must be greater than 0"));
    }
    features(checks, list(status, "declaredFeatures"));
}

fn quantity(checks: &mut Checks, path: &dyn Display, resource: &str, value: &Value) {
    let amount = checks.amount(path, value);
    if (COUNTED.contains(&resource) || is_extended(resource)) && amount.is_some_and(|amount| !amount.is_integer()) {
        checks.add(Cause::invalid(path, value, "must be an integer"));
    }
}

/// Names of features, in order.
fn features(checks: &mut Checks, features: &[Value]) {
    let path = |i: usize| format!("status.declaredFeatures[{i}]");
    let mut before: Option<&str> = None;
    for (i, name) in features.iter().filter_map(Value::as_str).enumerate() {
        if let Some(why) = feature(name) {
            checks.add(Cause::invalid(path(i), &name.into(), format!("invalid feature name {}: {why}", Value::from(name))));
        }
        match before {
            Some(before) if before == name => checks.add(Cause::duplicate(path(i), &name.into())),
            Some(before) if before > name => checks.add(Cause::invalid(path(i), &name.into(), "list must be sorted alphabetically")),
            _ => {}
        }
        before = Some(name);
    }
}

fn feature(name: &str) -> Option<String> {
    if name.len() > names::SUBDOMAIN_MAX {
        return Some(format!("must be no more than {} characters", names::SUBDOMAIN_MAX));
    }
    let upper = name.starts_with(|c: char| c.is_ascii_uppercase());
    let segment = |s: &str| s.starts_with(|c: char| c.is_ascii_alphabetic()) && s.bytes().all(|b| b.is_ascii_alphanumeric());
    let why = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
    (!upper || !name.split('/').all(segment)).then(|| why.to_owned())
}

fn unique_addresses(checks: &mut Checks, node: &Object) {
    let mut seen = HashSet::new();
    for (i, address) in node.list_at(&["status", "addresses"]).iter().enumerate() {
        let (kind, of) = (text(address, "type"), text(address, "address"));
        if !seen.insert((kind, of)) {
            let shown = format!("{{\"Type\":{},\"Address\":{}}}", Value::from(kind), Value::from(of));
            checks.add(duplicate(&format_args!("status.addresses[{i}]"), &shown));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{check, check_change, check_status};
    use serde_json::json;

    #[test]
    fn specs() {
        let taint = |taint: Value| json!({"spec": {"taints": [taint]}});
        let effects = "supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"";
        let two = |effect: &str| json!({"spec": {"taints": [{"key": "a", "effect": "NoExecute", "value": "1"}, {"key": "a", "effect": effect, "value": "2"}]}});
        let cidrs = |cidrs: Value| json!({"spec": {"podCIDRs": cidrs}});
        check(
            &STRATEGY,
            vec![
                (taint(json!({"key": "a.b/c", "value": "v", "effect": "NoSchedule"})), ""),
                (two("NoSchedule"), ""),
                (taint(json!({"key": "-", "effect": "NoSchedule"})), "metadata.taints[0].key: Invalid value: \"-\": name part…"),
                (taint(json!({"key": "a", "value": "a b", "effect": "NoSchedule"})), "metadata.taints[0].value: Invalid value: \"a b\": a valid label…"),
                (taint(json!({"key": "a"})), "metadata.taints[0].effect: Required value"),
                (taint(json!({"key": "a", "effect": "X"})), &format!("metadata.taints[0].effect: Unsupported value: \"X\": {effects}")),
                (
                    two("NoExecute"),
                    r#"metadata.taints[1]: Duplicate value: {"Key":"a","Value":"2","Effect":"NoExecute","TimeAdded":null}: taints must be unique by key and effect pair"#,
                ),
                (cidrs(json!(["10.0.0.0/24"])), ""),
                (cidrs(json!(["10.0.0.0/24", "2001:db8::/64"])), ""),
                (cidrs(json!(["10.0.0.1/24"])), "spec.podCIDRs[0]: Invalid value: \"10.0.0.1/24\": must not have bits set beyond the prefix length"),
                (
                    cidrs(json!(["10.0.0.0/24", "10.0.1.0/24"])),
                    "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one CIDR for each IP family",
                ),
            ],
        );
    }

    #[test]
    fn changes() {
        let cidrs = |cidrs: Value| json!({"spec": {"podCIDRs": cidrs}});
        let provider = |id: &str| json!({"spec": {"providerID": id}});
        let why = "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid";
        check_change(
            &STRATEGY,
            vec![
                (json!({}), cidrs(json!(["10.0.0.0/24"])), ""),
                (cidrs(json!(["10.0.0.0/24"])), cidrs(json!(["10.0.0.0/24"])), ""),
                (cidrs(json!(["10.0.0.0/24"])), cidrs(json!(["10.0.1.0/24"])), why),
                (cidrs(json!(["10.0.0.0/24"])), json!({}), why),
                (json!({}), provider("a"), ""),
                (provider("a"), provider("a"), ""),
                (provider("a"), provider("b"), "spec.providerID: Invalid value: null: field cannot be modified once set"),
                (provider("a"), json!({}), "spec.providerID: Invalid value: null: field cannot be cleared once set"),
                (json!({}), json!({"spec": {"externalID": "x"}}), "spec.externalID: Forbidden: may not be updated"),
            ],
        );
    }

    #[test]
    fn statuses() {
        let of = |status: Value| json!({ "status": status });
        let features = |features: Value| of(json!({ "declaredFeatures": features }));
        let address = json!({"type": "InternalIP", "address": "10.0.0.1"});
        let rows = vec![
            (
                of(
                    json!({"capacity": {"cpu": "1500m", "pods": "110", "example.com/gpu": 2}, "addresses": [address, {"type": "Hostname", "address": "10.0.0.1"}]}),
                ),
                "",
            ),
            (of(json!({"capacity": {"cpu": "-1"}})), "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0"),
            (of(json!({"allocatable": {"pods": "1500m"}})), "status.allocatable.pods: Invalid value: \"1500m\": must be an integer"),
            (of(json!({"capacity": {"example.com/gpu": "500m"}})), "status.capacity.example.com/gpu: Invalid value: \"500m\": must be an integer"),
            (of(json!({"addresses": [address, address]})), r#"status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}"#),
            (of(json!({"nodeInfo": {"swap": {"capacity": 0}}})), "metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than 0"),
            (features(json!(["A", "B/c"])), ""),
            (features(json!(["a"])), "status.declaredFeatures[0]: Invalid value: \"a\": invalid feature name \"a\": must start with an UpperCamelCase…"),
            (features(json!(["A/"])), "status.declaredFeatures[0]: Invalid value: \"A/\": invalid feature name \"A/\": must start with an UpperCamelCase…"),
            (features(json!(["A", "A"])), "status.declaredFeatures[1]: Duplicate value: \"A\""),
            (features(json!(["B", "A"])), "status.declaredFeatures[1]: Invalid value: \"A\": list must be sorted alphabetically"),
        ];
        check_status(&STRATEGY, rows.into_iter().map(|(new, expected)| (of(json!({})), new, expected)).collect());
    }
}
