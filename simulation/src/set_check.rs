//! What must hold of DaemonSets, StatefulSets and ReplicationControllers.
use crate::facts::{alive, owned, ready, replicas, share};
use crate::net::{NAMESPACE, Net};
use model::{Object, Stored};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The node that a pod is on, or meant for.
fn node(pod: &Object) -> &str {
    let terms = pod.list_at(&["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]);
    let named = terms.first().and_then(|term| term.pointer("/matchFields/0/values/0")).and_then(Value::as_str).unwrap_or_default();
    let bound = pod.str_at(&["spec", "nodeName"]);
    if bound.is_empty() { named } else { bound }
}

/// The ordinal of a StatefulSet's pod.
fn ordinal(pod: &Object) -> i64 {
    pod.name().rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(-1)
}

fn rolling<'a>(set: &'a Object, field: &str) -> Option<&'a Value> {
    set.at(&["spec", "updateStrategy", "rollingUpdate", field])
}

/// What a pod's owner promises, in peace, after a write of the pod.
///
/// # Errors
/// What is broken.
pub fn kept(pod: &Object, new: bool, net: &Net) -> Result<(), String> {
    let Some(owner) = pod.controller() else { return Ok(()) };
    let resource = match owner.kind.as_str() {
        "DaemonSet" => "daemonsets",
        "StatefulSet" => "statefulsets",
        _ => return Ok(()),
    };
    let set = net.store.get("apps", resource, NAMESPACE, &owner.name).map(|set| set.object());
    let Some(set) = set.filter(|set| set.uid() == owner.uid && set.deletion_timestamp().is_none()) else { return Ok(()) };
    let pods: Vec<&Object> = owned(net, "pods", &owner.uid).map(|pod| pod.object()).filter(|pod| alive(pod)).collect();
    if resource == "daemonsets" { daemon_set_kept(set, &pods, net) } else { stateful_set_kept(set, &pods, new.then(|| ordinal(pod))) }
}

/// At most one pod a node, and a second one on as many as surge; on all nodes but those that may lack one a pod serves.
fn daemon_set_kept(set: &Object, pods: &[&Object], net: &Net) -> Result<(), String> {
    let nodes = i64::try_from(net.store.all("nodes").count()).unwrap_or(i64::MAX);
    let (surge, unavailable) = (share(rolling(set, "maxSurge"), nodes, true), share(rolling(set, "maxUnavailable"), nodes, true));
    let mut by_node: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    pods.iter().for_each(|pod| by_node.entry(node(pod)).or_default().push(ready(pod)));
    let doubled = by_node.values().filter(|pods| pods.len() > 1).count() as i64;
    let serving = by_node.values().filter(|pods| pods.contains(&true)).count() as i64;
    if doubled > surge || by_node.values().any(|pods| pods.len() > 2) || serving < nodes - unavailable {
        return Err(format!("{} has {by_node:?} on {nodes} nodes, with a surge of {surge} and {unavailable} unavailable", set.name()));
    }
    Ok(())
}

/// One pod an ordinal; not more of them unavailable than may be; and of an ordered set a pod comes only when all before it serve.
fn stateful_set_kept(set: &Object, pods: &[&Object], new: Option<i64>) -> Result<(), String> {
    let (wanted, unavailable) = (replicas(set), share(rolling(set, "maxUnavailable"), replicas(set), false).max(1));
    let ordinals: BTreeSet<i64> = pods.iter().map(|pod| ordinal(pod)).collect();
    let serving: BTreeSet<i64> = pods.iter().filter(|pod| ready(pod)).map(|pod| ordinal(pod)).filter(|n| (0..wanted).contains(n)).collect();
    let ordered = set.str_at(&["spec", "podManagementPolicy"]) == "OrderedReady";
    if ordinals.len() != pods.len() || (serving.len() as i64) < wanted - unavailable {
        return Err(format!("{} of {wanted} has {ordinals:?}, {serving:?} serve, {unavailable} may be unavailable", set.name()));
    }
    match new.filter(|new| ordered && (0..*new).any(|before| !serving.contains(&before))) {
        Some(new) => Err(format!("{}-{new} came when {serving:?} served", set.name())),
        None => Ok(()),
    }
}

/// What is not yet as it should be.
pub fn open(net: &Net, open: &mut Vec<String>) {
    for set in net.store.all("daemonsets").map(|set| set.object()) {
        daemon_set_open(net, set, open);
    }
    for resource in ["statefulsets", "replicationcontrollers"] {
        for set in net.store.all(resource).map(|set| set.object()) {
            replicas_open(net, set, open);
        }
    }
}

/// The pods of a set that serve, with the template's image.
fn right<'a>(net: &'a Net, set: &'a Object) -> impl Iterator<Item = &'a Object> {
    let image = |containers: Option<&Value>| containers.and_then(|all| all.get(0)?.get("image")).cloned();
    let template = image(set.at(&["spec", "template", "spec", "containers"]));
    owned(net, "pods", set.uid()).map(|pod| pod.object()).filter(move |pod| alive(pod) && ready(pod) && image(pod.at(&["spec", "containers"])) == template)
}

fn counts<const N: usize>(set: &Object, fields: [&str; N]) -> [i64; N] {
    fields.map(|field| set.int_at(&["status", field]).unwrap_or_default())
}

fn living(net: &Net, set: &Object) -> usize {
    owned(net, "pods", set.uid()).filter(|pod: &&Arc<Stored>| alive(pod.object())).count()
}

fn daemon_set_open(net: &Net, set: &Object, open: &mut Vec<String>) {
    let nodes: BTreeSet<&str> = net.store.all("nodes").map(|node| node.object().name()).collect();
    let wanted = nodes.len() as i64;
    let fields = ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled"];
    if counts(set, fields) != [wanted; 5] || counts(set, ["observedGeneration", "numberMisscheduled"]) != [set.generation(), 0] {
        open.push(format!("daemonset {} wants {wanted}: {}", set.name(), set.at(&["status"]).unwrap_or(&Value::Null)));
    }
    let on: BTreeSet<&str> = right(net, set).map(|pod| pod.str_at(&["spec", "nodeName"])).collect();
    if on != nodes || living(net, set) != nodes.len() {
        open.push(format!("daemonset {} has {} pods, those on {on:?} are right", set.name(), living(net, set)));
    }
}

fn replicas_open(net: &Net, set: &Object, open: &mut Vec<String>) {
    let (wanted, kind) = (replicas(set), set.kind());
    if counts(set, ["replicas", "readyReplicas", "availableReplicas", "observedGeneration"]) != [wanted, wanted, wanted, set.generation()] {
        open.push(format!("{kind} {} wants {wanted}: {}", set.name(), set.at(&["status"]).unwrap_or(&Value::Null)));
    }
    // a ReplicationController leaves the pods that it has, and a StatefulSet those below the partition
    let outdated = rolling(set, "partition").map_or(wanted, |partition| partition.as_i64().unwrap_or_default().min(wanted));
    let updated = right(net, set).count() as i64;
    if living(net, set) as i64 != wanted || updated < wanted - outdated {
        open.push(format!("{kind} {} wants {wanted} pods: {updated} of {} are right", set.name(), living(net, set)));
    }
}
