//! ResourceQuotas.
use super::fields::{Checks, keep, list, map, text};
use super::pod;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fmt::Display;

const SCOPES: [&str; 7] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass"];
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
/// What a quota of pods can limit.
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
/// What a quota of claims can limit.
const OF_CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const EXISTS: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

/// The rules of ResourceQuotas.
pub static QUOTA: ResourceQuota = ResourceQuota;

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
        let given = list(spec, "scopes");
        let scopes: Vec<&str> = given.iter().filter_map(Value::as_str).collect();
        let all = || Value::from(given.to_vec());
        for scope in &scopes {
            if !SCOPES.contains(scope) {
                checks.add(Cause::invalid("spec.scopes", &all(), "unsupported scope"));
            }
            for _ in beyond(spec, scope) {
                checks.add(Cause::invalid("spec.scopes", &all(), "unsupported scope applied to resource"));
            }
        }
        conflicts(&mut checks, "spec.scopes", &scopes, spec);
        selector(&mut checks, spec);
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

/// Which resources of a quota's spec a scope has nothing to do with.
fn beyond<'a>(spec: &'a Value, scope: &'a str) -> impl Iterator<Item = &'a String> {
    let concerns = move |name: &&str| match scope {
        "BestEffort" => *name == "pods",
        "VolumeAttributesClass" => OF_CLAIMS.contains(name),
        scope if SCOPES.contains(&scope) => OF_PODS.contains(name),
        _ => true,
    };
    map(spec, "hard").into_iter().flat_map(Map::keys).filter(move |name| is_standard(name) && !concerns(&name.as_str()))
}

fn conflicts(checks: &mut Checks, path: &str, scopes: &[&str], spec: &Value) {
    for _ in OPPOSITES.iter().filter(|[a, b]| scopes.contains(a) && scopes.contains(b)) {
        checks.add(Cause::invalid(path, spec.get("scopes").unwrap_or(&Value::Null), "conflicting scopes"));
    }
}

/// The scopes that a quota selects; Kubernetes doesn't say which of them is meant.
fn selector(checks: &mut Checks, spec: &Value) {
    let Some(selector) = spec.get("scopeSelector") else { return };
    let path = "spec.scopeSelector.matchExpressions";
    let requirements = list(selector, "matchExpressions");
    for requirement in requirements {
        let (scope, operator, values) = (text(requirement, "scopeName"), text(requirement, "operator"), list(requirement, "values"));
        if !SCOPES.contains(&scope) {
            checks.add(Cause::invalid(format_args!("{path}.scopeName"), &scope.into(), "unsupported scope"));
        }
        for _ in beyond(spec, scope) {
            checks.add(Cause::invalid(path, selector, "unsupported scope applied to resource"));
        }
        let whole = SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
        if whole && operator != "Exists" {
            checks.add(Cause::invalid(format_args!("{path}.operator"), &operator.into(), EXISTS));
        }
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                checks.required(format_args!("{path}.values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                checks.add(Cause::invalid(format_args!("{path}.values"), &values.to_vec().into(), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => checks.add(Cause::invalid(format_args!("{path}.operator"), &other.into(), "not a valid selector operator")),
        }
    }
    conflicts(checks, path, &requirements.iter().map(|r| text(r, "scopeName")).collect::<Vec<_>>(), spec);
}

/// Amounts by resource: known names, none negative, and whole where things are counted.
fn amounts(checks: &mut Checks, path: &dyn Display, amounts: Option<&Map<String, Value>>) {
    for (name, amount) in amounts.into_iter().flatten() {
        let at = format_args!("{path}[{name}]");
        pod::standard_name(checks, &at, name);
        if !name.contains('/') && !is_standard(name) {
            checks.add(Cause::invalid(at, &name.as_str().into(), "must be a standard resource for quota"));
        }
        let Some(quantity) = checks.amount(at, amount) else { continue };
        if (pod::COUNTED.contains(&name.as_str()) || pod::is_extended(name)) && !quantity.is_integer() {
            checks.add(Cause::invalid(at, amount, "must be an integer"));
        }
    }
}

/// Whether quotas know a resource.
fn is_standard(name: &str) -> bool {
    let resource = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    matches!(resource, "cpu" | "memory" | "ephemeral-storage") || name == "requests.storage" || pod::is_huge(name) || pod::COUNTED.contains(&name)
}
