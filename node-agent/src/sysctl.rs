//! A pod's kernel settings: which may be set at all, and where they are. What the kubelet allows is allowed: settings of a namespace that the pod has for
//! itself, the safe ones, and those that the node's administrator names. Pure but for [`Setting::write`].
use crate::beneath::Dir;
use k8s_openapi::api::core::v1::PodSpec;
use model::names::{SYSCTL_MAX, is_sysctl, is_sysctl_word};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a pod with a setting that isn't allowed fails.
pub const FORBIDDEN: &str = "SysctlForbidden";

/// The safe ones, each with the kernel that has it in a namespace.
const SAFE: &[(&str, (u32, u32))] = &[
    ("kernel.shm_rmid_forced", (0, 0)),
    ("net.ipv4.ip_local_port_range", (0, 0)),
    ("net.ipv4.tcp_syncookies", (0, 0)),
    ("net.ipv4.ping_group_range", (0, 0)),
    ("net.ipv4.ip_unprivileged_port_start", (0, 0)),
    ("net.ipv4.ip_local_reserved_ports", (3, 16)),
    ("net.ipv4.tcp_keepalive_time", (4, 5)),
    ("net.ipv4.tcp_fin_timeout", (4, 6)),
    ("net.ipv4.tcp_keepalive_intvl", (4, 5)),
    ("net.ipv4.tcp_keepalive_probes", (4, 5)),
    ("net.ipv4.tcp_rmem", (4, 15)),
    ("net.ipv4.tcp_wmem", (4, 15)),
    ("net.ipv4.tcp_slow_start_after_idle", (4, 15)),
    ("net.ipv4.tcp_notsent_lowat", (4, 6)),
];

/// What the kernel has in a namespace, by whole names …
const NAMES: &[(&str, Namespace)] = &[
    ("kernel.domainname", Namespace::Uts),
    ("kernel.sem", Namespace::Ipc),
    ("kernel.shmall", Namespace::Ipc),
    ("kernel.shmmax", Namespace::Ipc),
    ("kernel.shmmni", Namespace::Ipc),
    ("kernel.shm_rmid_forced", Namespace::Ipc),
    ("kernel.msgmax", Namespace::Ipc),
    ("kernel.msgmnb", Namespace::Ipc),
    ("kernel.msgmni", Namespace::Ipc),
];
/// … and by their beginnings; `kernel.shm*` and its like are patterns that administrators may write.
const BEGINNINGS: &[(&str, Namespace)] = &[("net.", Namespace::Net), ("fs.mqueue.", Namespace::Ipc), ("user.", Namespace::User)];
const PATTERNS: &[(&str, Namespace)] = &[("kernel.shm", Namespace::Ipc), ("kernel.msg", Namespace::Ipc), ("kernel.sem", Namespace::Ipc)];

/// Where a setting is one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Shared memory, semaphores and message queues: the pod's.
    Ipc,
    /// The network: the pod's.
    Net,
    /// Host and domain name: a container's.
    Uts,
    /// Users: pods have the node's.
    User,
}

impl Namespace {
    fn name(self) -> &'static str {
        match self {
            Self::Ipc => "IPC",
            Self::Net => "Net",
            Self::Uts => "UTS",
            Self::User => "User",
        }
    }

    fn of(name: &str) -> Option<Self> {
        let whole = NAMES.iter().find(|(known, _)| *known == name);
        whole.or_else(|| BEGINNINGS.iter().find(|(known, _)| name.starts_with(known))).map(|(_, namespace)| *namespace)
    }

    fn of_pattern(beginning: &str) -> Option<Self> {
        let pattern = PATTERNS.iter().find(|(known, _)| *known == beginning).map(|(_, namespace)| *namespace);
        pattern.or_else(|| Self::of(beginning))
    }
}

/// A pattern of the administrator's that can't be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is none.
    #[error(
        "sysctl {0:?} must have at most {SYSCTL_MAX} characters, and be words of a-z, 0-9, - and _ with . or / between them, the last one possibly ending with *"
    )]
    Malformed(String),
    /// It may concern the whole node.
    #[error("the sysctls {0:?} are not known to be namespaced")]
    NotNamespaced(String),
}

/// With dots between the words; a slash is a dot in a word then, as `sysctl` has it.
pub fn normalized(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match name.find(['.', '/']) {
        Some(at) if name.get(at..=at) == Some("/") => name.chars().map(swap).collect(),
        _ => name.to_owned(),
    }
}

fn is_pattern(text: &str) -> bool {
    let Some(beginning) = text.strip_suffix('*') else { return is_sysctl(text) };
    let (before, last) = beginning.rsplit_once(['.', '/']).map_or((None, beginning), |(before, last)| (Some(before), last));
    let last_ok = last.is_empty() || is_sysctl_word(last.trim_end_matches(['-', '_']));
    text.len() <= SYSCTL_MAX && before.is_none_or(|b| b.split(['.', '/']).all(is_sysctl_word)) && last_ok
}

/// Which settings pods may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowlist {
    names: Vec<(String, Namespace)>,
    beginnings: Vec<(String, Namespace)>,
}

impl Default for Allowlist {
    /// The safe ones, of a kernel that has all of them in a namespace.
    fn default() -> Self {
        Self { names: safe((u32::MAX, u32::MAX)), beginnings: Vec::new() }
    }
}

fn safe(kernel: (u32, u32)) -> Vec<(String, Namespace)> {
    let known = SAFE.iter().filter(|(_, since)| *since <= kernel);
    known.filter_map(|(name, _)| Some(((*name).to_owned(), Namespace::of(name)?))).collect()
}

/// `6.1.0-18-amd64` is 6.1.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

impl Allowlist {
    /// The safe ones of this kernel (`6.1.0-18-amd64`), and those that the patterns name: `net.core.somaxconn`, `kernel.msg*`.
    ///
    /// # Errors
    /// For a pattern of what isn't known to be in a namespace.
    pub fn new(release: &str, patterns: &[String]) -> Result<Self, PatternError> {
        let mut list = Self { names: safe(version(release)), beginnings: Vec::new() };
        for pattern in patterns {
            if !is_pattern(pattern) {
                return Err(PatternError::Malformed(pattern.clone()));
            }
            let name = normalized(pattern);
            let beginning = name.strip_suffix('*');
            let namespace =
                beginning.map_or_else(|| Namespace::of(&name), Namespace::of_pattern).ok_or_else(|| PatternError::NotNamespaced(pattern.clone()))?;
            match beginning {
                Some(beginning) => list.beginnings.push((beginning.to_owned(), namespace)),
                None => list.names.push((name, namespace)),
            }
        }
        Ok(list)
    }

    /// Whether a pod may have its settings.
    ///
    /// # Errors
    /// Why it fails, in the kubelet's words.
    pub fn admit(&self, spec: &PodSpec) -> Result<(), String> {
        for sysctl in spec.security_context.iter().filter_map(|c| c.sysctls.as_ref()).flatten() {
            self.check(&sysctl.name, spec).map_err(|why| format!("forbidden sysctl: {why}"))?;
        }
        Ok(())
    }

    fn check(&self, name: &str, spec: &PodSpec) -> Result<(), String> {
        let name = normalized(name);
        let whole = self.names.iter().find(|(known, _)| *known == name);
        let found = whole.or_else(|| self.beginnings.iter().find(|(known, _)| name.starts_with(known)));
        // What the administrator allowed by its beginning must be a name too, and known to be in a namespace.
        let Some((_, namespace)) = found.filter(|(_, namespace)| is_sysctl(&name) && Setting::namespace(&name) == Some(*namespace)) else {
            return Err(format!("{name:?} not allowlisted"));
        };
        let (net, ipc) = (spec.host_network == Some(true), spec.host_ipc == Some(true));
        let nodes = match namespace {
            Namespace::Ipc => ipc,
            Namespace::Net | Namespace::Uts => net,
            Namespace::User => true,
        };
        if nodes { Err(format!("{name:?} not allowed with host {} enabled", namespace.name())) } else { Ok(()) }
    }
}

/// A setting of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whose.
    pub namespace: Namespace,
    /// Its name with dots.
    pub name: String,
    /// Its file below `/proc/sys`.
    path: PathBuf,
}

impl Setting {
    fn namespace(name: &str) -> Option<Namespace> {
        Namespace::of(name).or_else(|| PATTERNS.iter().find(|(known, _)| name.starts_with(known)).map(|(_, namespace)| *namespace))
    }

    /// A setting by its name; `None` for what is no name, or not known to be in a namespace.
    pub fn find(name: &str) -> Option<Self> {
        let name = normalized(name);
        let namespace = Self::namespace(&name).filter(|_| is_sysctl(&name))?;
        let path = name.split('.').map(|word| word.replace('/', ".")).collect();
        Some(Self { namespace, name, path })
    }

    /// Sets it in the namespaces of this thread.
    ///
    /// # Errors
    /// What the kernel says; it has no such setting in a namespace, or doesn't take the value.
    pub fn write(&self, value: &str) -> io::Result<()> {
        use rustix::fs::{Mode, OFlags};
        let place = Dir::open(Path::new("/proc/sys"))?.resolve(&self.path)?;
        let file = rustix::fs::open(crate::beneath::path_of(&place), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        std::fs::File::from(file).write_all(value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::Component;

    fn spec(name: &str, extra: serde_json::Value) -> PodSpec {
        let mut value = json!({"containers": [], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    fn list(patterns: &[&str]) -> Result<Allowlist, PatternError> {
        Allowlist::new("6.1.0-18-amd64", &patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_safe_or_allowed_is_admitted_where_it_is_the_pods_own() {
        let allowed = list(&["kernel.msg*", "kernel/sem", "net.b.*", "fs.mqueue.*", "kernel.shm_next_id*", "kernel.domainname"]);
        assert_eq!(allowed, Err(PatternError::NotNamespaced("kernel.shm_next_id*".into())));
        let list = list(&["kernel.msg*", "kernel/sem", "net.b.*", "fs.mqueue.*", "kernel.shm*", "kernel.domainname", "user.*"]).unwrap();
        let (net, ipc) = (json!({"hostNetwork": true}), json!({"hostIPC": true}));
        for (name, extra, want) in [
            ("kernel.shm_rmid_forced", json!({}), ""),
            ("kernel/shm_rmid_forced", net.clone(), ""),
            ("net.ipv4.tcp_rmem", ipc.clone(), ""),
            ("kernel.msg_next_id", json!({}), ""),
            ("kernel.sem", json!({}), ""),
            ("net/b/eno2.100", json!({}), ""),
            ("kernel.domainname", json!({}), ""),
            ("kernel.core_pattern", json!({}), "\"kernel.core_pattern\" not allowlisted"),
            ("kernel/core_pattern", json!({}), "\"kernel.core_pattern\" not allowlisted"),
            ("vm.stat_interval", json!({}), "\"vm.stat_interval\" not allowlisted"),
            ("kernel.shm/../core_pattern", json!({}), "\"kernel.shm/../core_pattern\" not allowlisted"),
            ("kernel.msg.x/../core_pattern", json!({}), "\"kernel.msg.x/../core_pattern\" not allowlisted"),
            ("net.b.\0", json!({}), "\"net.b.\\0\" not allowlisted"),
            ("net.b.", json!({}), "\"net.b.\" not allowlisted"),
            ("net.a.b.c", json!({}), "\"net.a.b.c\" not allowlisted"),
            ("net.ipv4.ip_local_port_range.a", json!({}), "\"net.ipv4.ip_local_port_range.a\" not allowlisted"),
            ("", json!({}), "\"\" not allowlisted"),
            ("net.b.c", net.clone(), "\"net.b.c\" not allowed with host Net enabled"),
            ("net.ipv4.ip_local_port_range", net, "\"net.ipv4.ip_local_port_range\" not allowed with host Net enabled"),
            ("kernel.sem", ipc.clone(), "\"kernel.sem\" not allowed with host IPC enabled"),
            ("fs.mqueue.queues_max", ipc, "\"fs.mqueue.queues_max\" not allowed with host IPC enabled"),
            ("user.max_user_namespaces", json!({}), "\"user.max_user_namespaces\" not allowed with host User enabled"),
        ] {
            let why = list.admit(&spec(name, extra)).err().unwrap_or_default();
            assert_eq!(why.strip_prefix("forbidden sysctl: ").unwrap_or(&why), want, "{name}");
        }
    }

    #[test]
    fn patterns_of_what_is_the_nodes_are_refused() {
        for bad in [" kernel.msg*", "kernel.msg* ", "net.-", "net.*.foo", "net.*/foo", "", "*", "../*", "net..*", "net.**"] {
            assert!(matches!(list(&[bad]), Err(PatternError::Malformed(_) | PatternError::NotNamespaced(_))), "{bad}");
        }
        for bad in ["foo", "foo*", "kernel.*", "kernel.core_pattern", "vm.*", "ne*", "net*", "kernel.s*"] {
            assert_eq!(list(&[bad]), Err(PatternError::NotNamespaced(bad.into())));
        }
    }

    #[test]
    fn old_kernels_have_fewer_safe_ones() {
        let names = |release| Allowlist::new(release, &[]).unwrap().names.len();
        assert_eq!((names("3.10.0"), names("3.16.1"), names("4.5"), names("4.14.0-x"), names("4.15.0"), names("6.18.44-fc")), (5, 6, 9, 11, 14, 14));
        assert_eq!(Allowlist::default().names.len(), 14);
    }

    #[test]
    fn words_may_have_dots_of_their_own() {
        let path = |name: &str| Setting::find(name).map(|s| s.path.display().to_string());
        assert_eq!(path("net/ipv4/conf/eno2.100/rp_filter").as_deref(), Some("net/ipv4/conf/eno2.100/rp_filter"));
        assert_eq!(path("net.ipv4.conf.eno2/100.rp_filter").as_deref(), Some("net/ipv4/conf/eno2.100/rp_filter"));
        assert_eq!(path("kernel.shm_rmid_forced").as_deref(), Some("kernel/shm_rmid_forced"));
        assert_eq!(path("kernel.core_pattern"), None);
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_its_namespaces_settings(name in "(net|kernel|fs|/|\\.|shm|msg|mqueue|\\.\\.|core_pattern|[a-z_]){1,8}|.{0,40}") {
            if let Some(setting) = Setting::find(&name) {
                let steps: Vec<_> = setting.path.components().collect();
                prop_assert!(steps.iter().all(|s| matches!(s, Component::Normal(_))));
                let path = setting.path.display().to_string();
                prop_assert!(["net/", "fs/mqueue/", "kernel/shm", "kernel/msg", "kernel/sem", "kernel/domainname", "user/"].iter().any(|p| path.starts_with(p)), "{}", path);
            }
        }
    }
}
