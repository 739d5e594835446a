//! The node authorizer: what a node's agent may do follows from which pods are bound to the node.
//!
//! It decides by names, as Kubernetes' does. What can only be told from an object (a mirror pod's content, whose pod is deleted) is left to
//! [`crate::admission::node_restriction`].
use super::attributes::{Attributes, Target};
use super::references::{Reference, claims, is_mirror, refers};
use crate::lookup::ObjectLookup;
use crate::node_name::node_of;
use model::storage::DIRECTORY_NODE;
use model::{Key, Object};

/// The namespace of nodes' leases.
pub const LEASES: &str = "kube-node-lease";

const READ: &[&str] = &["get", "list", "watch"];

struct NodeAccess<'a> {
    node: &'a str,
    verb: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
    /// The node whose objects alone a selector lets through.
    bound_to: Option<&'a str>,
}

impl NodeAccess<'_> {
    fn verb_in(&self, verbs: &[&str]) -> Result<(), String> {
        if verbs.contains(&self.verb) { Ok(()) } else { Err(String::new()) }
    }
    fn plain(&self, verbs: &[&str]) -> Result<(), String> {
        if self.subresource.is_empty() { self.verb_in(verbs) } else { Err(String::new()) }
    }
}

/// Whether node `node` may do this. An empty name is that of no node.
///
/// # Errors
/// The reason why it may not, possibly empty.
pub fn authorize(view: &dyn ObjectLookup, node: &str, what: &Attributes<'_>) -> Result<(), String> {
    if node.is_empty() {
        return Err(format!("unknown node for user {:?}", what.user.name));
    }
    let Target::Resource { group, resource, subresource, namespace, name } = what.target else { return Err(String::new()) };
    let asked = NodeAccess { node, verb: what.verb, subresource, namespace, name, bound_to: what.bound_to };
    match (group, resource) {
        ("", "nodes") => own_node(&asked),
        ("", "pods") => pods(view, &asked),
        ("", "secrets") => referenced(view, &asked, Reference::Secret),
        ("", "configmaps") => referenced(view, &asked, Reference::ConfigMap),
        ("", "serviceaccounts") => service_account(view, &asked),
        ("", "persistentvolumeclaims") => referenced(view, &asked, Reference::Claim),
        ("", "persistentvolumes") => volume(view, &asked),
        ("coordination.k8s.io", "leases") => lease(&asked),
        ("" | "events.k8s.io", "events") => asked.plain(&["create", "update", "patch"]),
        ("", "services") => asked.plain(READ),
        ("", "endpoints") => asked.plain(&["get"]),
        // what a node's own proxy needs
        ("discovery.k8s.io", "endpointslices") => asked.plain(&["list", "watch"]),
        ("authentication.k8s.io", "tokenreviews") | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews") => asked.plain(&["create"]),
        _ => Err(String::new()),
    }
}

/// Whether what a node may do to this resource follows from its pods, so that it is worth asking again when more of them are known.
pub fn follows_pods(group: &str, resource: &str) -> bool {
    group.is_empty() && matches!(resource, "pods" | "secrets" | "configmaps" | "serviceaccounts" | "persistentvolumeclaims" | "persistentvolumes")
}

/// Whose node is written, admission sees. A node may read its own before it exists.
fn own_node(asked: &NodeAccess<'_>) -> Result<(), String> {
    let node = asked.node;
    match (asked.subresource, asked.verb) {
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
        ("", "get" | "list" | "watch") if asked.name == node => Ok(()),
        ("", "get" | "list" | "watch") if asked.name.is_empty() => Err(format!("node '{node}' cannot read all nodes, only its own Node object")),
        ("", "get" | "list" | "watch") => Err(format!("node '{node}' cannot read '{}', only its own Node object", asked.name)),
        _ => Err(String::new()),
    }
}

/// Whose pods are written, admission sees.
fn pods(view: &dyn ObjectLookup, asked: &NodeAccess<'_>) -> Result<(), String> {
    match (asked.subresource, asked.verb) {
        ("", "get") => own_pod(view, asked),
        ("", "list" | "watch") if asked.bound_to == Some(asked.node) => Ok(()),
        ("", "list" | "watch") if !asked.name.is_empty() => own_pod(view, asked),
        ("", "list" | "watch") => Err("can only list/watch pods with spec.nodeName field selector".to_owned()),
        ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
        _ => Err(String::new()),
    }
}

fn own_pod(view: &dyn ObjectLookup, asked: &NodeAccess<'_>) -> Result<(), String> {
    named(asked)?;
    let pod = view.get(&Key::new("", "pods", asked.namespace, asked.name));
    if pod.is_some_and(|pod| node_of(&pod) == asked.node) { Ok(()) } else { Err(no_relationship(asked.node)) }
}

fn named(asked: &NodeAccess<'_>) -> Result<(), String> {
    if asked.name.is_empty() { Err("No Object name found".to_owned()) } else { Ok(()) }
}

/// Why a node may not read something.
pub fn no_relationship(node: &str) -> String {
    format!("no relationship found between node '{node}' and this object")
}

fn referenced(view: &dyn ObjectLookup, asked: &NodeAccess<'_>, kind: Reference) -> Result<(), String> {
    if !READ.contains(&asked.verb) {
        return Err("can only read resources of this type".to_owned());
    }
    if !asked.subresource.is_empty() {
        return Err("cannot read subresource".to_owned());
    }
    if asked.namespace.is_empty() {
        return Err("can only read namespaced object of this type".to_owned());
    }
    named(asked)?;
    related(view, asked, kind)
}

/// A mirror pod gives no right to read anything: its node makes it.
fn related(view: &dyn ObjectLookup, asked: &NodeAccess<'_>, kind: Reference) -> Result<(), String> {
    let pods = view.on_node(asked.node);
    let mut pods = pods.iter().filter(|pod| *pod.key.namespace == *asked.namespace);
    if pods.any(|pod| pod.read(|pod| !is_mirror(pod) && refers(pod, kind, asked.name))) { Ok(()) } else { Err(no_relationship(asked.node)) }
}

fn service_account(view: &dyn ObjectLookup, asked: &NodeAccess<'_>) -> Result<(), String> {
    if (asked.verb, asked.subresource) == ("get", "") {
        return referenced(view, asked, Reference::ServiceAccount);
    }
    if asked.verb != "create" || asked.name.is_empty() {
        return Err("can only create tokens for individual service accounts".to_owned());
    }
    if asked.subresource != "token" {
        return Err("can only create token subresource of serviceaccount".to_owned());
    }
    related(view, asked, Reference::ServiceAccount)
}

/// A node reads the volumes of its pods' claims, and those whose directories it has. Which of these it writes, and what of them, admission sees.
fn volume(view: &dyn ObjectLookup, asked: &NodeAccess<'_>) -> Result<(), String> {
    match (asked.subresource, asked.verb) {
        ("", "patch") => Ok(()),
        ("", "list" | "watch") if asked.bound_to == Some(asked.node) => Ok(()),
        ("", "get" | "list" | "watch") => {
            named(asked)?;
            let related = match view.get(&Key::new("", "persistentvolumes", "", asked.name)) {
                Some(volume) => volume.object().label(DIRECTORY_NODE) == Some(asked.node) || claimed(view, asked.node, volume.object()),
                None => awaited(view, asked.node, asked.name),
            };
            if related { Ok(()) } else { Err(no_relationship(asked.node)) }
        }
        _ => Err(String::new()),
    }
}

/// Whether a pod of the node means a claim that is bound to a volume of this name, which isn't there.
fn awaited(view: &dyn ObjectLookup, node: &str, volume: &str) -> bool {
    let names = |namespace: &str, claim: &str| {
        let claim = view.get(&Key::new("", "persistentvolumeclaims", namespace, claim));
        claim.is_some_and(|claim| claim.object().str_at(&["spec", "volumeName"]) == volume)
    };
    let waits = |pod: &Object| !is_mirror(pod) && claims(pod).any(|claim| names(pod.namespace(), &claim));
    view.on_node(node).iter().any(|pod| pod.read(waits))
}

/// Whether a pod of the node means the claim that a volume is for.
fn claimed(view: &dyn ObjectLookup, node: &str, volume: &Object) -> bool {
    let of = |field: &str| volume.str_at(&["spec", "claimRef", field]);
    let (namespace, name) = (of("namespace"), of("name"));
    let refers = |pod: &Object| !is_mirror(pod) && refers(pod, Reference::Claim, name);
    !name.is_empty() && view.on_node(node).iter().any(|pod| *pod.key.namespace == *namespace && pod.read(refers))
}

fn lease(asked: &NodeAccess<'_>) -> Result<(), String> {
    asked.plain(&["get", "create", "update", "patch", "delete"]).map_err(|_| "can only get, create, update, patch, or delete a node lease".to_owned())?;
    if asked.namespace != LEASES {
        return Err(format!("can only access leases in the \"{LEASES}\" system namespace"));
    }
    // the name of a lease to create is in its body: admission checks it
    let own = asked.name == asked.node || asked.verb == "create";
    if own { Ok(()) } else { Err("can only access node lease with the same name as the requesting node".to_owned()) }
}
