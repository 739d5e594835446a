//! The sizes of a pod's containers: what CPU and memory they are to have, what the node has allotted to them, and what a run of one has. Pure.
use super::object::{inits, spec};
use k8s_openapi::api::core::v1::{Container as Spec, ContainerStatus, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use model::quantity::Quantity;
use serde_json::json;
use std::collections::BTreeMap;

/// What a container asks for and is limited to, by its name.
pub type Sizes = BTreeMap<String, ResourceRequirements>;

/// The condition of a pod that waits for another size.
pub const PENDING: &str = "PodResizePending";

/// Why a pod has not the size that is wanted, as its condition says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whether this node can never give it.
    pub infeasible: bool,
    /// What there isn't enough of.
    pub message: String,
    /// The generation of the pod that asks for it.
    pub generation: Option<i64>,
}

impl Pending {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        if self.infeasible { "Infeasible" } else { "Deferred" }
    }
}

/// How a run gets its container's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has it.
    Nothing,
    /// While it runs.
    Apply,
    /// By a new run.
    Restart,
}

fn sized(pod: &Pod) -> impl Iterator<Item = &Spec> {
    spec(pod).containers.iter().chain(inits(pod))
}

/// What the containers of a pod are to have.
pub fn asked(pod: &Pod) -> Sizes {
    sized(pod).map(|c| (c.name.clone(), c.resources.clone().unwrap_or_default())).collect()
}

/// What was allotted to the containers as the pod's status says; what is asked for of those of which it says nothing.
pub fn said(pod: &Pod) -> Sizes {
    let mut sizes = asked(pod);
    for (name, size) in &mut sizes {
        let Some(status) = statuses(pod).find(|s| s.name == *name) else { continue };
        if let Some(resources) = &status.resources {
            size.limits.clone_from(&resources.limits);
            size.requests.clone_from(&resources.requests);
        }
        if status.allocated_resources.is_some() {
            size.requests.clone_from(&status.allocated_resources);
        }
    }
    sizes
}

/// Why the pod has not the size that is wanted, as its status says.
pub fn said_pending(pod: &Pod) -> Option<Pending> {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let said = conditions.into_iter().find(|c| c.type_ == PENDING && c.status == "True")?;
    let infeasible = said.reason.as_deref() == Some("Infeasible");
    Some(Pending { infeasible, message: said.message.clone().unwrap_or_default(), generation: said.observed_generation })
}

/// What a run of a container has, as the pod's status says.
pub fn said_of_run(pod: &Pod, container: &str, run: &str) -> Option<ResourceRequirements> {
    let status = statuses(pod).find(|s| s.name == container)?;
    status.resources.clone().filter(|_| status.container_id.as_deref().and_then(|id| id.strip_prefix("podman://")) == Some(run))
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses).flatten())
}

/// The pod with containers of these sizes.
pub fn with(pod: &Pod, sizes: &Sizes) -> Pod {
    let mut pod = pod.clone();
    let Some(PodSpec { containers, init_containers, .. }) = &mut pod.spec else { return pod };
    for c in containers.iter_mut().chain(init_containers.iter_mut().flatten()) {
        if let Some(size) = sizes.get(&c.name) {
            c.resources = Some(size.clone());
        }
    }
    pod
}

/// Whether sizes are the same, however they are written.
pub fn same(a: &Sizes, b: &Sizes) -> bool {
    a.len() == b.len() && a.iter().all(|(name, size)| b.get(name).is_some_and(|other| !differs(size, other, "cpu") && !differs(size, other, "memory")))
}

fn differs(a: &ResourceRequirements, b: &ResourceRequirements, resource: &str) -> bool {
    let amount = |list: &Option<BTreeMap<String, Written>>| -> Option<Quantity> { list.as_ref()?.get(resource)?.0.parse().ok() };
    amount(&a.requests) != amount(&b.requests) || amount(&a.limits) != amount(&b.limits)
}

/// What is to be done with a run that has this size; nothing where that isn't known.
pub fn step(c: &Spec, has: Option<&ResourceRequirements>) -> Step {
    let (Some(has), wanted) = (has, c.resources.clone().unwrap_or_default()) else { return Step::Nothing };
    let restarts = |resource: &str| {
        let policies = c.resize_policy.iter().flatten();
        policies.into_iter().any(|p| p.resource_name == resource && p.restart_policy == "RestartContainer")
    };
    let changed: Vec<&str> = ["cpu", "memory"].into_iter().filter(|resource| differs(has, &wanted, resource)).collect();
    match changed.as_slice() {
        [] => Step::Nothing,
        some if some.iter().any(|resource| restarts(resource)) => Step::Restart,
        _ => Step::Apply,
    }
}

/// What an event says of a resize: `what`, and the sizes of the pod's containers.
pub fn words(what: &str, pod: &Pod, error: &str) -> String {
    let each = |list: &[Spec]| list.iter().map(|c| json!({"name": c.name, "resources": c.resources.clone().unwrap_or_default()})).collect::<Vec<_>>();
    let mut parts = Vec::new();
    for (name, list) in [("initContainers", inits(pod)), ("containers", spec(pod).containers.as_slice())] {
        if !list.is_empty() {
            parts.push(format!("\"{name}\":{}", json!(each(list))));
        }
    }
    parts.push(format!("\"generation\":{}", pod.metadata.generation.unwrap_or_default()));
    if !error.is_empty() {
        parts.push(format!("\"error\":{}", json!(error)));
    }
    format!("{what}: {{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn pod(resources: Value, status: Value) -> Pod {
        let c = json!({"name": "c", "resources": resources, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "memory", "restartPolicy": "RestartContainer"}]});
        serde_json::from_value(json!({"metadata": {"generation": 3}, "spec": {"containers": [c]}, "status": status})).unwrap()
    }

    fn status(more: Value) -> Value {
        let mut c = json!({"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0, "containerID": "podman://r"});
        c.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"containerStatuses": [c]})
    }

    #[test]
    fn what_a_run_needs() {
        let wanted = pod(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}), json!({}));
        let rows = [
            (json!({"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "2"}}), Step::Nothing),
            (json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "2"}}), Step::Apply),
            (json!({"requests": {"cpu": "1", "memory": "1Gi"}}), Step::Apply),
            (json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2"}}), Step::Restart),
            (json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2"}}), Step::Restart),
        ];
        for (has, want) in rows {
            let has: ResourceRequirements = serde_json::from_value(has).unwrap();
            assert_eq!(step(&spec(&wanted).containers[0], Some(&has)), want, "{has:?}");
        }
        assert_eq!(step(&spec(&wanted).containers[0], None), Step::Nothing);
    }

    #[test]
    fn an_agent_that_begins_reads_what_was_allotted() {
        let allotted = json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}, "allocatedResources": {"cpu": "2"}});
        let p = pod(json!({"requests": {"cpu": "5"}, "limits": {"cpu": "5"}}), status(allotted));
        let got = said(&p);
        assert_eq!(json!(got["c"]), json!({"requests": {"cpu": "2"}, "limits": {"cpu": "3"}}));
        assert_eq!(asked(&with(&p, &got)), got);
        assert!(said_of_run(&p, "c", "r").is_some() && said_of_run(&p, "c", "other").is_none());
        let fresh = pod(json!({"requests": {"cpu": "5"}}), json!({}));
        assert!(same(&said(&fresh), &asked(&fresh)));
    }

    #[test]
    fn events_say_the_sizes() {
        let p = pod(json!({"requests": {"cpu": "1"}}), json!({}));
        let want = "Pod resize started: {\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}],\"generation\":3}";
        assert_eq!(words("Pod resize started", &p, ""), want);
    }
}
