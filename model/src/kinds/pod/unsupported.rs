//! Fields that Kubernetes has and no node of this version acts on. What is accepted must work: these are refused.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items};
use serde_json::Value;
use std::fmt::Display;

/// A field by its path, and the values of it that mean nothing special.
struct Row {
    path: &'static [&'static str],
    harmless: &'static [&'static str],
}

const fn row(path: &'static [&'static str], harmless: &'static [&'static str]) -> Row {
    Row { path, harmless }
}

const POD: &[Row] = &[
    row(&["shareProcessNamespace"], &["false"]),
    row(&["hostUsers"], &["true"]),
    row(&["setHostnameAsFQDN"], &["false"]),
    row(&["hostnameOverride"], &[]),
    row(&["runtimeClassName"], &[]),
    row(&["overhead"], &[]),
    row(&["resources"], &["{}"]),
    row(&["securityContext", "seLinuxOptions"], &["{}"]),
    row(&["securityContext", "windowsOptions"], &["{}"]),
    row(&["securityContext", "appArmorProfile", "localhostProfile"], &[]),
    row(&["securityContext", "supplementalGroupsPolicy"], &["Merge"]),
];

const CONTAINER: &[Row] = &[
    row(&["volumeDevices"], &["[]"]),
    row(&["restartPolicyRules"], &["[]"]),
    row(&["resources", "claims"], &["[]"]),
    row(&["lifecycle", "stopSignal"], &[]),
    row(&["securityContext", "procMount"], &["Default"]),
    row(&["securityContext", "seLinuxOptions"], &["{}"]),
    row(&["securityContext", "windowsOptions"], &["{}"]),
    row(&["securityContext", "appArmorProfile", "localhostProfile"], &[]),
];

const MOUNT: &[Row] = &[row(&["recursiveReadOnly"], &["Disabled", "IfPossible"])];

/// All of a pod's spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    refuse(checks, path, spec, POD);
    for key in ["containers", "initContainers"] {
        for (path, container) in items(spec, path, key) {
            refuse(checks, &path, container, CONTAINER);
            for (path, mount) in items(container, &path, "volumeMounts") {
                refuse(checks, &path, mount, MOUNT);
            }
        }
    }
}

fn refuse(checks: &mut Checks, path: &dyn Display, value: &Value, rows: &[Row]) {
    for Row { path: steps, harmless } in rows {
        let found = steps.iter().try_fold(value, |v, step| v.get(*step)).filter(|v| !v.is_null());
        let Some(found) = found else { continue };
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        if !text.is_empty() && !harmless.contains(&text.as_str()) {
            checks.add(Cause::forbidden(format!("{path}.{}", steps.join(".")), "not supported by this version"));
        }
    }
}
