//! What containers ask for and are limited to.
use crate::error::Cause;
use crate::kinds::fields::{Checks, map};
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::fmt::Display;

const HUGE: &str = "hugepages-";
/// Names without a domain that Kubernetes knows, beside those of huge pages and of what is counted.
const STANDARD: [&str; 11] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
/// Those of what is counted in whole numbers.
pub(in crate::kinds) const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// The `resources` of a container at `path`.
pub(in crate::kinds) fn validate(checks: &mut Checks, path: &dyn Display, resources: &Value) {
    let (limits, requests) = (map(resources, "limits"), map(resources, "requests"));
    for (name, limit) in limits.into_iter().flatten() {
        one(checks, &format_args!("{path}.limits[{name}]"), name, limit);
    }
    for (name, request) in requests.into_iter().flatten() {
        one(checks, &format_args!("{path}.requests[{name}]"), name, request);
        let asked = Quantity::from_json(request).ok();
        let limit = limits.and_then(|l| l.get(name)).and_then(|l| Quantity::from_json(l).ok());
        let mut refuse = |asked: Quantity, how: &str, limit: Quantity| {
            let why = format!("must be {how} to {name} limit of {limit}");
            checks.add(Cause::invalid(format_args!("{path}.requests"), &asked.to_string().into(), why));
        };
        match (asked, limit) {
            (Some(asked), Some(limit)) if asked != limit && !may_overcommit(name) => refuse(asked, "equal", limit),
            (Some(asked), Some(limit)) if asked > limit => refuse(asked, "less than or equal", limit),
            (_, None) if !may_overcommit(name) => checks.required(format_args!("{path}.limits"), "Limit must be set for non overcommitable resources"),
            _ => {}
        }
    }
    let mut given = limits.into_iter().chain(requests).flat_map(|m| m.keys());
    let basic = given.clone().any(|name| matches!(name.as_str(), "cpu" | "memory"));
    if !basic && given.any(|name| name.starts_with(HUGE)) {
        checks.add(Cause::forbidden(path, "HugePages require cpu or memory"));
    }
}

fn one(checks: &mut Checks, path: &dyn Display, name: &str, value: &Value) {
    container_name(checks, path, name);
    let Some(amount) = checks.amount(path, value) else { return };
    if is_extended(name) && !amount.is_integer() {
        checks.add(Cause::invalid(path, value, "must be an integer"));
    }
    if let Some(size) = name.strip_prefix(HUGE) {
        let whole = size.parse::<Quantity>().is_ok_and(|s| s.value() > 0 && amount.value() > 0 && amount.value() % s.value() == 0);
        if !whole {
            checks.add(Cause::invalid(path, value, format!("{amount} is not positive integer multiple of {name}")));
        }
    }
}

/// Whether a resource can have this name.
pub(in crate::kinds) fn standard_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    let errors = names::qualified_name(name);
    let known = || name.contains('/') || STANDARD.iter().chain(&COUNTED).any(|known| *known == name) || is_huge(name);
    if errors.is_empty() && !known() {
        checks.add(Cause::invalid(path, &name.into(), "must be a standard resource type or fully qualified"));
    }
    checks.all(path, name, errors);
}

/// Whether a container may ask for a resource of this name.
pub(in crate::kinds) fn container_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    standard_name(checks, path, name);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with(HUGE) {
            checks.add(Cause::invalid(path, &name.into(), "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        checks.add(Cause::invalid(path, &name.into(), "doesn't follow extended resource name standard"));
    }
}

/// Whether it names huge pages, perhaps as quotas do.
pub(crate) fn is_huge(name: &str) -> bool {
    name.strip_prefix("requests.").unwrap_or(name).starts_with(HUGE)
}

/// Whether Kubernetes itself gives the name its meaning.
pub(in crate::kinds) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether somebody else does: a device, counted in whole numbers.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::is_qualified_name(&format!("requests.{name}"))
}

/// Whether more may be used than was asked for.
pub(in crate::kinds) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE)
}
