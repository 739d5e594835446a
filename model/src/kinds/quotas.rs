//! ResourceQuotas and LimitRanges.
use super::fields::{Checks, fill, items, keep, list, map, map_mut, text};
use super::pod::COUNTED;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fmt::Display;

const SCOPES: [&str; 7] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass"];
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
/// What else than resources of containers can be counted.
const COUNTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// The rules of ResourceQuotas.
pub static QUOTA: ResourceQuota = ResourceQuota;
/// The rules of LimitRanges.
pub static LIMITS: LimitRange = LimitRange;

/// The rules of ResourceQuotas.
pub struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn prepare_create(&self, quota: &mut Object) {
        quota.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, quota: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = quota.at(&["spec"]).unwrap_or(&Value::Null);
        amounts(&mut checks, &"spec.hard", map(spec, "hard"));
        let scopes: HashSet<&str> = list(spec, "scopes").iter().filter_map(Value::as_str).collect();
        for scope in &scopes {
            if !SCOPES.contains(scope) {
                checks.add(Cause::invalid("spec.scopes", &spec["scopes"], "unsupported scope"));
            }
        }
        if OPPOSITES.iter().any(|[a, b]| scopes.contains(a) && scopes.contains(b)) {
            checks.add(Cause::invalid("spec.scopes", &spec["scopes"], "conflicting scopes"));
        }
        let selector = spec.get("scopeSelector").unwrap_or(&Value::Null);
        for (path, requirement) in items(selector, &"spec.scopeSelector", "matchExpressions") {
            let (scope, operator, values) = (text(requirement, "scopeName"), text(requirement, "operator"), list(requirement, "values"));
            if !SCOPES.contains(&scope) {
                checks.add(Cause::invalid(format_args!("{path}.scopeName"), &scope.into(), "unsupported scope"));
            }
            match operator {
                "In" | "NotIn" if values.is_empty() => {
                    checks.required(format_args!("{path}.values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    let why = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector";
                    checks.add(Cause::invalid(format_args!("{path}.values"), &requirement["values"], why));
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
            }
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let set = |o: &Object| o.list_at(&["spec", "scopes"]).iter().map(ToString::to_string).collect::<HashSet<_>>();
        if set(new) != set(old) {
            checks.add(Cause::invalid("spec.scopes", new.at(&["spec", "scopes"]).unwrap_or(&Value::Null), "field is immutable"));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for key in ["hard", "used"] {
            amounts(&mut checks, &format_args!("status.{key}"), new.at(&["status", key]).and_then(Value::as_object));
        }
        checks.0
    }
}

/// Amounts by resource: known names, none negative, and whole where things are counted.
fn amounts(checks: &mut Checks, path: &dyn Display, amounts: Option<&Map<String, Value>>) {
    for (name, amount) in amounts.into_iter().flatten() {
        let at = format!("{path}[{name}]");
        let errors = names::qualified_name(name);
        if errors.is_empty() && !name.contains('/') && !is_standard(name) {
            checks.add(Cause::invalid(&at, &name.as_str().into(), "must be a standard resource for quota"));
        }
        checks.all(&at, name, errors);
        let Some(quantity) = checks.amount(&at, amount) else { continue };
        let counted = COUNTS.contains(&name.as_str()) || name.starts_with("count/");
        if counted && !quantity.is_integer() {
            checks.add(Cause::invalid(&at, amount, "must be an integer"));
        }
    }
}

fn is_standard(name: &str) -> bool {
    let resource = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    matches!(resource, "cpu" | "memory" | "ephemeral-storage" | "storage")
        || resource.starts_with("hugepages-")
        || COUNTS.contains(&name)
        || COUNTED.contains(&name)
}

/// The rules of LimitRanges.
pub struct LimitRange;

impl Strategy for LimitRange {
    fn default(&self, range: &mut Object) {
        let Some(limits) = range.at_mut(&["spec", "limits"]).and_then(Value::as_array_mut) else { return };
        for limit in limits.iter_mut().filter(|l| text(l, "type") == "Container") {
            // what is asked for by default is the limit, and the limit the maximum, where nothing else is said
            for (key, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
                let given = map(limit, from).cloned().unwrap_or_default();
                if given.is_empty() {
                    continue;
                }
                if let Some(amounts) = map_mut(limit, key) {
                    given.into_iter().for_each(|(resource, amount)| fill(amounts, &resource, amount));
                }
            }
        }
    }
    fn validate(&self, range: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut types = HashSet::new();
        for (path, limit) in items(range.at(&["spec"]).unwrap_or(&Value::Null), &"spec", "limits") {
            let kind = text(limit, "type");
            checks.one_of(format_args!("{path}.type"), kind, &["Container", "PersistentVolumeClaim", "Pod"]);
            checks.unique(format_args!("{path}.type"), &kind.into(), &mut types);
            for key in ["default", "defaultRequest"] {
                if limit.get(key).is_some() && kind == "Pod" {
                    checks.add(Cause::forbidden(format_args!("{path}.{key}"), "may not be specified when `type` is 'Pod'"));
                }
            }
            if kind == "PersistentVolumeClaim" && limit.pointer("/min/storage").is_none() && limit.pointer("/max/storage").is_none() {
                checks.required(format_args!("{path}.limits"), "either minimum or maximum storage value is required, but neither was provided");
            }
            ordered(&mut checks, &path, limit);
        }
        checks.0
    }
}

/// Least, default and largest amounts are in this order.
fn ordered(checks: &mut Checks, path: &dyn Display, limit: &Value) {
    let amount = |key: &str, resource: &str| limit[key].get(resource).and_then(|v| Quantity::from_json(v).ok());
    let resources: HashSet<&String> =
        ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"].iter().filter_map(|k| map(limit, k)).flat_map(Map::keys).collect();
    let words = [("min", "min"), ("max", "max"), ("default", "default"), ("defaultRequest", "default request")];
    for resource in resources {
        let pairs = [
            ("min", "max", "min"),
            ("min", "defaultRequest", "defaultRequest"),
            ("defaultRequest", "max", "defaultRequest"),
            ("defaultRequest", "default", "defaultRequest"),
            ("min", "default", "default"),
            ("default", "max", "default"),
        ];
        for (less, more, at) in pairs {
            if let (Some(a), Some(b)) = (amount(less, resource), amount(more, resource))
                && a > b
            {
                let word = |key: &str| words.iter().find(|(k, _)| *k == key).map_or("", |(_, w)| w);
                let (l, m) = (&limit[less][resource], &limit[more][resource]);
                let (l, m) = (l.as_str().unwrap_or_default(), m.as_str().unwrap_or_default());
                let why = format!("{} value {l} is greater than {} value {m}", word(less), word(more));
                checks.add(Cause::invalid(format_args!("{path}.{at}[{resource}]"), &limit[at][resource], why));
            }
        }
        if let Some(ratio) = amount("maxLimitRequestRatio", resource)
            && ratio < Quantity::from_value(1)
        {
            let at = format!("{path}.maxLimitRequestRatio[{resource}]");
            checks.add(Cause::invalid(
                at,
                &limit["maxLimitRequestRatio"][resource],
                format!("ratio {} is less than 1", limit["maxLimitRequestRatio"][resource].as_str().unwrap_or_default()),
            ));
        }
    }
}
