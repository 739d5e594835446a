//! Where a pod may run: node selector, affinity, tolerations.
use super::selectors::{label_key, label_keys, label_selector, label_values};
use super::spread;
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, map, text};
use crate::{meta, names};
use serde_json::Value;
use std::fmt::Display;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    checks.extend(meta::labels(format_args!("{path}.nodeSelector"), map(spec, "nodeSelector")));
    tolerations(checks, path, spec);
    spread::validate(checks, path, spec);
    if let Some(affinity) = spec.get("affinity") {
        let path = format_args!("{path}.affinity");
        if let Some(node) = affinity.get("nodeAffinity") {
            node_affinity(checks, &format_args!("{path}.nodeAffinity"), node);
        }
        for key in ["podAffinity", "podAntiAffinity"] {
            if let Some(pod) = affinity.get(key) {
                pod_affinity(checks, &format_args!("{path}.{key}"), pod);
            }
        }
    }
}

/// The `tolerations` of a value at `path`.
pub(in crate::kinds) fn tolerations(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    for (path, toleration) in items(spec, path, "tolerations") {
        let (key, operator, value, effect) = (text(toleration, "key"), text(toleration, "operator"), text(toleration, "value"), text(toleration, "effect"));
        checks.optional_name(format_args!("{path}.key"), key, names::qualified_name);
        if key.is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            checks.add(Cause::invalid(format_args!("{path}.operator"), &operator.into(), why));
        }
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            checks.add(Cause::invalid(format_args!("{path}.effect"), &effect.into(), "effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        toleration_value(checks, &format_args!("{path}.operator"), operator, value);
        if !effect.is_empty() {
            checks.one_of(format_args!("{path}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}

/// Kubernetes names the operator where the value is wrong.
fn toleration_value(checks: &mut Checks, path: &dyn Display, operator: &str, value: &str) {
    match operator {
        "" | "Equal" => {
            let errors = names::label_value(value);
            if !errors.is_empty() {
                checks.add(Cause::invalid(path, &value.into(), errors.join(";")));
            }
        }
        "Exists" if !value.is_empty() => checks.add(Cause::invalid(path, &value.into(), "value must be empty when `operator` is 'Exists'")),
        "Exists" => {}
        "Lt" | "Gt" => checks.add(Cause::not_supported(path, &operator.into(), &["Equal", "Exists", "Lt", "Gt"])),
        other => checks.add(Cause::not_supported(path, &other.into(), &["Equal", "Exists"])),
    }
}

fn weight(checks: &mut Checks, path: &dyn Display, preferred: &Value) {
    let weight = int(preferred, "weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        checks.add(Cause::invalid(format_args!("{path}.weight"), &weight.into(), "must be in the range 1-100"));
    }
}

fn node_affinity(checks: &mut Checks, path: &dyn Display, affinity: &Value) {
    if let Some(required) = affinity.get(REQUIRED) {
        node_selector(checks, &format_args!("{path}.{REQUIRED}"), required);
    }
    for (path, preferred) in items(affinity, path, PREFERRED) {
        weight(checks, &path, preferred);
        if let Some(term) = preferred.get("preference") {
            node_term(checks, &format_args!("{path}.preference"), term, false);
        }
    }
}

/// Which nodes will do.
pub(in crate::kinds) fn node_selector(checks: &mut Checks, path: &dyn Display, selector: &Value) {
    if list(selector, "nodeSelectorTerms").is_empty() {
        checks.required(format_args!("{path}.nodeSelectorTerms"), "must have at least one node selector term");
    }
    items(selector, path, "nodeSelectorTerms").for_each(|(path, term)| node_term(checks, &path, term, true));
}

/// What is only preferred may name values that no label has.
fn node_term(checks: &mut Checks, path: &dyn Display, term: &Value, required: bool) {
    for (path, expression) in items(term, path, "matchExpressions") {
        let count = list(expression, "values").len();
        match text(expression, "operator") {
            "In" | "NotIn" if count == 0 => checks.required(format_args!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"),
            "Exists" | "DoesNotExist" if count > 0 => {
                checks.add(Cause::forbidden(format_args!("{path}.values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "Gt" | "Lt" if count != 1 => checks.required(format_args!("{path}.values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
        }
        label_key(checks, &format_args!("{path}.key"), text(expression, "key"));
        if required {
            label_values(checks, &path, expression);
        }
    }
    for (path, expression) in items(term, path, "matchFields") {
        node_field(checks, &path, expression);
    }
}

/// Of a node's fields only its name can be asked for.
fn node_field(checks: &mut Checks, path: &dyn Display, expression: &Value) {
    let (key, operator, values) = (text(expression, "key"), text(expression, "operator"), list(expression, "values"));
    match operator {
        "In" | "NotIn" if values.len() != 1 => {
            checks.required(format_args!("{path}.values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        }
        "In" | "NotIn" => {}
        other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
    }
    if key != "metadata.name" {
        return checks.add(Cause::invalid(format_args!("{path}.key"), &key.into(), "not a valid field selector key"));
    }
    for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
        checks.all(format_args!("{path}.values[{i}]"), value, names::dns_subdomain(value));
    }
}

fn pod_affinity(checks: &mut Checks, path: &dyn Display, affinity: &Value) {
    for (path, required) in items(affinity, path, REQUIRED) {
        pod_term(checks, &path, required);
    }
    for (path, preferred) in items(affinity, path, PREFERRED) {
        weight(checks, &path, preferred);
        pod_term(checks, &format_args!("{path}.podAffinityTerm"), preferred.get("podAffinityTerm").unwrap_or(&Value::Null));
    }
}

/// Kubernetes names namespaces without their indices.
fn pod_term(checks: &mut Checks, path: &dyn Display, term: &Value) {
    label_selector(checks, path, term, "labelSelector");
    label_selector(checks, path, term, "namespaceSelector");
    for name in list(term, "namespaces").iter().filter_map(Value::as_str) {
        checks.all(format_args!("{path}.namespace"), name, names::dns_label(name));
    }
    label_keys(checks, path, term);
    let key = text(term, "topologyKey");
    if key.is_empty() {
        checks.required(format_args!("{path}.topologyKey"), "can not be empty");
    }
    label_key(checks, &format_args!("{path}.topologyKey"), key);
}
