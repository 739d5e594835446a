//! Sources of volumes that once were drivers within Kubernetes: their fields are still checked.
use super::place::Use;
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, list, map, text};
use crate::names;
use serde_json::Value;
use std::fmt::Display;

const PARTITIONS: std::ops::RangeInclusive<i64> = 0..=255;
const HOSTS: &str = "must be a host:port pair or multiple pairs separated by commas";
const CACHING: [&str; 3] = ["None", "ReadOnly", "ReadWrite"];
const DISK_KINDS: [&str; 3] = ["Dedicated", "Managed", "Shared"];
const MANAGED_URI: &str = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB_URI: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

/// The number of a disk's partition.
pub(super) fn partition(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    if let Some(number) = int(source, "partition").filter(|n| !PARTITIONS.contains(n)) {
        checks.add(Cause::invalid(format_args!("{path}.partition"), &number.into(), "must be between 1 and 255, inclusive"));
    }
}

pub(super) fn glusterfs(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    let path = format_args!("{path}.endpointsNamespace");
    match source.get("endpointsNamespace").and_then(Value::as_str) {
        None => {}
        Some("") => checks.add(Cause::invalid(path, &"".into(), "if the endpointnamespace is set, it must be a valid namespace name")),
        Some(name) => checks.all(path, name, names::dns_label(name)),
    }
}

pub(super) fn flocker(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    let (name, uuid) = (text(source, "datasetName"), text(source, "datasetUUID"));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => checks.required(path, "one of datasetName and datasetUUID is required"),
        (false, false) => checks.add(Cause::invalid(path, &"resource".into(), "datasetName and datasetUUID can not be specified simultaneously")),
        _ => {}
    }
    if name.contains('/') {
        checks.add(Cause::invalid(format_args!("{path}.datasetName"), &name.into(), "must not contain '/'"));
    }
}

pub(super) fn quobyte(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    let registry = text(source, "registry");
    if registry.is_empty() {
        checks.required(format_args!("{path}.registry"), HOSTS);
    } else if text(source, "tenant").len() > 64 {
        checks.required(format_args!("{path}.tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
            checks.add(Cause::invalid(format_args!("{path}.registry"), &registry.into(), HOSTS));
        }
    }
    checks.filled(format_args!("{path}.volume"), text(source, "volume"));
}

/// Whether a text is `host:port`; a host with colons stands in brackets.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']'),
        None => Some(host).filter(|host| !host.contains(':')),
    };
    bare.is_some_and(|host| !host.contains(['[', ']'])) && !port.contains(['[', ']'])
}

/// A reference to a secret in a namespace, where there is one.
pub(super) fn secret(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    if let Some(secret) = source.get("secretRef") {
        for field in ["name", "namespace"] {
            checks.filled(format_args!("{path}.secretRef.{field}"), text(secret, field));
        }
    }
}

pub(super) fn fibre_channel(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    let (targets, ids) = (list(source, "targetWWNs"), list(source, "wwids"));
    let path_of = |field: &'static str| format!("{path}.{field}");
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => checks.required(path_of("targetWWNs"), "must specify either targetWWNs or wwids, but not both"),
        (false, false) => {
            let why = "targetWWNs and wwids can not be specified simultaneously";
            checks.add(Cause::invalid(path_of("targetWWNs"), &targets.to_vec().into(), why));
        }
        _ => {}
    }
    match int(source, "lun") {
        _ if targets.is_empty() => {}
        None => checks.required(path_of("lun"), "lun is required if targetWWNs is specified"),
        Some(number) => unit(checks, &path_of("lun"), number),
    }
}

/// The number of a logical unit.
pub(super) fn unit(checks: &mut Checks, path: &dyn Display, number: i64) {
    if !(0..=255).contains(&number) {
        checks.add(Cause::invalid(path, &number.into(), "must be between 0 and 255, inclusive"));
    }
}

pub(super) fn flex(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    for (key, _) in map(source, "options").into_iter().flatten() {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let why = "kubernetes.io and k8s.io namespaces are reserved";
            checks.add(Cause::invalid(format_args!("{path}.options[{key}]"), &key.as_str().into(), why));
        }
    }
}

pub(super) fn azure_file(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    if source.get("secretNamespace").and_then(Value::as_str) == Some("") {
        checks.required(format_args!("{path}.secretNamespace"), "");
    }
}

pub(super) fn azure_disk(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    checks.choice(format_args!("{path}.cachingMode"), source.get("cachingMode"), &CACHING);
    checks.choice(format_args!("{path}.kind"), source.get("kind"), &DISK_KINDS);
    let uri = text(source, "diskURI");
    let (prefix, form) = match source.get("kind").and_then(Value::as_str) {
        None => return,
        Some("Managed") => ("/subscriptions/", MANAGED_URI),
        Some(_) => ("https://", BLOB_URI),
    };
    if !uri.starts_with(prefix) {
        checks.add(Cause::not_supported(format_args!("{path}.diskURI"), &uri.into(), &[form]));
    }
}

pub(super) fn storage_os(checks: &mut Checks, path: &dyn Display, source: &Value, of: Use<'_>) {
    checks.name(format_args!("{path}.volumeName"), text(source, "volumeName"), names::dns_label);
    checks.optional_name(format_args!("{path}.volumeNamespace"), text(source, "volumeNamespace"), names::dns_label);
    secret(checks, path, source, of);
}
