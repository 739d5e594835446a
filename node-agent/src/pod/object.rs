//! What a pod's object says of it.
use crate::runtime::Container;
use k8s_openapi::api::core::v1::{Container as Spec, EphemeralContainer, Pod, PodSpec};
use std::borrow::Cow;

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever the exit code.
    Always,
    /// Unless the exit code is 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// A pod's spec; an empty one for an object that has none.
pub fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
    pod.spec.as_ref().unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
}

/// The pod's own restart policy.
pub fn restart_policy(pod: &Pod) -> RestartPolicy {
    match spec(pod).restart_policy.as_deref() {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

/// Init containers, in order.
pub fn inits(pod: &Pod) -> &[Spec] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// Whether an init container goes on beside the others.
pub fn is_sidecar(container: &Spec) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Containers that were added to look into the pod.
pub fn ephemerals(pod: &Pod) -> &[EphemeralContainer] {
    spec(pod).ephemeral_containers.as_deref().unwrap_or_default()
}

/// A container of the pod by its name, of whichever kind.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<Cow<'a, Spec>> {
    let own = spec(pod).containers.iter().chain(inits(pod)).find(|c| c.name == name).map(Cow::Borrowed);
    own.or_else(|| ephemerals(pod).iter().find(|c| c.name == name).map(|c| Cow::Owned(as_container(c))))
}

/// An ephemeral container as any other one: with what such a one can have.
pub fn as_container(c: &EphemeralContainer) -> Spec {
    let c = c.clone();
    Spec {
        args: c.args,
        command: c.command,
        env: c.env,
        env_from: c.env_from,
        image: c.image,
        image_pull_policy: c.image_pull_policy,
        name: c.name,
        security_context: c.security_context,
        stdin: c.stdin,
        stdin_once: c.stdin_once,
        termination_message_path: c.termination_message_path,
        termination_message_policy: c.termination_message_policy,
        tty: c.tty,
        volume_mounts: c.volume_mounts,
        working_dir: c.working_dir,
        ..Spec::default()
    }
}

/// The policy by which a container of the pod is started again.
pub fn policy_of(pod: &Pod, name: &str) -> RestartPolicy {
    match inits(pod).iter().find(|c| c.name == name) {
        Some(init) => init_policy(pod, init),
        None if ephemerals(pod).iter().any(|c| c.name == name) => RestartPolicy::Never,
        None => restart_policy(pod),
    }
}

/// The restart policy of an init container: a sidecar's is Always, and Always for the pod means OnFailure for the others.
pub fn init_policy(pod: &Pod, container: &Spec) -> RestartPolicy {
    match restart_policy(pod) {
        _ if is_sidecar(container) => RestartPolicy::Always,
        RestartPolicy::Never => RestartPolicy::Never,
        RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::OnFailure,
    }
}

/// `name_namespace(uid)`, as messages of the kubelet name a pod.
pub fn full_name(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    format!("{}_{}({})", text(&meta.name), text(&meta.namespace), text(&meta.uid))
}

/// Hash of what makes a container another one when it changes: not its size, which it can change as it runs.
pub fn container_hash(container: &Spec) -> String {
    hash(&Spec { resources: None, resize_policy: None, ..container.clone() })
}

/// Whether a run was made from this definition. Agents of older versions counted its size.
pub fn is_made_from(run: &Container, container: &Spec) -> bool {
    run.hash == container_hash(container) || run.hash == hash(container)
}

fn hash(container: &Spec) -> String {
    use sha2::{Digest, Sha256};
    let json = serde_json::to_vec(container).unwrap_or_default();
    Sha256::digest(&json).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Whether a container that ended so is started again.
pub fn restarts(policy: RestartPolicy, code: i32) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => code != 0,
        RestartPolicy::Never => false,
    }
}
