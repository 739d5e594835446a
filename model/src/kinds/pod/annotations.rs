//! Annotations with which pods said, before there were fields for it, what profiles they have; and others that mean something.
use super::mirror::ANNOTATION as MIRROR;
use super::volumes::descending;
use crate::error::Cause;
use crate::kinds::fields::{Checks, list, text};
use serde_json::{Map, Value};
use std::fmt::Display;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const LOCALHOST: &str = "localhost/";

/// The annotations at `path` of a pod, or of a template, with this spec.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, annotations: Option<&Map<String, Value>>, spec: &Value) {
    for (key, value) in annotations.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))) {
        let at = format_args!("{path}[{key}]");
        match key {
            MIRROR if text(spec, "nodeName").is_empty() => {
                checks.add(Cause::invalid(at, &value.into(), "must set spec.nodeName if mirror pod annotation is set"));
            }
            DELETION_COST if !is_cost(value) => checks.add(Cause::invalid(at, &value.into(), "must be a 32bit integer")),
            SECCOMP_POD => seccomp(checks, &format_args!("{path}.{key}"), value),
            key if key.starts_with(SECCOMP_CONTAINER) => seccomp(checks, &format_args!("{path}.{key}"), value),
            key => {
                if let Some(container) = key.strip_prefix(APP_ARMOR) {
                    app_armor(checks, &at, value, container, spec);
                }
            }
        }
    }
}

/// A number without a plus and without zeros before it.
fn is_cost(value: &str) -> bool {
    value.parse::<i32>().is_ok_and(|n| n.to_string() == value)
}

fn seccomp(checks: &mut Checks, path: &dyn Display, profile: &str) {
    match profile.strip_prefix(LOCALHOST) {
        Some(file) => descending(checks, path, file),
        None if matches!(profile, "runtime/default" | "docker/default" | "unconfined") => {}
        None => checks.add(Cause::invalid(path, &profile.into(), "must be a valid seccomp profile")),
    }
}

fn app_armor(checks: &mut Checks, path: &dyn Display, profile: &str, container: &str, spec: &Value) {
    let named = |kind: &&str| list(spec, kind).iter().any(|c| text(c, "name") == container);
    if !["initContainers", "containers", "ephemeralContainers"].iter().any(named) {
        checks.add(Cause::invalid(path, &container.into(), "container not found"));
    }
    if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with(LOCALHOST) {
        checks.add(Cause::invalid(path, &profile.into(), format!("invalid AppArmor profile name: {profile:?}")));
    }
}
