//! What is refused in a pod's spec.
use super::{containers, placement, unsupported, volumes};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, map, text};
use crate::{meta, names};
use serde_json::Value;
use std::fmt::{self, Display};
use std::net::IpAddr;

/// A workload's template: labels and spec. Its pods are restarted, so only that policy is accepted.
pub(in crate::kinds) fn template(checks: &mut Checks, path: &dyn Display, template: &Value) {
    let labels = template.get("metadata").and_then(|m| map(m, "labels"));
    checks.0.extend(meta::labels(format_args!("{path}.metadata.labels"), labels));
    let empty = Value::Null;
    let pod = template.get("spec").unwrap_or(&empty);
    spec(checks, &format_args!("{path}.spec"), pod);
    let policy = text(pod, "restartPolicy");
    if matches!(policy, "Never" | "OnFailure") {
        checks.add(Cause::not_supported(format_args!("{path}.spec.restartPolicy"), &policy.into(), &["Always"]));
    }
    if pod.get("activeDeadlineSeconds").is_some() {
        checks.add(Cause::forbidden(format_args!("{path}.spec.activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

/// A pod's spec at `path`.
pub(super) fn spec(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let at = |field: &'static str| fmt::from_fn(move |f| write!(f, "{path}.{field}"));
    let volume_names = volumes::validate(checks, path, spec);
    containers::validate(checks, path, spec, &volume_names);
    checks.one_of(at("restartPolicy"), text(spec, "restartPolicy"), &["Always", "OnFailure", "Never"]);
    checks.one_of(at("dnsPolicy"), text(spec, "dnsPolicy"), &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    dns(checks, path, spec);
    checks.not_negative(at("terminationGracePeriodSeconds"), int(spec, "terminationGracePeriodSeconds"));
    if let Some(n) = int(spec, "activeDeadlineSeconds").filter(|n| !(1..=i64::from(i32::MAX)).contains(n)) {
        checks.add(Cause::invalid(at("activeDeadlineSeconds"), &n.into(), "must be between 1 and 2147483647, inclusive"));
    }
    checks.optional_name(at("hostname"), text(spec, "hostname"), names::dns_label);
    checks.optional_name(at("subdomain"), text(spec, "subdomain"), names::dns_label);
    for field in ["nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"] {
        checks.optional_name(at(field), text(spec, field), names::dns_subdomain);
    }
    for (path, alias) in items(spec, path, "hostAliases") {
        ip(checks, &format_args!("{path}.ip"), text(alias, "ip"));
        for (i, name) in list(alias, "hostnames").iter().filter_map(Value::as_str).enumerate() {
            checks.all(format_args!("{path}.hostnames[{i}]"), name, names::dns_subdomain(name));
        }
    }
    if !list(spec, "resourceClaims").is_empty() {
        checks.add(Cause::forbidden(at("resourceClaims"), "dynamic resource allocation is not supported"));
    }
    placement::validate(checks, path, spec);
    unsupported::validate(checks, path, spec);
}

fn ip(checks: &mut Checks, path: &dyn Display, text: &str) {
    if text.parse::<IpAddr>().is_err() {
        checks.add(Cause::invalid(path, &text.into(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    }
}

fn dns(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let config = spec.get("dnsConfig");
    let servers = config.map(|c| list(c, "nameservers")).unwrap_or_default();
    if text(spec, "dnsPolicy") == "None" && servers.is_empty() {
        let path = format_args!("{path}.dnsConfig{}", if config.is_some() { ".nameservers" } else { "" });
        checks.required(path, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
    if servers.len() > 3 {
        checks.add(Cause::invalid(format_args!("{path}.dnsConfig.nameservers"), &servers.to_vec().into(), "must not have more than 3 nameservers"));
    }
    for (i, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        ip(checks, &format_args!("{path}.dnsConfig.nameservers[{i}]"), server);
    }
}
