//! Security contexts of pods and of containers: identities, profiles, capabilities.
use super::sysctls;
use super::volumes::descending;
use crate::error::{Cause, CauseReason};
use crate::kinds::fields::{Checks, flag, int, list, text};
use serde_json::Value;
use std::fmt::Display;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Longest name of an AppArmor profile: a path without its terminating zero.
const PROFILE_MAX: usize = 4_095;

/// The pod's own at `path`.
pub(super) fn pod(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(context) = spec.get("securityContext") else { return };
    let path = format_args!("{path}.securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        checks.id(format_args!("{path}.{field}"), int(context, field));
    }
    for (i, group) in list(context, "supplementalGroups").iter().enumerate() {
        checks.id(format_args!("{path}.supplementalGroups[{i}]"), group.as_i64());
    }
    sysctls::validate(checks, &path, context, spec);
    checks.choice(format_args!("{path}.fsGroupChangePolicy"), context.get("fsGroupChangePolicy"), &["Always", "OnRootMismatch"]);
    seccomp(checks, &format_args!("{path}.seccompProfile"), context.get("seccompProfile"));
    app_armor(checks, &format_args!("{path}.appArmorProfile"), context.get("appArmorProfile"));
    checks.choice(format_args!("{path}.supplementalGroupsPolicy"), context.get("supplementalGroupsPolicy"), &["Merge", "Strict"]);
    checks.choice(format_args!("{path}.seLinuxChangePolicy"), context.get("seLinuxChangePolicy"), &["MountOption", "Recursive"]);
}

/// A container's at `path`; `host_users` is whether the pod has its node's users.
pub(super) fn container(checks: &mut Checks, path: &dyn Display, container: &Value, host_users: bool) {
    let Some(context) = container.get("securityContext") else { return };
    let path = format_args!("{path}.securityContext");
    for field in ["runAsUser", "runAsGroup"] {
        checks.id(format_args!("{path}.{field}"), int(context, field));
    }
    let mount = context.get("procMount");
    checks.choice(format_args!("{path}.procMount"), mount, &["Default", "Unmasked"]);
    if let Some(mount) = mount.filter(|m| host_users && m.as_str() == Some("Unmasked")) {
        checks.add(Cause::invalid(format_args!("{path}.procMount"), mount, "`hostUsers` must be false to use `Unmasked`"));
    }
    seccomp(checks, &format_args!("{path}.seccompProfile"), context.get("seccompProfile"));
    escalation(checks, &path, context);
    app_armor(checks, &format_args!("{path}.appArmorProfile"), context.get("appArmorProfile"));
}

/// Who is all-powerful can't be kept from gaining privileges.
fn escalation(checks: &mut Checks, path: &dyn Display, context: &Value) {
    if context.get("allowPrivilegeEscalation") != Some(&Value::Bool(false)) {
        return;
    }
    if flag(context, "privileged") {
        checks.add(Cause::invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    }
    if context.get("capabilities").is_some_and(|c| list(c, "add").iter().any(|c| c == "CAP_SYS_ADMIN")) {
        checks.add(Cause::invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
    }
}

fn profile_type(checks: &mut Checks, path: &dyn Display, kind: &str, field: &str) {
    if kind.is_empty() {
        checks.required(path, &format!("type is required when {field} is set"));
    } else {
        checks.one_of(path, kind, &PROFILES);
    }
}

fn seccomp(checks: &mut Checks, path: &dyn Display, profile: Option<&Value>) {
    let Some(profile) = profile else { return };
    let kind = text(profile, "type");
    profile_type(checks, &format_args!("{path}.type"), kind, "seccompProfile");
    let path = format_args!("{path}.localhostProfile");
    match (kind, profile.get("localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None) => checks.required(path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => descending(checks, &path, file),
        (kind, Some(file)) => {
            // Kubernetes shows the profile as it has it in memory
            let shown = format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", Value::from(kind), Value::from(file));
            let message = format!("Invalid value: {shown}: can only be set when seccomp type is Localhost");
            checks.add(Cause { reason: CauseReason::FieldValueInvalid, field: path.to_string(), message });
        }
        (_, None) => {}
    }
}

fn app_armor(checks: &mut Checks, path: &dyn Display, profile: Option<&Value>) {
    let Some(profile) = profile else { return };
    let kind = text(profile, "type");
    profile_type(checks, &format_args!("{path}.type"), kind, "appArmorProfile");
    let path = format_args!("{path}.localhostProfile");
    match (kind, profile.get("localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None | Some("")) => checks.required(path, "must be set when AppArmor type is Localhost"),
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                checks.add(Cause::invalid(path, &name.into(), "must not be padded with whitespace"));
            }
            if name.len() > PROFILE_MAX {
                checks.add(Cause::too_long(path, PROFILE_MAX));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => checks.add(Cause::invalid(path, &name.into(), "can only be set when AppArmor type is Localhost")),
        _ => {}
    }
}
