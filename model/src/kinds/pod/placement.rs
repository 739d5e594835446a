//! Where a pod may run: node selector, affinity, tolerations, spread.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, map, text};
use crate::selector::LabelSelector;
use crate::{meta, names};
use serde_json::Value;
use std::fmt::Display;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    checks.0.extend(meta::labels(format_args!("{path}.nodeSelector"), map(spec, "nodeSelector")));
    tolerations(checks, path, spec);
    spread(checks, path, spec);
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

fn tolerations(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    for (path, toleration) in items(spec, path, "tolerations") {
        let (key, operator, value, effect) = (text(toleration, "key"), text(toleration, "operator"), text(toleration, "value"), text(toleration, "effect"));
        checks.optional_name(format_args!("{path}.key"), key, names::qualified_name);
        if key.is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            checks.add(Cause::invalid(format_args!("{path}.operator"), &operator.into(), why));
        }
        match operator {
            "" | "Equal" => checks.all(format_args!("{path}.operator"), value, names::label_value(value)),
            "Exists" if !value.is_empty() => {
                checks.add(Cause::invalid(format_args!("{path}.operator"), toleration, "value must be empty when `operator` is 'Exists'"));
            }
            "Exists" => {}
            other => checks.add(Cause::not_supported(format_args!("{path}.operator"), &other.into(), &["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            checks.one_of(format_args!("{path}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            checks.add(Cause::invalid(format_args!("{path}.effect"), &effect.into(), "effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
    }
}

fn spread(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    for (path, constraint) in items(spec, path, "topologySpreadConstraints") {
        let skew = int(constraint, "maxSkew").unwrap_or_default();
        if skew <= 0 {
            checks.add(Cause::invalid(format_args!("{path}.maxSkew"), &skew.into(), "must be greater than zero"));
        }
        topology_key(checks, &path, constraint);
        checks.one_of(format_args!("{path}.whenUnsatisfiable"), text(constraint, "whenUnsatisfiable"), &["DoNotSchedule", "ScheduleAnyway"]);
        label_selector(checks, &path, constraint);
    }
}

fn topology_key(checks: &mut Checks, path: &dyn Display, value: &Value) {
    let key = text(value, "topologyKey");
    let path = format_args!("{path}.topologyKey");
    if key.is_empty() { checks.required(path, "can not be empty") } else { checks.all(path, key, names::qualified_name(key)) }
}

fn label_selector(checks: &mut Checks, path: &dyn Display, value: &Value) {
    if let Some(selector) = value.get("labelSelector")
        && let Err(e) = LabelSelector::from_json(selector)
    {
        checks.add(Cause::invalid(format_args!("{path}.labelSelector"), selector, e));
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
        let path = format_args!("{path}.{REQUIRED}");
        if list(required, "nodeSelectorTerms").is_empty() {
            checks.required(format_args!("{path}.nodeSelectorTerms"), "must have at least one node selector term");
        }
        items(required, &path, "nodeSelectorTerms").for_each(|(path, term)| node_term(checks, &path, term));
    }
    for (path, preferred) in items(affinity, path, PREFERRED) {
        weight(checks, &path, preferred);
        if let Some(term) = preferred.get("preference") {
            node_term(checks, &format_args!("{path}.preference"), term);
        }
    }
}

fn node_term(checks: &mut Checks, path: &dyn Display, term: &Value) {
    for (path, expression) in items(term, path, "matchExpressions").chain(items(term, path, "matchFields")) {
        let values = list(expression, "values").len();
        match text(expression, "operator") {
            "In" | "NotIn" if values == 0 => checks.required(format_args!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"),
            "Exists" | "DoesNotExist" if values > 0 => {
                checks.add(Cause::forbidden(format_args!("{path}.values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "Gt" | "Lt" if values != 1 => checks.required(format_args!("{path}.values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
        }
        checks.name(format_args!("{path}.key"), text(expression, "key"), names::qualified_name);
    }
}

fn pod_affinity(checks: &mut Checks, path: &dyn Display, affinity: &Value) {
    let mut term = |path: &dyn Display, term: &Value| {
        topology_key(checks, path, term);
        label_selector(checks, path, term);
    };
    for (path, required) in items(affinity, path, REQUIRED) {
        term(&path, required);
    }
    for (path, preferred) in items(affinity, path, PREFERRED) {
        term(&format_args!("{path}.podAffinityTerm"), preferred.get("podAffinityTerm").unwrap_or(&Value::Null));
    }
    for (path, preferred) in items(affinity, path, PREFERRED) {
        weight(checks, &path, preferred);
    }
}
