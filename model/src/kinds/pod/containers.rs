//! Containers: names, images, ports, and what else they hold.
use super::context::{Owner, Within};
use super::{env, mounts, probes, resources, security};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// The containers of a spec, but for those that are added to a pod later.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, within: &Within<'_>) {
    if list(spec, "containers").is_empty() {
        checks.required(format_args!("{path}.containers"), "");
    }
    let mut names_seen = HashSet::new();
    let mut host_ports = HashSet::new();
    for (path, container) in items(spec, path, "containers") {
        one(checks, &path, container, within, false);
        unique_ports(checks, &path, container, &mut host_ports);
        unique_name(checks, &path, container, &mut names_seen);
    }
    for (path, container) in items(spec, path, "initContainers") {
        one(checks, &path, container, within, true);
        // they run one after the other
        unique_ports(checks, &path, container, &mut HashSet::new());
        unique_name(checks, &path, container, &mut names_seen);
    }
}

fn unique_name(checks: &mut Checks, path: &dyn Display, container: &Value, seen: &mut HashSet<String>) {
    if let Some(name) = container.get("name").filter(|n| n.as_str().is_some_and(|n| !n.is_empty())) {
        checks.unique(format_args!("{path}.name"), name, seen);
    }
}

fn one(checks: &mut Checks, path: &dyn Display, container: &Value, within: &Within<'_>, init: bool) {
    common(checks, path, container, within);
    let restarts = text(container, "restartPolicy");
    checks.choice(format_args!("{path}.restartPolicy"), container.get("restartPolicy"), &["Always", "Never", "OnFailure"]);
    probes::validate(checks, path, container, !init || restarts == "Always", within.grace);
}

/// What holds for containers of each kind.
pub(super) fn common(checks: &mut Checks, path: &dyn Display, container: &Value, within: &Within<'_>) {
    checks.name(format_args!("{path}.name"), text(container, "name"), names::dns_label);
    let image = text(container, "image");
    if image.is_empty() {
        checks.required(format_args!("{path}.image"), "");
    } else if image.trim() != image && within.owner == Owner::Pod {
        checks.add(Cause::invalid(format_args!("{path}.image"), &image.into(), "must not have leading or trailing whitespace"));
    }
    checks.one_of(format_args!("{path}.terminationMessagePolicy"), text(container, "terminationMessagePolicy"), &["File", "FallbackToLogsOnError"]);
    ports(checks, path, container);
    env::validate(checks, path, container);
    mounts::validate(checks, path, container, within);
    checks.one_of(format_args!("{path}.imagePullPolicy"), text(container, "imagePullPolicy"), &["Always", "IfNotPresent", "Never"]);
    resources::validate(checks, &format_args!("{path}.resources"), container.get("resources").unwrap_or(&Value::Null));
    resize_policy(checks, path, container, within);
    security::container(checks, path, container, within.host_users);
}

fn ports(checks: &mut Checks, path: &dyn Display, container: &Value) {
    let mut seen = HashSet::new();
    for (path, port) in items(container, path, "ports") {
        let name = text(port, "name");
        if !name.is_empty() {
            let errors = names::port_name(name);
            if errors.is_empty() {
                checks.unique(format_args!("{path}.name"), &name.into(), &mut seen);
            }
            checks.all(format_args!("{path}.name"), name, errors);
        }
        match int(port, "containerPort").unwrap_or_default() {
            0 => checks.required(format_args!("{path}.containerPort"), ""),
            n => checks.port(format_args!("{path}.containerPort"), n),
        }
        if let Some(host) = int(port, "hostPort").filter(|n| *n != 0) {
            checks.port(format_args!("{path}.hostPort"), host);
        }
        checks.one_of(format_args!("{path}.protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

/// Two of one pod can't have the same port of the node.
fn unique_ports(checks: &mut Checks, path: &dyn Display, container: &Value, seen: &mut HashSet<String>) {
    for (path, port) in items(container, path, "ports") {
        if let Some(host) = int(port, "hostPort").filter(|n| *n != 0) {
            let key = format!("{}/{}/{host}", text(port, "protocol"), text(port, "hostIP"));
            checks.unique(format_args!("{path}.hostPort"), &key.into(), seen);
        }
    }
}

/// Kubernetes names most of these fields without the index.
fn resize_policy(checks: &mut Checks, path: &dyn Display, container: &Value, within: &Within<'_>) {
    let all = format_args!("{path}.resizePolicy");
    let mut seen = HashSet::new();
    for (path, policy) in items(container, path, "resizePolicy") {
        let (resource, restart) = (text(policy, "resourceName"), text(policy, "restartPolicy"));
        checks.unique(path, &resource.into(), &mut seen);
        checks.one_of(all, resource, &["cpu", "memory"]);
        checks.one_of(all, restart, &["NotRequired", "RestartContainer"]);
        if within.never_restarts && restart != "NotRequired" {
            checks.add(Cause::invalid(all, &restart.into(), "must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
        }
    }
}
