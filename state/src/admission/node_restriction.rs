//! NodeRestriction: a node may write only itself and its own pods. Authorisation decides by names; this step looks at the objects.
//!
//! An update is checked as the node proposes it. Changes outside the part of the object that the address names (such as the spec in a status update) are
//! ignored for other callers, and refused to nodes.
use super::step::{Admit, Effects, Refusal, Step};
use crate::authz::node::LEASES;
use crate::authz::references::{self, MIRROR, is_mirror};
use crate::identity;
use crate::node_name::bound_to;
use model::storage::{DIRECTORY, DIRECTORY_NODE, DIRECTORY_SIZE, SIZE_ENFORCED};
use model::{ApiError, Key, Object, Subresource};
use serde_json::Value;

/// Labels that only an administrator sets on a node.
const RESERVED: &str = "node-restriction.kubernetes.io";
/// Those of Kubernetes' own that nodes set on themselves.
const OWN_LABELS: [&str; 12] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];
const OWN_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const DOMAINS: [&str; 2] = ["kubernetes.io", "k8s.io"];
/// What of a pod's status others decide.
const CLAIMS: [(&str, &str); 3] = [
    ("resourceClaimStatuses", "resource claim statues"),
    ("extendedResourceClaimStatus", "extended resource claim status"),
    ("nodeAllocatableResourceClaimStatuses", "node allocatable resource claim statuses"),
];

/// The step.
pub struct NodeRestriction;

impl Step for NodeRestriction {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if request.old.is_none() { restrict(request, object) } else { Ok(()) }
    }

    fn admit_proposed(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        restrict(request, object)
    }

    fn admit_delete(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        let Some(node) = node(request, object)? else { return Ok(()) };
        match (&*request.kind.group, &*request.kind.resource, request.subresource) {
            ("", "pods", Some(Subresource::EVICTION)) if !bound_to(object, node) => {
                Err(request.forbidden(object, format!("node {node} can only evict pods with spec.nodeName set to itself")))
            }
            ("", "pods", None) if !bound_to(object, node) => {
                Err(request.forbidden(object, format!("node {node:?} can only delete pods with spec.nodeName set to itself")))
            }
            ("", "nodes", _) => own_node(request, node, object),
            ("coordination.k8s.io", "leases", _) => own_lease(request, node, object),
            _ => Ok(()),
        }
    }
}

/// The node that writes, if one does.
fn node<'a>(request: &Admit<'a>, object: &Object) -> Result<Option<&'a str>, Refusal> {
    match identity::node(request.user) {
        Some("") => Err(request.forbidden(object, format!("could not determine node from user {:?}", request.user.name))),
        node => Ok(node),
    }
}

fn restrict(request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
    let Some(node) = node(request, object)? else { return Ok(()) };
    match (&*request.kind.group, &*request.kind.resource) {
        ("", "nodes") => own_node(request, node, object),
        ("", "pods") => own_pod(request, node, object),
        ("", "persistentvolumes") => own_volume(request, node, object),
        ("coordination.k8s.io", "leases") => own_lease(request, node, object),
        _ => Ok(()),
    }
}

/// Of a volume whose directory it has, a node says what became of the directory: two annotations, and the finalizer's end.
fn own_volume(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    let own = |volume: &&Object| volume.label(DIRECTORY_NODE) == Some(node);
    let Some(old) = request.old.filter(own).filter(|_| request.subresource.is_none()) else {
        return Err(request.forbidden(object, format!("node {node:?} can only update volumes whose directory it has")));
    };
    let rest = |volume: &Object| {
        let mut rest = volume.clone();
        for field in ["managedFields", "resourceVersion", "generation"] {
            rest.remove(&["metadata", field]);
        }
        for said in [DIRECTORY_SIZE, SIZE_ENFORCED] {
            rest.remove(&["metadata", "annotations", said]);
        }
        rest.set(&["metadata", "finalizers"], volume.finalizers().filter(|name| *name != DIRECTORY).collect::<Vec<_>>());
        rest
    };
    let begins = object.finalizers().any(|name| name == DIRECTORY) && !old.finalizers().any(|name| name == DIRECTORY);
    if begins || rest(object) != rest(old) {
        return Err(request.forbidden(object, format!("node {node:?} can only say of a volume what became of its directory")));
    }
    Ok(())
}

fn own_lease(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    if object.namespace() != LEASES {
        return Err(request.forbidden(object, format!("can only access leases in the {LEASES:?} system namespace")));
    }
    if object.name() != node {
        return Err(request.forbidden(object, "can only access node lease with the same name as the requesting node"));
    }
    Ok(())
}

fn own_node(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    let refuse = |why: String| Err(request.forbidden(object, why));
    if object.name() != node {
        return refuse(format!("node {node:?} is not allowed to modify node {:?}", object.name()));
    }
    let source = &["spec", "configSource"];
    let labels = reserved(object, request.old).join(", ");
    let Some(old) = request.old else {
        if set(object, source).is_some() {
            return refuse(format!("node {node:?} is not allowed to create pods with a non-nil configSource"));
        }
        // stricter than the kubelet is kept: an owner that isn't there would have its Node deleted
        if !object.list_at(&["metadata", "ownerReferences"]).is_empty() {
            return refuse(format!("node {node:?} is not allowed to modify ownerReferences"));
        }
        return if labels.is_empty() { Ok(()) } else { refuse(format!("node {node:?} is not allowed to set the following labels: {labels}")) };
    };
    if set(object, source).is_some_and(|new| Some(new) != set(old, source)) {
        return refuse(format!("node {node:?} is not allowed to update configSource to a new non-nil configSource"));
    }
    for (what, path) in [("taints", &["spec", "taints"]), ("ownerReferences", &["metadata", "ownerReferences"])] {
        if object.list_at(path) != old.list_at(path) {
            return refuse(format!("node {node:?} is not allowed to modify {what}"));
        }
    }
    if labels.is_empty() { Ok(()) } else { refuse(format!("is not allowed to modify labels: {labels}")) }
}

fn set<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    object.at(path).filter(|value| !value.is_null())
}

/// The labels that differ and that a node may not set, change or remove.
fn reserved(new: &Object, old: Option<&Object>) -> Vec<String> {
    let names = |o: &Object| o.labels().map(|l| l.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut all = names(new);
    all.extend(old.map(names).unwrap_or_default());
    all.sort();
    all.dedup();
    all.retain(|key| new.label(key) != old.and_then(|old| old.label(key)) && is_reserved(key));
    all
}

fn within(domain: &str, of: &str) -> bool {
    domain.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_reserved(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let own = OWN_LABELS.contains(&label) || OWN_DOMAINS.iter().any(|of| within(domain, of));
    within(domain, RESERVED) || (DOMAINS.iter().any(|of| within(domain, of)) && !own)
}

fn own_pod(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    match (request.subresource, request.old) {
        (None, None) => mirror(request, node, object),
        (None, Some(_)) => Err(request.forbidden(object, format!("unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods"))),
        (Some(Subresource::STATUS), Some(old)) => own_status(request, node, object, old),
        (Some(sub), _) => Err(request.forbidden(object, format!("unexpected pod subresource {:?}, only 'status' and 'eviction' are allowed", sub.name()))),
    }
}

/// A mirror pod shows what its node runs by itself: it belongs to it, and needs nothing of the API.
fn mirror(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    let refuse = |why: String| Err(request.forbidden(object, why));
    if !is_mirror(object) {
        return refuse(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"));
    }
    if !bound_to(object, node) {
        return refuse(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    own_reference(request, node, object)?;
    match references::needs(object) {
        Ok(None) => Ok(()),
        Ok(Some(resource)) => refuse(format!("node {node:?} can not create pods that reference {resource}")),
        Err(why) => refuse(format!("error checking mirror pod for API references: {why}")),
    }
}

/// The node is the one owner, by the UID of the node that exists.
fn own_reference(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    let refuse = |why: String| Err(request.forbidden(object, why));
    let own = format!("node {node:?} can only create pods with an owner reference set to itself");
    let owner = match object.list_at(&["metadata", "ownerReferences"]) {
        [] => return refuse(own),
        [one] => one,
        _ => return refuse(format!("node {node:?} can only create pods with a single owner reference set to itself")),
    };
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    let is = |field: &str| owner.get(field).and_then(Value::as_bool).unwrap_or_default();
    if (text("apiVersion"), text("kind"), text("name")) != ("v1", "Node", node) {
        return refuse(own);
    }
    if !is("controller") {
        return refuse(format!("node {node:?} can only create pods with a controller owner reference set to itself"));
    }
    if is("blockOwnerDeletion") {
        return refuse(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
    }
    let Some(found) = request.view.get(&Key::new("", "nodes", "", node)) else {
        return Err(Refusal::missing("", "nodes", ApiError::not_found("", "nodes", node)));
    };
    if text("uid") == found.uid() { Ok(()) } else { refuse(format!("node {node} UID mismatch: expected {} got {}", text("uid"), found.uid())) }
}

fn own_status(request: &Admit<'_>, node: &str, object: &Object, old: &Object) -> Result<(), Refusal> {
    let refuse = |why: String| Err(request.forbidden(object, why));
    if !bound_to(old, node) {
        return refuse(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"));
    }
    let labels = |o: &Object| o.labels().filter(|l| !l.is_empty()).cloned();
    if labels(object) != labels(old) {
        return refuse(format!("node {node:?} cannot update labels through pod status"));
    }
    for (field, what) in CLAIMS {
        if set(object, &["status", field]) != set(old, &["status", field]) {
            return refuse(format!("node {node:?} cannot update {what}"));
        }
    }
    Ok(())
}
