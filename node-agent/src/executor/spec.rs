//! From a pod's container to what the runtime is told: pure.
use super::files::hostname;
use super::mounts::{SubPath, images, mounts};
use super::parts::Parts;
use super::paths::log_path;
use crate::component::Component;
use crate::env::{Room, expand};
use crate::pod::{TroubleKind, container_hash};
use crate::runtime::{ContainerSpec, Image, Seccomp};
use crate::sysctl::{Namespace, Setting};
use k8s_openapi::api::core::v1::{Container as Spec, Pod, PodSecurityContext, SecurityContext};
use std::collections::BTreeMap;

/// What comes of it.
pub struct Built {
    /// What the runtime is told.
    pub spec: ContainerSpec,
    /// Parts of volumes that are mounted, to be found before.
    pub sub_paths: Vec<SubPath>,
    /// The profile that [`Seccomp::File`] is to hold, by its name below the node's directory of profiles.
    pub profile: Option<String>,
}

/// What the runtime is told, and what it needs for it.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub fn build(parts: Parts<'_>) -> Result<Built, (TroubleKind, String)> {
    let c = parts.container;
    let spec = crate::pod::spec(parts.pod);
    let security = c.security_context.clone().unwrap_or_default();
    let pod_security = spec.security_context.clone().unwrap_or_default();
    let config = |why: String| (TroubleKind::CreateContainerConfigError, why);
    let user = user(parts.pod, c, &security, &pod_security, parts.image).map_err(config)?;
    let known: BTreeMap<&str, &str> = parts.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let lookup = |name: &str| known.get(name).copied();
    let mut room = Room::default();
    let mut expanded = |words: &Option<Vec<String>>| {
        let words = words.as_ref().filter(|words| !words.is_empty());
        words.map(|words| words.iter().map(|word| expand(word, lookup, &mut room)).collect::<Result<_, _>>()).transpose().map_err(|e| config(e.0))
    };
    let (entrypoint, args) = (expanded(&c.command)?, expanded(&c.args)?);
    let (mounts, sub_paths) = mounts(&parts, lookup).map_err(config)?;
    let images = images(&parts).map_err(config)?;
    let profile = profile(&security, &pod_security).map_err(config)?;
    let groups = pod_security.supplemental_groups.iter().flatten().chain(&pod_security.fs_group).map(ToString::to_string).collect();
    let capabilities = security.capabilities.clone().unwrap_or_default();
    let host_network = spec.host_network == Some(true);
    let spec = ContainerSpec {
        name: c.name.clone(),
        attempt: parts.attempt,
        hash: container_hash(c),
        sandbox: parts.sandbox.id.clone(),
        namespaces: parts.sandbox.namespaces.clone(),
        image: parts.image.id.clone(),
        image_name: c.image.clone().unwrap_or_default(),
        image_reference: parts.image.reference.clone(),
        entrypoint,
        args,
        work_dir: c.working_dir.clone().filter(|d| !d.is_empty()),
        user,
        groups,
        mounts,
        images,
        log: log_path(parts.dir, &c.name, parts.attempt),
        stdin: c.stdin == Some(true),
        stdin_once: c.stdin_once == Some(true),
        tty: c.tty == Some(true),
        grace: spec.termination_grace_period_seconds.unwrap_or(30),
        limits: crate::resources::limits(parts.pod, c, parts.memory),
        privileged: security.privileged == Some(true),
        cap_add: capabilities.add.unwrap_or_default(),
        cap_drop: capabilities.drop.unwrap_or_default(),
        no_new_privileges: security.allow_privilege_escalation == Some(false),
        read_only_root: security.read_only_root_filesystem == Some(true),
        seccomp: if profile.is_some() { Seccomp::File(parts.dir.join("seccomp").join(Component::of(&c.name))) } else { seccomp(&security, &pod_security) },
        selinux: selinux(&security, &pod_security),
        processes: None,
        host_pid: spec.host_pid == Some(true),
        host_uts: host_network,
        hostname: hostname(&parts.id.name, spec),
        sysctls: own_settings(&pod_security),
        pod: parts.id,
        env: parts.env,
    };
    Ok(Built { spec, sub_paths, profile })
}

/// Settings of namespaces that each container has for itself; the others are the sandbox's.
fn own_settings(pod: &PodSecurityContext) -> Vec<(String, String)> {
    let own = |name: &str| Setting::find(name).filter(|s| s.namespace == Namespace::Uts).map(|s| s.name);
    pod.sysctls.iter().flatten().filter_map(|s| Some((own(&s.name)?, s.value.clone()))).collect()
}

/// A container's own options stand in the place of its pod's as a whole.
fn selinux(own: &SecurityContext, pod: &PodSecurityContext) -> Vec<String> {
    let options = own.se_linux_options.as_ref().or(pod.se_linux_options.as_ref());
    let parts = options.map(|o| [("user", &o.user), ("role", &o.role), ("type", &o.type_), ("level", &o.level)]);
    parts.into_iter().flatten().filter_map(|(part, value)| Some(format!("{part}:{}", value.as_ref().filter(|v| !v.is_empty())?))).collect()
}

fn seccomp(own: &SecurityContext, pod: &PodSecurityContext) -> Seccomp {
    match own.seccomp_profile.as_ref().or(pod.seccomp_profile.as_ref()) {
        Some(p) if p.type_ == "RuntimeDefault" => Seccomp::RuntimeDefault,
        _ => Seccomp::Unconfined,
    }
}

/// The name of the node's own profile that is asked for.
fn profile(own: &SecurityContext, pod: &PodSecurityContext) -> Result<Option<String>, String> {
    let asked = match own.seccomp_profile.as_ref().or(pod.seccomp_profile.as_ref()) {
        None => return Ok(None),
        Some(p) if matches!(p.type_.as_str(), "RuntimeDefault" | "Unconfined") => return Ok(None),
        Some(p) if p.type_ == "Localhost" => p,
        // Who asks for a filter doesn't run without one.
        Some(p) => return Err(format!("unknown seccomp profile type {:?}", p.type_)),
    };
    let named = asked.localhost_profile.clone().filter(|name| !name.is_empty());
    named.map(Some).ok_or_else(|| "localhostProfile must be set if seccompProfile type is Localhost.".to_owned())
}

fn user(pod: &Pod, c: &Spec, own: &SecurityContext, of_pod: &PodSecurityContext, image: &Image) -> Result<Option<String>, String> {
    let user = own.run_as_user.or(of_pod.run_as_user);
    let group = own.run_as_group.or(of_pod.run_as_group);
    let image_user = image.user.split(':').next().unwrap_or_default();
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        let name = format!("(pod: \"{}\", container: {})", crate::pod::full_name(pod), c.name);
        match user {
            Some(0) => return Err(format!("container's runAsUser breaks non-root policy {name}")),
            Some(_) => {}
            None if image_user.is_empty() || image_user == "0" || image_user == "root" => {
                return Err(format!("container has runAsNonRoot and image will run as root {name}"));
            }
            None if image_user.parse::<u32>().is_err() => {
                return Err(format!("container has runAsNonRoot and image has non-numeric user ({image_user}), cannot verify user is non-root {name}"));
            }
            None => {}
        }
    }
    let first = user.map_or_else(|| image_user.to_owned(), |u| u.to_string());
    Ok(match (user, group) {
        (None, None) => None,
        (_, None) => Some(first),
        (_, Some(group)) => Some(format!("{}:{group}", if first.is_empty() { "0" } else { &first })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{PodRef, Sandbox};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::path::Path;

    fn built(container: Value, pod_security: Value, image_user: &str) -> Result<ContainerSpec, String> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [container], "securityContext": pod_security, "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x"}}]}})).unwrap();
        let image = Image { id: "i".into(), user: image_user.into(), ..Image::default() };
        let sandbox = Sandbox::default();
        let parts = Parts {
            pod: &pod,
            id: PodRef { uid: "u".into(), namespace: "n".into(), name: "p".into() },
            container: &crate::pod::spec(&pod).containers[0],
            attempt: 2,
            sandbox: &sandbox,
            image: &image,
            env: vec![("A".into(), "1".into())],
            dir: Path::new("/d"),
            memory: 1 << 30,
        };
        build(parts).map(|built| built.spec).map_err(|(_, why)| why)
    }

    #[test]
    fn words_are_expanded_and_users_made() {
        let got = built(
            json!({"name": "c", "command": ["run", "$(A)"], "args": ["$(B)"], "securityContext": {"runAsUser": 5}}),
            json!({"runAsGroup": 7, "fsGroup": 9}),
            "",
        )
        .unwrap();
        assert_eq!((got.entrypoint, got.args), (Some(vec!["run".into(), "1".into()]), Some(vec!["$(B)".into()])));
        assert_eq!((got.user.as_deref(), got.groups), (Some("5:7"), vec!["9".to_owned()]));
        assert_eq!(built(json!({"name": "c"}), json!({"runAsGroup": 7}), "web").unwrap().user.as_deref(), Some("web:7"));
        assert_eq!(built(json!({"name": "c"}), json!({}), "web").unwrap().user, None);
    }

    #[test]
    fn filters_are_what_was_asked_for() {
        let with = |profile: Value| built(json!({"name": "c", "securityContext": {"seccompProfile": profile}}), json!({}), "").map(|spec| spec.seccomp);
        assert_eq!(with(json!({"type": "RuntimeDefault"})), Ok(Seccomp::RuntimeDefault));
        assert_eq!(with(json!({"type": "Unconfined"})), Ok(Seccomp::Unconfined));
        assert_eq!(with(json!({"type": "Localhost", "localhostProfile": "../../etc/passwd"})), Ok(Seccomp::File("/d/seccomp/c".into())));
        assert_eq!(with(json!({"type": "Localhost"})), Err("localhostProfile must be set if seccompProfile type is Localhost.".into()));
        assert_eq!(with(json!({"type": "runtimeDefault"})), Err("unknown seccomp profile type \"runtimeDefault\"".into()));
    }

    #[test]
    fn a_label_is_asked_for_in_parts() {
        let label = |own: Value, pod: Value| {
            built(json!({"name": "c", "securityContext": {"seLinuxOptions": own}}), json!({"seLinuxOptions": pod}), "").unwrap().selinux
        };
        assert_eq!(label(Value::Null, json!({"level": "s0:c1,c2", "type": "web_t"})), ["type:web_t", "level:s0:c1,c2"]);
        assert_eq!(label(json!({"role": "r", "user": ""}), json!({"level": "s0"})), ["role:r"], "the container's own stand for the whole");
        assert!(label(json!({}), json!({"level": "s0"})).is_empty());
    }

    #[test]
    fn root_is_refused_where_it_must_be() {
        let refused = |user: &str, own: Value| built(json!({"name": "c", "securityContext": own}), json!({"runAsNonRoot": true}), user).unwrap_err();
        assert_eq!(refused("", json!({})), "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)");
        assert!(refused("web", json!({})).contains("non-numeric user (web)"));
        assert!(refused("5", json!({"runAsUser": 0})).contains("breaks non-root policy"));
        assert!(built(json!({"name": "c"}), json!({"runAsNonRoot": true}), "5").is_ok());
    }

    proptest! {
        /// Whatever a pod's fields say: what the runtime is told is a container of this pod, in its own directory, without anything that wasn't asked for.
        #[test]
        fn no_field_gives_more_than_it_says(words in proptest::collection::vec("(\\.\\./|/|\u{0}|[a-z\"{}:,%\n]){0,8}|.{0,40}", 16), numbers in proptest::collection::vec(any::<i64>(), 6)) {
            let w = |i: usize| words[i].clone();
            let security = json!({"runAsUser": numbers[0], "runAsGroup": numbers[1], "capabilities": {"add": [w(0)], "drop": [w(1)]},
                "seccompProfile": {"type": "Localhost", "localhostProfile": w(2)}});
            let container = json!({"name": w(3), "image": w(4), "command": [w(5)], "args": [w(6)], "workingDir": w(7), "terminationMessagePath": w(8),
                "securityContext": security, "resources": {"limits": {"cpu": numbers[2].to_string(), "memory": numbers[3].to_string()}}});
            let spec = json!({"containers": [container], "hostname": w(9), "subdomain": w(10), "terminationGracePeriodSeconds": numbers[4],
                "securityContext": {"fsGroup": numbers[5], "sysctls": [{"name": w(11), "value": w(12)}, {"name": "kernel.domainname", "value": w(12)}]}});
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": w(13), "namespace": w(14), "uid": w(15)}, "spec": spec})).unwrap();
            let id = PodRef { uid: w(15), namespace: w(14), name: w(13) };
            let dir = Path::new("/pods").join(Component::of(&id.uid));
            let net = dir.join("ns/net");
            let sandbox = Sandbox { namespaces: crate::runtime::NamespacePaths { net: Some(net.clone()), ipc: None }, ..Sandbox::default() };
            let image = Image { id: "i".into(), ..Image::default() };
            let parts = Parts { pod: &pod, id, container: &crate::pod::spec(&pod).containers[0], attempt: 0, sandbox: &sandbox, image: &image, env: Vec::new(), dir: &dir, memory: 1 << 30 };
            if let Ok(Built { spec, profile, .. }) = build(parts) {
                let inside = |p: &Path| p.starts_with(&dir) && p.components().all(|s| matches!(s, std::path::Component::Normal(_) | std::path::Component::RootDir));
                prop_assert!(inside(&spec.log) && spec.mounts.iter().all(|m| inside(&m.source)));
                prop_assert!(!spec.privileged && !spec.host_pid && !spec.host_uts);
                match &spec.seccomp {
                    Seccomp::File(path) => prop_assert!(inside(path) && profile.is_some()),
                    other => prop_assert!(*other == Seccomp::Unconfined && w(2).is_empty()),
                }
                prop_assert!(spec.sysctls.iter().all(|(name, _)| name == "kernel.domainname"));
                let body = crate::runtime::podman::body(&spec);
                let read: Value = serde_json::from_str(&body.to_string()).unwrap();
                prop_assert_eq!(&read["netns"], &json!({"nsmode": "path", "value": net}));
                prop_assert_eq!((&read["image"], &read["privileged"], &read["labels"][crate::runtime::podman::UID]), (&json!("i"), &json!(false), &json!(w(15))));
                prop_assert!(read["stop_timeout"].as_u64().is_some());
            }
        }
    }
}
