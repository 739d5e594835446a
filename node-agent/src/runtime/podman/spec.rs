//! Converts a container's definition to the JSON of Podman's API (`SpecGenerator`).
use crate::runtime::{ContainerSpec, ImageMount, Limits, Mount, Seccomp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Labels by which an agent finds its pods' containers again.
pub mod label {
    /// Pod's UID.
    pub const UID: &str = "io.whalesong.pod.uid";
    /// Pod's namespace.
    pub const NAMESPACE: &str = "io.whalesong.pod.namespace";
    /// Pod's name.
    pub const POD: &str = "io.whalesong.pod.name";
    /// Container's name in the pod.
    pub const CONTAINER: &str = "io.whalesong.container";
    /// Which run of it.
    pub const ATTEMPT: &str = "io.whalesong.attempt";
    /// Hash of its definition.
    pub const HASH: &str = "io.whalesong.hash";
    /// The image's name.
    pub const IMAGE: &str = "io.whalesong.image";
    /// The image's digest.
    pub const IMAGE_REFERENCE: &str = "io.whalesong.image.reference";
    /// The sandbox it belongs to.
    pub const SANDBOX: &str = "io.whalesong.sandbox";
}

/// Annotation of a container whose stdin stays open when who attached to it leaves; the agent's conmon looks for it.
pub const STDIN_STAYS: &str = "io.whalesong.stdin.stays";

fn namespace(path: Option<&std::path::PathBuf>) -> Value {
    match path {
        Some(path) => json!({"nsmode": "path", "value": path}),
        None => json!({"nsmode": "host"}),
    }
}

fn processes(spec: &ContainerSpec) -> Value {
    match &spec.processes {
        Some(path) => namespace(Some(path)),
        None => json!({"nsmode": if spec.host_pid { "host" } else { "private" }}),
    }
}

fn mount(m: &Mount) -> Value {
    json!({"destination": m.target, "type": "bind", "source": m.source, "options": ["rbind", m.propagation, if m.read_only { "ro" } else { "rw" }]})
}

/// What a container may use, as its definition and a change of it say.
pub fn limits(l: &Limits) -> Value {
    let mut out = Map::new();
    let mut cpu = Map::new();
    if let Some(shares) = l.cpu_shares {
        cpu.insert("shares".into(), json!(shares));
    }
    if let Some(quota) = l.cpu_quota {
        cpu.insert("quota".into(), json!(quota));
        cpu.insert("period".into(), json!(100_000));
    }
    if !cpu.is_empty() {
        out.insert("cpu".into(), cpu.into());
    }
    if let Some(bytes) = l.memory {
        out.insert("memory".into(), json!({"limit": bytes}));
    }
    out.into()
}

fn labels(spec: &ContainerSpec) -> Value {
    json!({
        label::UID: spec.pod.uid, label::NAMESPACE: spec.pod.namespace, label::POD: spec.pod.name,
        label::CONTAINER: spec.name, label::ATTEMPT: spec.attempt.to_string(), label::HASH: spec.hash, label::SANDBOX: spec.sandbox,
        label::IMAGE: spec.image_name, label::IMAGE_REFERENCE: spec.image_reference,
    })
}

fn capability(name: &String) -> String {
    if name == "ALL" || name.starts_with("CAP_") { name.clone() } else { format!("CAP_{name}") }
}

/// The body of `containers/create`.
pub fn body(spec: &ContainerSpec) -> Value {
    let env: BTreeMap<&String, &String> = spec.env.iter().map(|(k, v)| (k, v)).collect();
    let mut body = json!({
        "name": format!("{}_{}_{}_{}_{}", spec.name, spec.pod.name, spec.pod.namespace, spec.pod.uid, spec.attempt),
        "image": spec.image,
        "labels": labels(spec),
        "env": env,
        "unsetenv": ["TERM", "container"],
        "netns": namespace(spec.namespaces.net.as_ref()),
        "ipcns": namespace(spec.namespaces.ipc.as_ref()),
        "pidns": processes(spec),
        "utsns": {"nsmode": if spec.host_uts { "host" } else { "private" }},
        "use_image_hosts": true,
        "use_image_resolve_conf": true,
        "mounts": spec.mounts.iter().map(mount).collect::<Vec<_>>(),
        "log_configuration": {"driver": "k8s-file", "path": spec.log, "size": -1},
        "resource_limits": limits(&spec.limits),
        "annotations": if spec.stdin && !spec.stdin_once { json!({STDIN_STAYS: "true"}) } else { json!({}) },
        "stdin": spec.stdin,
        "terminal": spec.tty,
        "privileged": spec.privileged,
        "cap_add": spec.cap_add.iter().map(capability).collect::<Vec<_>>(),
        "cap_drop": spec.cap_drop.iter().map(capability).collect::<Vec<_>>(),
        "no_new_privileges": spec.no_new_privileges,
        "read_only_filesystem": spec.read_only_root,
        "groups": spec.groups,
        "sdnotifyMode": "ignore",
        "systemd": "false",
        "healthconfig": {"Test": ["NONE"]},
        "restart_policy": "no",
        "stop_timeout": spec.grace.max(0),
    });
    if let Value::Object(map) = &mut body {
        optional(map, spec);
    }
    body
}

fn optional(map: &mut Map<String, Value>, spec: &ContainerSpec) {
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(key.to_owned(), value);
        }
    };
    let image = |image: &ImageMount| json!({"Source": image.image, "Destination": image.target, "ReadWrite": false});
    put("image_volumes", (!spec.images.is_empty()).then(|| spec.images.iter().map(image).collect()));
    put("hostname", (!spec.host_uts).then(|| json!(spec.hostname)));
    put("entrypoint", spec.entrypoint.as_ref().map(|v| json!(v)));
    put("command", spec.args.as_ref().map(|v| json!(v)));
    put("work_dir", spec.work_dir.as_ref().map(|v| json!(v)));
    put("user", spec.user.as_ref().map(|v| json!(v)));
    let sysctls: BTreeMap<&String, &String> = spec.sysctls.iter().map(|(k, v)| (k, v)).collect();
    put("sysctl", (!sysctls.is_empty()).then(|| json!(sysctls)));
    put("selinux_opts", (!spec.selinux.is_empty()).then(|| json!(spec.selinux)));
    put("oom_score_adj", spec.limits.oom_score_adj.map(|v| json!(v)));
    put(
        "seccomp_profile_path",
        match &spec.seccomp {
            Seccomp::Unconfined => Some(json!("unconfined")),
            Seccomp::RuntimeDefault => None,
            Seccomp::File(path) => Some(json!(path)),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_left_to_the_image() {
        let body = body(&ContainerSpec { image: "abc".into(), ..ContainerSpec::default() });
        for absent in ["entrypoint", "command", "user", "work_dir", "oom_score_adj"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
        assert_eq!(body["seccomp_profile_path"], "unconfined");
        assert_eq!(body["netns"]["nsmode"], "host");
    }

    #[test]
    fn limits_and_capabilities() {
        let limits = Limits { cpu_shares: Some(512), cpu_quota: Some(50_000), memory: Some(1 << 20), oom_score_adj: Some(-997) };
        let body = body(&ContainerSpec { limits, cap_add: vec!["NET_ADMIN".into()], cap_drop: vec!["ALL".into()], ..ContainerSpec::default() });
        assert_eq!(body["resource_limits"], json!({"cpu": {"shares": 512, "quota": 50_000, "period": 100_000}, "memory": {"limit": 1 << 20}}));
        assert_eq!(body["cap_add"], json!(["CAP_NET_ADMIN"]));
        assert_eq!(body["cap_drop"], json!(["ALL"]));
        assert_eq!(body["oom_score_adj"], -997);
    }
}
