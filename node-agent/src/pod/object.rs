//! What a pod's object says of it.
use k8s_openapi::api::core::v1::{Container as Spec, Pod, PodSpec};

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

/// A container of the pod by its name, init containers included.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Spec> {
    spec(pod).containers.iter().chain(inits(pod)).find(|c| c.name == name)
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

/// Hash of what makes a container another one when it changes.
pub fn container_hash(container: &Spec) -> String {
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
