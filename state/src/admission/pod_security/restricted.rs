//! The checks that the level `restricted` has beyond `baseline`.
use super::baseline::{added, filters};
use super::pod::{Pod, Texts, at, counted, flag, list, plural, quoted, text, uses};
use super::violation::Violation;
use serde_json::Value;

/// Sources of volumes that hold nothing of the node.
const SAFE: [&str; 9] = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];
/// The others that Kubernetes knows.
const OTHERS: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) fn escalation(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.named(|c| flag(c, &["securityContext", "allowPrivilegeEscalation"]) != Some(false));
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", counted("container", &bad));
    if bad.is_empty() { None } else { Violation::new("allowPrivilegeEscalation != false", detail) }
}

pub(super) fn escalation_unless_windows(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() { None } else { escalation(pod) }
}

pub(super) fn capabilities(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Texts::new();
    let keeping = pod.named(|c| !list(c, &["securityContext", "capabilities", "drop"]).iter().any(|c| c == "ALL"));
    let adding = pod.named(|c| added(c, &["NET_BIND_SERVICE"], &mut values));
    let kept = (!keeping.is_empty()).then(|| format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", counted("container", &keeping)));
    let more =
        (!adding.is_empty()).then(|| format!("{} must not include {} in securityContext.capabilities.add", counted("container", &adding), quoted(&values)));
    let all: Vec<String> = kept.into_iter().chain(more).collect();
    if all.is_empty() { None } else { Violation::new("unrestricted capabilities", all.join("; ")) }
}

pub(super) fn capabilities_unless_windows(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() { None } else { capabilities(pod) }
}

/// A source beside a safe one counts as well: a volume has only one, but that is looked at later.
pub(super) fn volumes(pod: &Pod<'_>) -> Option<Violation> {
    let mut types = Texts::new();
    let mut names = Vec::new();
    for volume in list(pod.spec(), &["volumes"]) {
        let given = |kind: &&&str| at(volume, &[kind]).is_some();
        let others: Vec<&str> = OTHERS.iter().filter(given).copied().collect();
        let unknown = others.is_empty() && !SAFE.iter().any(|kind| given(&kind));
        if !others.is_empty() || unknown {
            names.push(text(volume, &["name"]));
            types.extend(others);
            types.extend(unknown.then_some("unknown"));
        }
    }
    let what = plural("restricted volume type", types.len());
    let detail = format!("{} {} {what} {}", counted("volume", &names), uses(names.len()), quoted(&types));
    if names.is_empty() { None } else { Violation::new("restricted volume types", detail) }
}

pub(super) fn non_root(pod: &Pod<'_>) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    const FIELD: [&str; 2] = ["securityContext", "runAsNonRoot"];
    let setters = pod.setters(&["runAsNonRoot"], |on| on.as_bool() == Some(false));
    if !setters.is_empty() {
        return Violation::new(REASON, format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and ")));
    }
    let whole = flag(pod.spec(), &FIELD) == Some(true);
    let bad = pod.named(|c| !whole && flag(c, &FIELD).is_none());
    let detail = format!("pod or {} must set securityContext.runAsNonRoot=true", counted("container", &bad));
    if bad.is_empty() { None } else { Violation::new(REASON, detail) }
}

pub(super) fn non_root_unless_own_users(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() { None } else { non_root(pod) }
}

pub(super) fn root_user(pod: &Pod<'_>) -> Option<Violation> {
    let setters = pod.setters(&["runAsUser"], |user| user.as_i64() == Some(0));
    let detail = format!("{} must not set runAsUser=0", setters.join(" and "));
    if setters.is_empty() { None } else { Violation::new("runAsUser=0", detail) }
}

pub(super) fn root_user_unless_own_users(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() { None } else { root_user(pod) }
}

pub(super) fn seccomp(pod: &Pod<'_>) -> Option<Violation> {
    if let Some(bad) = super::baseline::seccomp(pod) {
        return Some(bad);
    }
    let profile = |owner: &Value| at(owner, &["securityContext", "seccompProfile"]).is_some_and(filters);
    let whole = profile(pod.spec());
    let bad = pod.named(|c| !whole && !profile(c));
    let detail = format!("pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"", counted("container", &bad));
    if bad.is_empty() { None } else { Violation::new("seccompProfile", detail) }
}

pub(super) fn seccomp_unless_windows(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() { None } else { seccomp(pod) }
}
