//! The decision itself, with reasons and messages in the kubelet's words.
use crate::pod::{Rejection, spec};
use k8s_openapi::api::core::v1::Pod;
use model::kinds::priority_class::CRITICAL;
use model::placement::fit::{Lack, lacking, ports_taken};
use model::placement::needs::Needs;
use model::placement::node::{NodeInfo, Usage};

/// The label of pods and nodes that names an operating system.
const OS_LABEL: &str = "kubernetes.io/os";
/// The operating system whose pods this node runs.
const OS: &str = "linux";

/// Whether a node whose pods ask for `used` runs one pod more.
///
/// # Errors
/// The first reason why it doesn't.
pub fn judge(pod: &Pod, needs: &Needs, node: &NodeInfo, used: &Usage) -> Result<(), Rejection> {
    let name = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
    let against = os(pod).or_else(|| {
        let short = lacking(&known(needs, node), &node.allocatable, used).next().map(|l| out_of(&l));
        let other = || placed(needs, name, node, used);
        // a critical pod's lack of resources counts only where there is nothing else
        if spec(pod).priority.is_some_and(|p| i64::from(p) >= CRITICAL) { other().or(short) } else { short.or_else(other) }
    });
    against.map_or(Ok(()), Err)
}

/// Whether a node whose other pods ask for `others` gives a pod this size.
///
/// # Errors
/// What there isn't enough of, and whether that is so for ever: the node as a whole doesn't have it.
pub fn resize(needs: &Needs, node: &NodeInfo, others: &Usage) -> Result<(), (bool, String)> {
    let sized = |lack: &Lack| matches!(lack.resource.as_ref(), "cpu" | "memory");
    if let Some(Lack { resource, requested, capacity, .. }) = lacking(needs, &node.allocatable, &Usage::default()).find(sized) {
        return Err((true, format!("Node didn't have enough capacity: {resource}, requested: {requested}, capacity: {capacity}")));
    }
    lacking(needs, &node.allocatable, others).find(sized).map_or(Ok(()), |lack| Err((false, out_of(&lack).message)))
}

fn os(pod: &Pod) -> Option<Rejection> {
    let rejection = |reason: &'static str, message: &str| Some(Rejection { reason: reason.into(), message: message.to_owned() });
    if pod.metadata.labels.as_ref().and_then(|l| l.get(OS_LABEL)).is_some_and(|os| os != OS) {
        return rejection("PodOSSelectorNodeLabelDoesNotMatch", "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label");
    }
    if spec(pod).os.as_ref().is_some_and(|os| os.name != OS) {
        return rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS");
    }
    None
}

/// The same without the extended resources that this node has nothing of: they may be the cluster's as a whole.
fn known(needs: &Needs, node: &NodeInfo) -> Needs {
    let mut needs = needs.clone();
    needs.requests.exact.extended.retain(|(name, _)| !is_extended(name) || node.allocatable.extended(name) != 0);
    needs
}

/// Whether a resource is none of Kubernetes' own.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

fn out_of(lack: &Lack) -> Rejection {
    let Lack { resource, requested, used, capacity } = lack;
    let message = format!("Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}");
    Rejection { reason: format!("OutOf{resource}").into(), message }
}

fn placed(needs: &Needs, name: &str, node: &NodeInfo, used: &Usage) -> Option<Rejection> {
    let rows: [(bool, &'static str, &str); 3] = [
        (!needs.may_run_on(name, &node.labels), "NodeAffinity", "node(s) didn't match Pod's node affinity/selector"),
        (ports_taken(needs, used), "NodePorts", "node(s) didn't have free ports for the requested pod ports"),
        (needs.evicted_by(&node.taints).is_some(), "TaintToleration", "node(s) had taints that the pod didn't tolerate"),
    ];
    let (_, plugin, why) = rows.into_iter().find(|(fails, ..)| *fails)?;
    Some(Rejection { reason: plugin.into(), message: format!("Predicate {plugin} failed: {why}") })
}
