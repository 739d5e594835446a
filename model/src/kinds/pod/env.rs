//! Environment variables and where they come from.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, text};
use crate::names;
use crate::quantity::Quantity;
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
/// Fields that exist, but that neither variables nor files all show.
const KNOWN: [&str; 5] = ["metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"];
const RESOURCES: [&str; 6] = ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

/// `env` and `envFrom` of a container at `path`. Of `envFrom` Kubernetes names the whole list where sources are missing or too many.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, container: &Value) {
    for (path, env) in items(container, path, "env") {
        checks.name(format_args!("{path}.name"), text(env, "name"), names::env_name);
        if let Some(from) = env.get("valueFrom") {
            value_from(checks, &format_args!("{path}.valueFrom"), from, !text(env, "value").is_empty());
        }
    }
    for (at, from) in items(container, path, "envFrom") {
        checks.optional_name(format_args!("{at}.prefix"), text(from, "prefix"), names::env_name);
        let given: Vec<(&str, &Value)> = ["configMapRef", "secretRef"].into_iter().filter_map(|k| from.get(k).map(|r| (k, r))).collect();
        for (kind, reference) in &given {
            checks.name(format_args!("{at}.{kind}.name"), text(reference, "name"), names::dns_subdomain);
        }
        let why = match given.len() {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        checks.add(Cause::invalid(format_args!("{path}.envFrom"), &"".into(), why));
    }
}

fn value_from(checks: &mut Checks, path: &dyn Display, from: &Value, has_value: bool) {
    if let Some(field) = from.get("fieldRef") {
        field_ref(checks, &format_args!("{path}.fieldRef"), field, &FIELDS);
    }
    if let Some(resource) = from.get("resourceFieldRef") {
        resource_ref(checks, &format_args!("{path}.resourceFieldRef"), resource, false);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = from.get(key) {
            let name = text(reference, "name");
            checks.all(format_args!("{path}.{key}.name"), name, names::dns_subdomain(name));
            checks.name(format_args!("{path}.{key}.key"), text(reference, "key"), names::config_key);
        }
    }
    let why = match SOURCES.into_iter().filter(|k| from.get(*k).is_some()).count() {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if has_value => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    checks.add(Cause::invalid(path, &"".into(), why));
}

/// A `fieldRef`: one of `supported`, or a single label or annotation.
pub(super) fn field_ref(checks: &mut Checks, path: &dyn Display, reference: &Value, supported: &[&str]) {
    let (version, field) = (text(reference, "apiVersion"), text(reference, "fieldPath"));
    if version.is_empty() {
        return checks.required(format_args!("{path}.apiVersion"), "");
    }
    let at = format_args!("{path}.fieldPath");
    let subscript = field.strip_suffix("']").and_then(|f| f.split_once("['")).filter(|(of, _)| !of.is_empty());
    let why = match (version, subscript) {
        _ if field.is_empty() => return checks.required(at, ""),
        ("v1", Some(("metadata.labels", key))) => return checks.all(path, key, names::qualified_name(key)),
        ("v1", Some(("metadata.annotations", key))) => {
            let key = key.to_lowercase();
            return checks.all(path, &key, names::qualified_name(&key));
        }
        ("v1", Some(_)) => format!("field label does not support subscript: {field}"),
        ("v1", None) if FIELDS.contains(&field) || KNOWN.contains(&field) => return checks.one_of(at, field, supported),
        ("v1", None) => format!("field label not supported: {field}"),
        (other, _) => format!("unsupported pod version: {other}"),
    };
    checks.add(Cause::invalid(at, &field.into(), format!("error converting fieldPath: {why}")));
}

/// A `resourceFieldRef`, of a file or of a variable.
pub(super) fn resource_ref(checks: &mut Checks, path: &dyn Display, reference: &Value, file: bool) {
    let resource = text(reference, "resource");
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if file && text(reference, "containerName").is_empty() {
        checks.required(format_args!("{path}.containerName"), "");
    } else if !huge {
        checks.one_of(format_args!("{path}.resource"), resource, &RESOURCES);
    }
    let Some(divisor) = reference.get("divisor").and_then(|d| Quantity::from_json(d).ok()).filter(|d| !d.is_zero()) else { return };
    let (of, divisors) = match resource.split_once('.') {
        Some((_, "cpu")) => ("cpu", "1m and 1"),
        Some((_, "memory")) => ("memory", BYTES),
        Some((_, "ephemeral-storage")) => ("local ephemeral storage", BYTES),
        _ if huge => ("hugepages", BYTES),
        _ => return,
    };
    let divisor = divisor.to_string();
    if !divisors.split(", ").flat_map(|d| d.split(" and ")).any(|d| d == divisor) {
        let why = format!("only divisor's values {divisors} are supported with the {of} resource");
        checks.add(Cause::invalid(format_args!("{path}.divisor"), &resource.into(), why));
    }
}

/// What amounts of bytes may be divided by.
const BYTES: &str = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
