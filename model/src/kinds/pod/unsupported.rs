//! Fields that Kubernetes has and no node of this version acts on. What is accepted must work: these are refused.
//! Sources of volumes that aren't supported are refused where volumes are checked.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items};
use serde_json::Value;
use std::fmt::Display;

/// Why.
pub(super) const WHY: &str = "not supported by this version";

/// A field by its path, of which a step that ends in `[]` stands for each item of a list, and the values of it that mean nothing special.
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
    row(&["overhead"], &["{}"]),
    row(&["resources"], &["{}"]),
    row(&["schedulingGroup"], &[]),
    row(&["evictionResponders"], &["[]"]),
    row(&["securityContext", "windowsOptions"], &["{}"]),
    row(&["securityContext", "appArmorProfile", "localhostProfile"], &[]),
    row(&["securityContext", "supplementalGroupsPolicy"], &["Merge"]),
    row(&["volumes[]", "emptyDir", "medium"], &["Memory"]),
    row(&["volumes[]", "emptyDir", "mode"], &[]),
    row(&["volumes[]", "secret", "defaultUser"], &[]),
    row(&["volumes[]", "secret", "items[]", "user"], &[]),
    row(&["volumes[]", "configMap", "defaultUser"], &[]),
    row(&["volumes[]", "configMap", "items[]", "user"], &[]),
    row(&["volumes[]", "downwardAPI", "defaultUser"], &[]),
    row(&["volumes[]", "downwardAPI", "items[]", "user"], &[]),
    row(&["volumes[]", "projected", "defaultUser"], &[]),
    row(&["volumes[]", "projected", "sources[]", "secret", "items[]", "user"], &[]),
    row(&["volumes[]", "projected", "sources[]", "configMap", "items[]", "user"], &[]),
    row(&["volumes[]", "projected", "sources[]", "downwardAPI", "items[]", "user"], &[]),
    row(&["volumes[]", "projected", "sources[]", "serviceAccountToken", "user"], &[]),
];

const CONTAINER: &[Row] = &[
    row(&["volumeDevices"], &["[]"]),
    row(&["restartPolicyRules"], &["[]"]),
    row(&["resources", "claims"], &["[]"]),
    row(&["env[]", "valueFrom", "fileKeyRef"], &[]),
    row(&["lifecycle", "stopSignal"], &[]),
    row(&["lifecycle", "postStart", "httpGet", "protocol"], &["HTTP1"]),
    row(&["lifecycle", "preStop", "httpGet", "protocol"], &["HTTP1"]),
    row(&["livenessProbe", "httpGet", "protocol"], &["HTTP1"]),
    row(&["livenessProbe", "grpc", "mode"], &["Plaintext"]),
    row(&["readinessProbe", "httpGet", "protocol"], &["HTTP1"]),
    row(&["readinessProbe", "grpc", "mode"], &["Plaintext"]),
    row(&["startupProbe", "httpGet", "protocol"], &["HTTP1"]),
    row(&["startupProbe", "grpc", "mode"], &["Plaintext"]),
    row(&["securityContext", "procMount"], &["Default"]),
    row(&["securityContext", "windowsOptions"], &["{}"]),
    row(&["securityContext", "appArmorProfile", "localhostProfile"], &[]),
    row(&["volumeMounts[]", "recursiveReadOnly"], &["Disabled", "IfPossible"]),
    row(&["volumeMounts[]", "bindMountOptions"], &["[]"]),
];

/// A container's own policy, other than its pod's.
const RESTARTED_ALONE: Row = row(&["restartPolicy"], &[]);
/// Of those that initialise only one that goes on beside the others can have its own.
const SIDECAR: Row = row(&["restartPolicy"], &["Always"]);

/// All of a pod's spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    POD.iter().for_each(|row| refuse(checks, path, spec, row, row.path));
    for (key, own) in [("containers", Some(RESTARTED_ALONE)), ("initContainers", Some(SIDECAR)), ("ephemeralContainers", None)] {
        for (path, container) in items(spec, path, key) {
            if let Some(own) = &own {
                refuse(checks, &path, container, own, own.path);
            }
            CONTAINER.iter().for_each(|row| refuse(checks, &path, container, row, row.path));
        }
    }
}

/// What of `value` at `path` is at these further `steps`.
fn refuse(checks: &mut Checks, path: &dyn Display, value: &Value, row: &Row, steps: &[&str]) {
    let Some((step, rest)) = steps.split_first() else { return refuse_value(checks, path, value, row) };
    if let Some(list) = step.strip_suffix("[]") {
        items(value, path, list).for_each(|(path, item)| refuse(checks, &path, item, row, rest));
    } else if let Some(inner) = value.get(step).filter(|v| !v.is_null()) {
        refuse(checks, &format_args!("{path}.{step}"), inner, row, rest);
    }
}

fn refuse_value(checks: &mut Checks, path: &dyn Display, value: &Value, row: &Row) {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if !text.is_empty() && !row.harmless.contains(&text.as_str()) {
        checks.add(Cause::forbidden(path, WHY));
    }
}
