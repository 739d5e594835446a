//! The checks of the level `baseline`.
use super::pod::{Pod, Texts, at, counted, flag, list, plural, quoted, text, uses};
use super::violation::Violation;
use serde_json::Value;

const ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// What containers are given unasked.
const CAPABILITIES: [&str; 13] =
    ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"];
const SE_LINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// Sysctls that concern the pod alone, in the order in which releases came to allow them.
const SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

pub(super) fn app_armor(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Texts::new();
    let mut setters = pod.setters(&["appArmorProfile"], |profile| {
        let kind = text(profile, &["type"]);
        let bad = !matches!(kind, "RuntimeDefault" | "Localhost");
        if bad {
            values.insert(kind);
        }
        bad
    });
    let allowed = |profile: &str| profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
    let mut annotations: Vec<String> =
        pod.annotations().filter(|(key, value)| key.starts_with(ARMOR) && !allowed(value)).map(|(key, value)| format!("{key}={value:?}")).collect();
    annotations.sort();
    if !annotations.is_empty() {
        setters.push(plural("annotation", annotations.len()));
    }
    if setters.is_empty() {
        return None;
    }
    let all: Vec<&str> = values.into_iter().chain(annotations.iter().map(String::as_str)).collect();
    let detail = format!("{} must not set AppArmor profile type to {}", setters.join(" and "), quoted(&all));
    Violation::new(plural("forbidden AppArmor profile", all.len()), detail)
}

pub(super) fn capabilities(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Texts::new();
    let bad = pod.named(|c| added(c, &CAPABILITIES, &mut values));
    let detail = format!("{} must not include {} in securityContext.capabilities.add", counted("container", &bad), quoted(&values));
    if bad.is_empty() { None } else { Violation::new("non-default capabilities", detail) }
}

/// Whether a container adds other capabilities than `allowed`; those are put into `values`.
pub(super) fn added<'a>(container: &'a Value, allowed: &[&str], values: &mut Texts<'a>) -> bool {
    let capabilities = list(container, &["securityContext", "capabilities", "add"]).iter().map(|c| c.as_str().unwrap_or_default());
    let bad: Vec<&str> = capabilities.filter(|c| !allowed.contains(c)).collect();
    values.extend(bad.iter());
    !bad.is_empty()
}

pub(super) fn host_namespaces(pod: &Pod<'_>) -> Option<Violation> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|f| flag(pod.spec(), &[f]) == Some(true));
    let shared: Vec<String> = fields.map(|f| format!("{f}=true")).collect();
    if shared.is_empty() { None } else { Violation::new("host namespaces", shared.join(", ")) }
}

pub(super) fn host_path(pod: &Pod<'_>) -> Option<Violation> {
    let volumes = list(pod.spec(), &["volumes"]).iter().filter(|v| at(v, &["hostPath"]).is_some());
    let names: Vec<&str> = volumes.map(|v| text(v, &["name"])).collect();
    if names.is_empty() { None } else { Violation::new("hostPath volumes", counted("volume", &names)) }
}

pub(super) fn host_ports(pod: &Pod<'_>) -> Option<Violation> {
    let mut ports = std::collections::BTreeSet::new();
    let bad = pod.named(|c| {
        let own: Vec<String> =
            list(c, &["ports"]).iter().filter_map(|p| at(p, &["hostPort"])).filter(|n| n.as_i64() != Some(0)).map(Value::to_string).collect();
        let any = !own.is_empty();
        ports.extend(own);
        any
    });
    if bad.is_empty() {
        return None;
    }
    let all = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("{} {} {} {all}", counted("container", &bad), uses(bad.len()), plural("hostPort", ports.len()));
    Violation::new("hostPort", detail)
}

pub(super) fn hosts_in_handlers(pod: &Pod<'_>) -> Option<Violation> {
    const HANDLERS: [&[&str]; 5] = [&["livenessProbe"], &["readinessProbe"], &["startupProbe"], &["lifecycle", "postStart"], &["lifecycle", "preStop"]];
    let (mut hosts, mut bad) = (Texts::new(), Texts::new());
    for container in pod.containers() {
        let handlers = HANDLERS.iter().filter_map(|path| at(container, path));
        for host in handlers.flat_map(|h| ["httpGet", "tcpSocket"].map(|kind| text(h, &[kind, "host"]))).filter(|host| !host.is_empty()) {
            hosts.insert(host);
            bad.insert(text(container, &["name"]));
        }
    }
    let names: Vec<&str> = bad.into_iter().collect();
    let what = plural("probe or lifecycle host", hosts.len());
    let detail = format!("{} {} {what} {}", counted("container", &names), uses(names.len()), quoted(&hosts));
    if names.is_empty() { None } else { Violation::new("probe or lifecycle host", detail) }
}

pub(super) fn privileged(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.named(|c| flag(c, &["securityContext", "privileged"]) == Some(true));
    let detail = format!("{} must not set securityContext.privileged=true", counted("container", &bad));
    if bad.is_empty() { None } else { Violation::new("privileged", detail) }
}

pub(super) fn proc_mount(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Texts::new();
    let bad = pod.named(|c| {
        let mount = at(c, &["securityContext", "procMount"]).map(|m| m.as_str().unwrap_or_default()).filter(|m| *m != "Default");
        values.extend(mount);
        mount.is_some()
    });
    let detail = format!("{} must not set securityContext.procMount to {}", counted("container", &bad), quoted(&values));
    if bad.is_empty() { None } else { Violation::new("procMount", detail) }
}

pub(super) fn proc_mount_unless_own_users(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() { None } else { proc_mount(pod) }
}

pub(super) fn se_linux_0(pod: &Pod<'_>) -> Option<Violation> {
    se_linux(pod, 4)
}
pub(super) fn se_linux_31(pod: &Pod<'_>) -> Option<Violation> {
    se_linux(pod, 5)
}

/// `known`: so many of the types are allowed.
fn se_linux(pod: &Pod<'_>, known: usize) -> Option<Violation> {
    let (mut types, mut user, mut role) = (Texts::new(), false, false);
    let setters = pod.setters(&["seLinuxOptions"], |options| {
        let kind = text(options, &["type"]);
        let bad = (!SE_LINUX.iter().take(known).any(|t| *t == kind), !text(options, &["user"]).is_empty(), !text(options, &["role"]).is_empty());
        if bad.0 {
            types.insert(kind);
        }
        (user, role) = (user || bad.1, role || bad.2);
        bad.0 || bad.1 || bad.2
    });
    if setters.is_empty() {
        return None;
    }
    let kinds = (!types.is_empty()).then(|| format!("{} {}", plural("type", types.len()), quoted(&types)));
    let user = user.then(|| "user may not be set".to_owned());
    let role = role.then(|| "role may not be set".to_owned());
    let data: Vec<String> = kinds.into_iter().chain(user).chain(role).collect();
    Violation::new("seLinuxOptions", format!("{} set forbidden securityContext.seLinuxOptions: {}", setters.join(" and "), data.join("; ")))
}

/// Before there were fields for it.
pub(super) fn seccomp_annotations(pod: &Pod<'_>) -> Option<Violation> {
    let allowed = |profile: &str| matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
    let keys = std::iter::once(SECCOMP_POD.to_owned()).chain(pod.containers().map(|c| format!("{SECCOMP_CONTAINER}{}", text(c, &["name"]))));
    let values = keys.filter_map(|key| pod.annotation(&key).filter(|v| !allowed(v)).map(|value| format!("{key}={value:?}")));
    let bad: std::collections::BTreeSet<String> = values.collect();
    let list = bad.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if bad.is_empty() { None } else { Violation::new("seccompProfile", format!("forbidden {} {list}", plural("annotation", bad.len()))) }
}

/// Whether a profile filters anything.
pub(super) fn filters(profile: &Value) -> bool {
    matches!(text(profile, &["type"]), "RuntimeDefault" | "Localhost")
}

pub(super) fn seccomp(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Texts::new();
    let setters = pod.setters(&["seccompProfile"], |profile| {
        let bad = !filters(profile);
        if bad {
            values.insert(text(profile, &["type"]));
        }
        bad
    });
    let detail = format!("{} must not set securityContext.seccompProfile.type to {}", setters.join(" and "), quoted(&values));
    if setters.is_empty() { None } else { Violation::new("seccompProfile", detail) }
}

pub(super) fn sysctls_0(pod: &Pod<'_>) -> Option<Violation> {
    sysctls(pod, 5)
}
pub(super) fn sysctls_27(pod: &Pod<'_>) -> Option<Violation> {
    sysctls(pod, 6)
}
pub(super) fn sysctls_29(pod: &Pod<'_>) -> Option<Violation> {
    sysctls(pod, 10)
}
pub(super) fn sysctls_32(pod: &Pod<'_>) -> Option<Violation> {
    sysctls(pod, 12)
}
pub(super) fn sysctls_37(pod: &Pod<'_>) -> Option<Violation> {
    sysctls(pod, 14)
}

/// `known`: so many of the sysctls are allowed.
fn sysctls(pod: &Pod<'_>, known: usize) -> Option<Violation> {
    let names = list(pod.spec(), &["securityContext", "sysctls"]).iter().map(|s| text(s, &["name"]));
    let bad: Vec<&str> = names.filter(|name| !SYSCTLS.iter().take(known).any(|s| s == name)).collect();
    if bad.is_empty() { None } else { Violation::new("forbidden sysctls", bad.join(", ")) }
}

pub(super) fn host_process(pod: &Pod<'_>) -> Option<Violation> {
    let setters = pod.setters(&["windowsOptions", "hostProcess"], |on| on.as_bool() == Some(true));
    let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
    if setters.is_empty() { None } else { Violation::new("hostProcess", detail) }
}
