//! The node's object, its status and its lease, as JSON: pure.
use super::machine::{Pressures, arch};
use super::registration::Registration;
use crate::executor::NodeInfo;
use crate::proxy::REASON;
use crate::runtime::{Image, Version};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::NodeCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use model::storage::DIRECTORIES;
use model::{ApiError, Key, Object, Stored};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long others believe a lease that isn't renewed.
const LEASE_SECONDS: i32 = 40;
/// The most images that a status lists.
const IMAGES_MAX: usize = 50;

/// The node's labels.
pub fn labels(node: &NodeInfo, registration: &Registration) -> BTreeMap<String, String> {
    let mut labels = registration.labels.clone();
    for prefix in ["kubernetes.io", "beta.kubernetes.io"] {
        labels.insert(format!("{prefix}/arch"), arch().to_owned());
        labels.insert(format!("{prefix}/os"), "linux".to_owned());
    }
    labels.insert("kubernetes.io/hostname".to_owned(), node.name.clone());
    labels
}

/// The node's annotations.
pub fn annotations(registration: &Registration) -> BTreeMap<&'static str, String> {
    [(DIRECTORIES, registration.directories.clone())].into()
}

/// The object to create.
pub fn node(node: &NodeInfo, registration: &Registration) -> Result<Object, ApiError> {
    Object::from_value(json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node.name, "labels": labels(node, registration), "annotations": annotations(registration)},
        "spec": {"podCIDR": registration.pod_cidr, "podCIDRs": [registration.pod_cidr]},
    }))
}

/// The object with what the node has, as it is before the cluster knows it.
///
/// # Errors
/// As [`Object::from_value`].
pub fn initial(node: &NodeInfo, registration: &Registration) -> Result<Stored, ApiError> {
    let meta = json!({"name": node.name, "labels": labels(node, registration)});
    let object = Object::from_value(json!({"metadata": meta, "status": {"allocatable": amounts(registration)}}))?;
    Stored::from_object(Key::new("", "nodes", "", node.name.as_str()), object)
}

/// One row of conditions: type, whether it holds, reason and message for either.
type Row = (&'static str, bool, (&'static str, &'static str), (&'static str, &'static str));

/// The condition that is there since a Service could not be served: it isn't one of Kubernetes'.
const UNSERVED: &str = "ServicesNotServed";

/// The four conditions, with transition times kept from `before`, and a fifth while some Service isn't served, or since one wasn't.
pub fn conditions(
    before: &[NodeCondition],
    now_short: &Pressures,
    runtime_error: Option<String>,
    unserved: Option<String>,
    now: Timestamp,
) -> Vec<NodeCondition> {
    let mut rows: Vec<Row> = vec![
        (
            "MemoryPressure",
            now_short.memory,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        ("DiskPressure", now_short.disk, ("KubeletHasDiskPressure", "kubelet has disk pressure"), ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
        (
            "PIDPressure",
            now_short.pids,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        ("Ready", runtime_error.is_none(), ("KubeletReady", "kubelet is posting ready status"), ("KubeletNotReady", "container runtime is down")),
    ];
    if unserved.is_some() || before.iter().any(|c| c.type_ == UNSERVED) {
        rows.push((UNSERVED, unserved.is_some(), (REASON, ""), ("ServicesServed", "all Services are served")));
    }
    let condition = |(type_, holds, yes, no): Row| {
        let status = if holds { "True" } else { "False" };
        let (reason, message) = if holds { yes } else { no };
        let message = match &runtime_error {
            Some(why) if type_ == "Ready" => format!("{message}: {why}"),
            _ if type_ == UNSERVED && holds => unserved.clone().unwrap_or_default(),
            _ => message.to_owned(),
        };
        let since = before.iter().find(|c| c.type_ == type_ && c.status == status).and_then(|c| c.last_transition_time.clone());
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: since.or(Some(Time(now))),
        }
    };
    rows.into_iter().map(condition).collect()
}

/// The event that a changed condition makes.
pub fn event_of(c: &NodeCondition) -> Option<&'static str> {
    Some(match (c.type_.as_str(), c.status == "True") {
        ("Ready", true) => "NodeReady",
        ("Ready", false) => "NodeNotReady",
        ("MemoryPressure", true) => "NodeHasInsufficientMemory",
        ("MemoryPressure", false) => "NodeHasSufficientMemory",
        ("DiskPressure", true) => "NodeHasDiskPressure",
        ("DiskPressure", false) => "NodeHasNoDiskPressure",
        ("PIDPressure", true) => "NodeHasInsufficientPID",
        ("PIDPressure", false) => "NodeHasSufficientPID",
        _ => return None,
    })
}

/// What the node has, all of which pods may use.
fn amounts(registration: &Registration) -> Value {
    let m = &registration.machine;
    json!({
        "cpu": m.cpus.to_string(), "memory": format!("{}Ki", m.memory / 1024), "ephemeral-storage": format!("{}Ki", m.disk / 1024),
        "pods": registration.max_pods.to_string(), "hugepages-2Mi": "0", "hugepages-1Gi": "0",
    })
}

/// The node's status.
pub fn status(node: &NodeInfo, registration: &Registration, runtime: &Version, images: &[Image], conditions: &[NodeCondition]) -> Value {
    let m = &registration.machine;
    let amounts = amounts(registration);
    let addresses: Vec<Value> = node.addresses.iter().map(|a| json!({"type": "InternalIP", "address": a})).collect();
    let hostname = json!({"type": "Hostname", "address": node.name});
    let mut largest: Vec<&Image> = images.iter().filter(|i| !i.names.is_empty()).collect();
    largest.sort_by_key(|i| std::cmp::Reverse(i.size));
    let images: Vec<Value> = largest.into_iter().take(IMAGES_MAX).map(|i| json!({"names": i.names, "sizeBytes": i.size})).collect();
    let version = format!("v1.37.0+whalesong-{}", env!("CARGO_PKG_VERSION"));
    json!({
        "capacity": amounts, "allocatable": amounts, "conditions": conditions, "images": images,
        "addresses": addresses.into_iter().chain([hostname]).collect::<Vec<_>>(),
        "nodeInfo": {
            "machineID": m.machine_id, "systemUUID": m.machine_id, "bootID": m.boot_id, "kernelVersion": m.kernel, "osImage": m.os_image,
            "containerRuntimeVersion": format!("{}://{}", runtime.name, runtime.version), "kubeletVersion": version, "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": arch(),
        },
    })
}

/// `metav1.MicroTime`.
pub fn micro_time(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The node's lease.
pub fn lease(name: &str, uid: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": micro_time(now)},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_keep_their_transition_until_they_change() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let first = conditions(&[], &Pressures::default(), None, None, at(1));
        let second = conditions(&first, &Pressures { disk: true, ..Pressures::default() }, Some("gone".into()), None, at(2));
        let shown: Vec<String> = second
            .iter()
            .map(|c| format!("{} {} {} {}", c.type_, c.status, c.reason.as_deref().unwrap(), c.last_transition_time.as_ref().unwrap().0.as_second()))
            .collect();
        assert_eq!(
            shown,
            [
                "MemoryPressure False KubeletHasSufficientMemory 1",
                "DiskPressure True KubeletHasDiskPressure 2",
                "PIDPressure False KubeletHasSufficientPID 1",
                "Ready False KubeletNotReady 2"
            ]
        );
        assert_eq!(second[3].message.as_deref(), Some("container runtime is down: gone"));
        let third = conditions(&second, &Pressures::default(), None, Some("Service n/s: w".into()), at(3));
        let fourth = conditions(&third, &Pressures::default(), None, None, at(4));
        let fifth = |all: &[NodeCondition]| all.get(4).map(|c| format!("{} {} {}", c.type_, c.status, c.message.as_deref().unwrap()));
        assert_eq!((second.len(), fifth(&third).unwrap()), (4, "ServicesNotServed True Service n/s: w".to_owned()));
        assert_eq!(fifth(&fourth).unwrap(), "ServicesNotServed False all Services are served");
        assert_eq!(micro_time(at(1)), "1970-01-01T00:00:01.000000Z");
    }
}
