//! Explains why a container has no log, in the kubelet's words.
use crate::pod::inits;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// Why there is none of a container that has no run, or (`previous`) no run before the last one.
pub fn why(pod: &Pod, name: &str, previous: bool) -> String {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let container = format!("container \"{name}\" in pod \"{pod_name}\"");
    if previous {
        return format!("previous terminated {container} not found");
    }
    match reason(pod, name) {
        Absence::Unknown => format!("{container} is not available"),
        Absence::Terminated => format!("{container} is terminated"),
        Absence::NoLogs => format!("{container} is waiting to start - no logs yet"),
        Absence::Waits("ErrImagePull") => format!("{container} is waiting to start: image can't be pulled"),
        Absence::Waits("ImagePullBackOff") => format!("{container} is waiting to start: trying and failing to pull image"),
        Absence::Waits(reason) => format!("{container} is waiting to start: {reason}"),
    }
}

enum Absence<'a> {
    /// The pod's status doesn't name the container.
    Unknown,
    /// It ended without a log.
    Terminated,
    /// It waits, for this reason.
    Waits(&'a str),
    /// Its state isn't known.
    NoLogs,
}

fn reason<'a>(pod: &'a Pod, name: &str) -> Absence<'a> {
    let status = pod.status.as_ref();
    let mut all =
        status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses).chain(&s.ephemeral_container_statuses).flatten()).peekable();
    if all.peek().is_none() && status.is_none_or(|s| s.phase.as_deref() != Some("Failed")) {
        return Absence::Waits(if inits(pod).is_empty() { "ContainerCreating" } else { "PodInitializing" });
    }
    all.find(|c| c.name == name).map_or(Absence::Unknown, of)
}

fn of(container: &ContainerStatus) -> Absence<'_> {
    let Some(state) = &container.state else { return Absence::NoLogs };
    let ended = state.terminated.is_some() || container.last_state.as_ref().is_some_and(|l| l.terminated.is_some());
    match &state.waiting {
        _ if ended => Absence::Terminated,
        Some(waiting) => Absence::Waits(waiting.reason.as_deref().unwrap_or_default()),
        None => Absence::NoLogs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "y"}, "spec": {"containers": [{"name": "x"}]}, "status": status})).unwrap()
    }

    #[test]
    fn each_state_has_its_words() {
        let x = |state: Value| json!({"containerStatuses": [{"name": "x", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]});
        let waits = |reason: &str| x(json!({"waiting": {"reason": reason}}));
        let rows = [
            (waits("ContainerCreating"), "is waiting to start: ContainerCreating"),
            (waits("PodInitializing"), "is waiting to start: PodInitializing"),
            (waits("ErrImagePull"), "is waiting to start: image can't be pulled"),
            (waits("ImagePullBackOff"), "is waiting to start: trying and failing to pull image"),
            (waits("CreateContainerConfigError"), "is waiting to start: CreateContainerConfigError"),
            (x(json!({"terminated": {"exitCode": 1}})), "is terminated"),
            (x(json!({})), "is waiting to start - no logs yet"),
            (x(json!({"running": {}})), "is waiting to start - no logs yet"),
            (json!({}), "is waiting to start: ContainerCreating"),
            (json!({"phase": "Failed"}), "is not available"),
        ];
        for (status, want) in rows {
            assert_eq!(why(&pod(status.clone()), "x", false), format!("container \"x\" in pod \"y\" {want}"), "{status}");
        }
        assert_eq!(why(&pod(waits("ContainerCreating")), "z", false), "container \"z\" in pod \"y\" is not available");
        assert_eq!(why(&pod(json!({})), "x", true), "previous terminated container \"x\" in pod \"y\" not found");
    }

    #[test]
    fn init_containers_too() {
        let status = json!({"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}});
        let p = pod(json!({"initContainerStatuses": [status]}));
        assert_eq!(why(&p, "i", false), "container \"i\" in pod \"y\" is waiting to start: trying and failing to pull image");
    }
}
