//! The pod security standards: the table of checks that a level has as which release of Kubernetes, and how a pod is held against it.
use super::pod::Pod;
use super::policy::{Level, Standard, Version};
use super::violation::Violation;
use super::{baseline, restricted};
use serde_json::Value;

/// Judges a pod.
type Verdict = fn(&Pod<'_>) -> Option<Violation>;

/// A check with its history.
struct Check {
    /// Its name; checks of a level are in the order of their names.
    id: &'static str,
    level: Level,
    /// From which release on it is done how.
    since: &'static [(u32, Verdict)],
    /// The check of the lower level that it is done instead of.
    instead_of: Option<&'static str>,
}

const fn baseline(id: &'static str, since: &'static [(u32, Verdict)]) -> Check {
    Check { id, level: Level::Baseline, since, instead_of: None }
}
const fn restricted(id: &'static str, instead_of: Option<&'static str>, since: &'static [(u32, Verdict)]) -> Check {
    Check { id, level: Level::Restricted, since, instead_of }
}

const CHECKS: &[Check] = &[
    baseline("appArmorProfile", &[(0, baseline::app_armor)]),
    baseline("capabilities_baseline", &[(0, baseline::capabilities)]),
    baseline("hostNamespaces", &[(0, baseline::host_namespaces)]),
    baseline("hostPathVolumes", &[(0, baseline::host_path)]),
    baseline("hostPorts", &[(0, baseline::host_ports)]),
    baseline("hostProbesAndHostLifecycle", &[(34, baseline::hosts_in_handlers)]),
    baseline("privileged", &[(0, baseline::privileged)]),
    baseline("procMount", &[(0, baseline::proc_mount), (35, baseline::proc_mount_unless_own_users)]),
    baseline("seLinuxOptions", &[(0, baseline::se_linux_0), (31, baseline::se_linux_31)]),
    baseline("seccompProfile_baseline", &[(0, baseline::seccomp_annotations), (19, baseline::seccomp)]),
    baseline(
        "sysctls",
        &[(0, baseline::sysctls_0), (27, baseline::sysctls_27), (29, baseline::sysctls_29), (32, baseline::sysctls_32), (37, baseline::sysctls_37)],
    ),
    baseline("windowsHostProcess", &[(0, baseline::host_process)]),
    restricted("allowPrivilegeEscalation", None, &[(8, restricted::escalation), (25, restricted::escalation_unless_windows)]),
    restricted("capabilities_restricted", Some("capabilities_baseline"), &[(22, restricted::capabilities), (25, restricted::capabilities_unless_windows)]),
    restricted("procMount_restricted", Some("procMount"), &[(35, baseline::proc_mount)]),
    restricted("restrictedVolumes", Some("hostPathVolumes"), &[(0, restricted::volumes)]),
    restricted("runAsNonRoot", None, &[(0, restricted::non_root), (35, restricted::non_root_unless_own_users)]),
    restricted("runAsUser", None, &[(23, restricted::root_user), (35, restricted::root_user_unless_own_users)]),
    restricted("seccompProfile_restricted", Some("seccompProfile_baseline"), &[(19, restricted::seccomp), (25, restricted::seccomp_unless_windows)]),
];

impl Check {
    /// How it is done as this release; `None` before it was there.
    fn verdict(&self, minor: u32) -> Option<Verdict> {
        self.since.iter().rev().find(|(since, _)| *since <= minor).map(|(_, verdict)| *verdict)
    }
}

/// What of a pod, or of a template's metadata and spec, `standard` doesn't allow. A release that isn't known yet is the latest one that is.
pub fn check(standard: Standard, metadata: &Value, spec: &Value) -> Vec<Violation> {
    let minor = if let Version::Minor(minor) = standard.version { minor } else { u32::MAX };
    let pod = Pod::new(metadata, spec);
    let verdicts = || CHECKS.iter().filter(|c| c.level <= standard.level).filter_map(|c| Some((c, c.verdict(minor)?)));
    let replaced: Vec<&str> = verdicts().filter_map(|(c, _)| c.instead_of).collect();
    verdicts().filter(|(c, _)| !replaced.contains(&c.id)).filter_map(|(_, verdict)| verdict(&pod)).collect()
}
