//! Where a container has the pod's volumes.
use super::context::Within;
use super::volumes::descending;
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, items, list, text};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const PROPAGATION: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
const RECURSIVE: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

/// The `volumeMounts` of a container at `path`. Kubernetes names some of their fields without the index.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, container: &Value, within: &Within<'_>) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (at, mount) in items(container, path, "volumeMounts") {
        let (name, target) = (text(mount, "name"), text(mount, "mountPath"));
        checks.filled(format_args!("{at}.name"), name);
        if !within.volumes.contains(name) {
            checks.add(Cause::not_found(format_args!("{at}.name"), &name.into()));
        }
        checks.filled(format_args!("{at}.mountPath"), target);
        if target.contains(':') {
            checks.add(Cause::invalid(format_args!("{at}.mountPath"), &target.into(), "must not contain ':'"));
        }
        if !seen.insert(target) {
            checks.add(Cause::invalid(format_args!("{at}.mountPath"), &target.into(), "must be unique"));
        }
        let (sub, expr) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        let all = format_args!("{path}.volumeMounts");
        descending(checks, &format_args!("{all}.subPath"), sub);
        if !sub.is_empty() && !expr.is_empty() {
            checks.add(Cause::invalid(format_args!("{at}.subPathExpr"), &expr.into(), "subPathExpr and subPath are mutually exclusive"));
        }
        descending(checks, &format_args!("{all}.subPathExpr"), expr);
        propagation(checks, &format_args!("{all}.mountPropagation"), mount, container);
        recursive(checks, &format_args!("{all}.recursiveReadOnly"), mount);
        bind_options(checks, &format_args!("{at}.bindMountOptions"), list(mount, "bindMountOptions"));
    }
}

fn propagation(checks: &mut Checks, path: &dyn Display, mount: &Value, container: &Value) {
    let given = mount.get("mountPropagation");
    checks.choice(path, given, &PROPAGATION);
    let privileged = container.get("securityContext").is_some_and(|c| flag(c, "privileged"));
    if !privileged && text(mount, "mountPropagation") == "Bidirectional" {
        checks.add(Cause::forbidden(path, "Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn recursive(checks: &mut Checks, path: &dyn Display, mount: &Value) {
    checks.choice(path, mount.get("recursiveReadOnly"), &RECURSIVE);
    if !matches!(text(mount, "recursiveReadOnly"), "Enabled" | "IfPossible") {
        return;
    }
    if !flag(mount, "readOnly") {
        checks.add(Cause::forbidden(path, "may only be specified when readOnly is true"));
    }
    if !matches!(text(mount, "mountPropagation"), "" | "None") {
        checks.add(Cause::forbidden(path, "may only be specified when mountPropagation is None or not specified"));
    }
}

fn bind_options(checks: &mut Checks, path: &dyn Display, options: &[Value]) {
    let mut seen = HashSet::new();
    for (i, option) in options.iter().enumerate() {
        checks.choice(format_args!("{path}[{i}]"), Some(option), &["nodev", "noexec", "nosuid"]);
        checks.unique(format_args!("{path}[{i}]"), option, &mut seen);
    }
}
