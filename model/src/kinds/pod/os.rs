//! Validates `os`: fields of another operating system than the pod's own are refused.
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, items, text};
use serde_json::Value;
use std::fmt::Display;

const WINDOWS: &str = "cannot be set for a windows pod";
const LINUX: &str = "windows options cannot be set for a linux pod";
/// What a Windows pod's security context may not have.
const POD: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
/// What the security contexts of its containers may not have.
const CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// A pod's spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(os) = spec.get("os") else { return };
    match text(os, "name") {
        "" => checks.required(format_args!("{path}.os.name"), ""),
        "linux" => contexts(checks, path, spec, (&["windowsOptions"], &["windowsOptions"]), LINUX),
        "windows" => {
            contexts(checks, path, spec, (&POD, &CONTAINER), WINDOWS);
            let given = |field: &str| flag(spec, field) || (matches!(field, "hostUsers" | "shareProcessNamespace") && spec.get(field).is_some());
            for field in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"].into_iter().filter(|f| given(f)) {
                checks.add(Cause::forbidden(format_args!("{path}.{field}"), WINDOWS));
            }
        }
        other => checks.add(Cause::not_supported(format_args!("{path}.os"), &other.into(), &["linux", "windows"])),
    }
}

fn contexts(checks: &mut Checks, path: &dyn Display, spec: &Value, (pod, container): (&[&str], &[&str]), why: &str) {
    refuse(checks, path, spec, pod, why);
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        for (path, c) in items(spec, path, key) {
            refuse(checks, &path, c, container, why);
        }
    }
}

fn refuse(checks: &mut Checks, path: &dyn Display, value: &Value, fields: &[&str], why: &str) {
    let Some(context) = value.get("securityContext") else { return };
    let empty = |field: &str, value: &Value| field == "sysctls" && value.as_array().is_some_and(Vec::is_empty);
    for field in fields.iter().filter(|f| context.get(**f).is_some_and(|v| !empty(f, v))) {
        checks.add(Cause::forbidden(format_args!("{path}.securityContext.{field}"), why));
    }
}
