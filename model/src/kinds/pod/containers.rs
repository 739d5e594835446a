//! Containers: names, images, ports, mounts, resources.
use super::{env, probes};
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, items, list, text};
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// All containers of a spec. `volumes` are the names that mounts may use.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, volumes: &[String]) {
    if list(spec, "containers").is_empty() {
        checks.required(format_args!("{path}.containers"), "");
    }
    let mut names_seen = Vec::new();
    for key in ["containers", "initContainers"] {
        let mut host_ports = Vec::new();
        for (path, container) in items(spec, path, key) {
            one(checks, &path, container, key == "initContainers", volumes);
            ports(checks, &path, container, flag(spec, "hostNetwork"), &mut host_ports);
            if let Some(name) = container.get("name").filter(|n| n.as_str().is_some_and(|n| !n.is_empty())) {
                checks.unique(format_args!("{path}.name"), name, &mut names_seen);
            }
        }
    }
}

fn one(checks: &mut Checks, path: &dyn Display, container: &Value, init: bool, volumes: &[String]) {
    checks.name(format_args!("{path}.name"), text(container, "name"), names::dns_label);
    let image = text(container, "image");
    if image.is_empty() {
        checks.required(format_args!("{path}.image"), "");
    } else if image.trim() != image {
        checks.add(Cause::invalid(format_args!("{path}.image"), &image.into(), "must not have leading or trailing whitespace"));
    }
    checks.one_of(format_args!("{path}.imagePullPolicy"), text(container, "imagePullPolicy"), &["Always", "IfNotPresent", "Never"]);
    checks.one_of(format_args!("{path}.terminationMessagePolicy"), text(container, "terminationMessagePolicy"), &["FallbackToLogsOnError", "File"]);
    env::validate(checks, path, container);
    mounts(checks, path, container, volumes);
    resources(checks, &format_args!("{path}.resources"), container.get("resources").unwrap_or(&Value::Null));
    let restarts = text(container, "restartPolicy");
    match (init, restarts) {
        (_, "") | (true, "Always") => {}
        (true, other) => checks.add(Cause::not_supported(format_args!("{path}.restartPolicy"), &other.into(), &["Always"])),
        (false, _) => checks.add(Cause::forbidden(format_args!("{path}.restartPolicy"), "may not be set for non-init containers")),
    }
    probes::validate(checks, path, container, !init || restarts == "Always");
}

fn ports(checks: &mut Checks, path: &dyn Display, container: &Value, host_network: bool, host_ports: &mut Vec<Value>) {
    let mut seen = Vec::new();
    for (path, port) in items(container, path, "ports") {
        let name = text(port, "name");
        if !name.is_empty() {
            let errors = names::port_name(name);
            if errors.is_empty() {
                checks.unique(format_args!("{path}.name"), &name.into(), &mut seen);
            }
            checks.all(format_args!("{path}.name"), name, errors);
        }
        let number = int(port, "containerPort").unwrap_or_default();
        match number {
            0 => checks.required(format_args!("{path}.containerPort"), ""),
            n => checks.port(format_args!("{path}.containerPort"), n),
        }
        let host = int(port, "hostPort").unwrap_or_default();
        if host != 0 {
            checks.port(format_args!("{path}.hostPort"), host);
            let key = format!("{}/{}/{host}", text(port, "protocol"), text(port, "hostIP"));
            checks.unique(format_args!("{path}.hostPort"), &key.into(), host_ports);
        }
        if host_network && host != number {
            checks.add(Cause::invalid(format_args!("{path}.containerPort"), &number.into(), "must match `hostPort` when `hostNetwork` is true"));
        }
        checks.one_of(format_args!("{path}.protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

fn mounts(checks: &mut Checks, path: &dyn Display, container: &Value, volumes: &[String]) {
    let mut seen: Vec<&str> = Vec::new();
    for (path, mount) in items(container, path, "volumeMounts") {
        let name = text(mount, "name");
        if name.is_empty() {
            checks.required(format_args!("{path}.name"), "");
        } else if !volumes.iter().any(|v| v == name) {
            checks.add(Cause::not_found(format_args!("{path}.name"), &name.into()));
        }
        let target = text(mount, "mountPath");
        checks.filled(format_args!("{path}.mountPath"), target);
        if seen.contains(&target) {
            checks.add(Cause::invalid(format_args!("{path}.mountPath"), &target.into(), "must be unique"));
        }
        seen.push(target);
        let (sub, expr) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        relative(checks, &format_args!("{path}.subPath"), sub);
        relative(checks, &format_args!("{path}.subPathExpr"), expr);
        if !sub.is_empty() && !expr.is_empty() {
            checks.add(Cause::invalid(format_args!("{path}.subPathExpr"), &expr.into(), "subPathExpr and subPath are mutually exclusive"));
        }
    }
}

/// A path below something: neither absolute nor leading out.
pub(super) fn relative(checks: &mut Checks, path: &dyn Display, value: &str) {
    if value.starts_with('/') {
        checks.add(Cause::invalid(path, &value.into(), "must be a relative path"));
    }
    if value.split('/').any(|part| part == "..") {
        checks.add(Cause::invalid(path, &value.into(), "must not contain '..'"));
    }
}

/// Whether a container may ask for a resource of this name.
fn resource_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    checks.all(path, name, names::qualified_name(name));
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !standard {
        checks.add(Cause::invalid(path, &name.into(), "must be a standard resource for containers"));
    }
}

fn resources(checks: &mut Checks, path: &dyn Display, resources: &Value) {
    let empty = serde_json::Map::new();
    let of = |key: &str| resources.get(key).and_then(Value::as_object).unwrap_or(&empty);
    for (name, limit) in of("limits") {
        resource_name(checks, &format_args!("{path}.limits"), name);
        checks.amount(format_args!("{path}.limits[{name}]"), limit);
    }
    for (name, request) in of("requests") {
        resource_name(checks, &format_args!("{path}.requests"), name);
        let asked = checks.amount(format_args!("{path}.requests[{name}]"), request);
        let limit = of("limits").get(name).and_then(|l| crate::quantity::Quantity::from_json(l).ok());
        match (asked, limit) {
            (Some(asked), Some(limit)) if asked > limit => {
                let why = format!("must be less than or equal to {name} limit of {limit}");
                checks.add(Cause::invalid(format_args!("{path}.requests"), &asked.to_string().into(), why));
            }
            (Some(asked), Some(limit)) if asked != limit && name.contains('/') => {
                let why = format!("must be equal to {name} limit of {limit}");
                checks.add(Cause::invalid(format_args!("{path}.requests"), &asked.to_string().into(), why));
            }
            _ => {}
        }
    }
}
