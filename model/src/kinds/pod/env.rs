//! Environment variables and where they come from.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, text};
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// Fields that a variable may show, beside single labels and annotations.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];

pub(super) fn validate(checks: &mut Checks, path: &dyn Display, container: &Value) {
    for (path, env) in items(container, path, "env") {
        checks.name(format_args!("{path}.name"), text(env, "name"), names::env_name);
        if let Some(from) = env.get("valueFrom") {
            value_from(checks, &format_args!("{path}.valueFrom"), from, !text(env, "value").is_empty());
        }
    }
    for (path, from) in items(container, path, "envFrom") {
        checks.optional_name(format_args!("{path}.prefix"), text(from, "prefix"), names::env_name);
        let given: Vec<&str> = ["configMapRef", "secretRef"].into_iter().filter(|k| from.get(*k).is_some()).collect();
        match given.as_slice() {
            [] => checks.add(Cause::invalid(path, &"".into(), "must specify one of: `configMapRef` or `secretRef`")),
            [one] => {
                let name = from.get(*one).map(|r| text(r, "name")).unwrap_or_default();
                checks.name(format_args!("{path}.{one}.name"), name, names::dns_subdomain);
            }
            _ => checks.add(Cause::invalid(path, &"".into(), "may not have more than one field specified at a time")),
        }
    }
}

fn value_from(checks: &mut Checks, path: &dyn Display, from: &Value, has_value: bool) {
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let given: Vec<&str> = sources.into_iter().filter(|k| from.get(*k).is_some()).collect();
    match given.as_slice() {
        [] => {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
            return checks.add(Cause::invalid(path, &"".into(), why));
        }
        _ if has_value => checks.add(Cause::invalid(path, &"".into(), "may not be specified when `value` is not empty")),
        [_] => {}
        _ => checks.add(Cause::invalid(path, &"".into(), "may not have more than one field specified at a time")),
    }
    if let Some(field) = from.get("fieldRef") {
        field_ref(checks, &format_args!("{path}.fieldRef"), field, &FIELDS);
    }
    if let Some(resource) = from.get("resourceFieldRef") {
        resource_ref(checks, &format_args!("{path}.resourceFieldRef"), resource);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = from.get(key) {
            checks.name(format_args!("{path}.{key}.key"), text(reference, "key"), names::config_key);
        }
    }
}

/// A `fieldRef`: one of `supported`, or a single label or annotation.
pub(super) fn field_ref(checks: &mut Checks, path: &dyn Display, reference: &Value, supported: &[&str]) {
    let field = text(reference, "fieldPath");
    let path = format_args!("{path}.fieldPath");
    match field.strip_suffix("']").and_then(|f| f.split_once("['")) {
        Some(("metadata.labels" | "metadata.annotations", key)) => checks.all(path, field, names::qualified_name(&key.to_lowercase())),
        _ => checks.one_of(path, field, supported),
    }
}

/// A `resourceFieldRef`.
pub(super) fn resource_ref(checks: &mut Checks, path: &dyn Display, reference: &Value) {
    let resource = text(reference, "resource");
    if !resource.starts_with("limits.hugepages-") && !resource.starts_with("requests.hugepages-") {
        checks.one_of(format_args!("{path}.resource"), resource, &RESOURCES);
    }
}
