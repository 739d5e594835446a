//! The node authorizer: what a node's agent may do follows from which pods are bound to the node.
use super::{Attributes, Target};
use crate::view::View;
use model::{Key, Object, Stored};
use serde::Deserialize;
use serde_json::Value;

/// The namespace of nodes' leases.
pub const LEASES: &str = "kube-node-lease";

const READ: &[&str] = &["get", "list", "watch"];

/// What a pod may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Secrets: volumes, environment, image pulls.
    Secret,
    /// ConfigMaps: volumes, environment.
    ConfigMap,
    /// Its service account.
    ServiceAccount,
}

struct Asked<'a> {
    node: &'a str,
    verb: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Asked<'_> {
    fn verb_in(&self, verbs: &[&str]) -> Result<(), String> {
        if verbs.contains(&self.verb) { Ok(()) } else { Err(String::new()) }
    }
    fn plain(&self, verbs: &[&str]) -> Result<(), String> {
        if self.subresource.is_empty() { self.verb_in(verbs) } else { Err(String::new()) }
    }
}

/// Whether node `node` may do this.
///
/// # Errors
/// The reason why it may not, possibly empty.
pub fn authorize(view: &dyn View, node: &str, what: &Attributes<'_>) -> Result<(), String> {
    let Target::Resource { group, resource, subresource, namespace, name } = what.target else { return Err(String::new()) };
    let asked = Asked { node, verb: what.verb, subresource, namespace, name };
    match (group, resource) {
        ("", "nodes") => own_node(&asked),
        ("", "pods") => pods(view, &asked),
        ("", "secrets") => referenced(view, &asked, Reference::Secret),
        ("", "configmaps") => referenced(view, &asked, Reference::ConfigMap),
        ("", "serviceaccounts") => service_account(view, &asked),
        ("coordination.k8s.io", "leases") => lease(&asked),
        ("" | "events.k8s.io", "events") => asked.plain(&["create", "update", "patch"]),
        ("", "services" | "endpoints" | "namespaces") | ("discovery.k8s.io", "endpointslices") => asked.plain(READ),
        ("authentication.k8s.io", "tokenreviews") | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews") => asked.plain(&["create"]),
        _ => Err(String::new()),
    }
}

/// Reads all nodes (services and affinity need their labels), writes its own.
fn own_node(asked: &Asked<'_>) -> Result<(), String> {
    match asked.verb {
        "get" | "list" | "watch" if asked.subresource.is_empty() => Ok(()),
        "create" if asked.subresource.is_empty() && (asked.name.is_empty() || asked.name == asked.node) => Ok(()),
        "update" | "patch" if matches!(asked.subresource, "" | "status") && asked.name == asked.node => Ok(()),
        "update" | "patch" => Err(format!("node '{}' cannot modify node '{}'", asked.node, asked.name)),
        _ => Err(String::new()),
    }
}

fn pods(view: &dyn View, asked: &Asked<'_>) -> Result<(), String> {
    let verbs: &[&str] = match asked.subresource {
        "" => &["get", "list", "watch", "create", "delete"],
        "status" => &["get", "update", "patch"],
        "eviction" => &["create"],
        _ => &[],
    };
    asked.verb_in(verbs)?;
    // lists and watches without a name are limited by their field selector, which the verbs check; a mirror pod's create is checked by admission
    if asked.name.is_empty() || (asked.verb == "create" && asked.subresource.is_empty()) {
        return Ok(());
    }
    match view.get(&Key::new("", "pods", asked.namespace, asked.name)) {
        // who asks for a pod that is gone is told so
        None => Ok(()),
        Some(pod) if node_of(&pod) == asked.node => Ok(()),
        Some(_) => Err(no_relationship(asked)),
    }
}

fn no_relationship(asked: &Asked<'_>) -> String {
    format!("no relationship found between node '{}' and this object", asked.node)
}

fn referenced(view: &dyn View, asked: &Asked<'_>, kind: Reference) -> Result<(), String> {
    if !READ.contains(&asked.verb) || !asked.subresource.is_empty() {
        return Err("can only read resources of this type".to_owned());
    }
    if asked.name.is_empty() {
        return Err("No Object name found".to_owned());
    }
    related(view, asked, kind)
}

fn related(view: &dyn View, asked: &Asked<'_>, kind: Reference) -> Result<(), String> {
    let mut pods = view.list("", "pods", asked.namespace).into_iter();
    let found = pods.any(|pod| node_of(&pod) == asked.node && pod.read(|pod| refers(pod, kind, asked.name)));
    if found { Ok(()) } else { Err(no_relationship(asked)) }
}

fn service_account(view: &dyn View, asked: &Asked<'_>) -> Result<(), String> {
    match (asked.verb, asked.subresource) {
        ("get", "") => related(view, asked, Reference::ServiceAccount),
        ("create", "token") if asked.name.is_empty() => Err("can only create tokens for individual service accounts".to_owned()),
        ("create", "token") => related(view, asked, Reference::ServiceAccount),
        _ => Err("can only create tokens for individual service accounts".to_owned()),
    }
}

fn lease(asked: &Asked<'_>) -> Result<(), String> {
    asked.plain(&["get", "create", "update", "patch", "delete"]).map_err(|_| "can only get, create, update, patch, or delete a node lease".to_owned())?;
    if asked.namespace != LEASES {
        return Err(format!("can only access leases in the \"{LEASES}\" system namespace"));
    }
    // the name of a lease to create is in its body: admission checks it
    let own = asked.name == asked.node || (asked.verb == "create" && asked.name.is_empty());
    if own { Ok(()) } else { Err("can only access node lease with the same name as the requesting node".to_owned()) }
}

/// Whether a pod is bound to a node.
pub fn bound_to(pod: &Object, node: &str) -> bool {
    pod.str_at(&["spec", "nodeName"]) == node
}

/// Which node a stored pod is bound to, without parsing the rest; empty where to none.
pub fn node_of(pod: &Stored) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Spec {
        node_name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Pod {
        spec: Spec,
    }
    pod.peek::<Pod>().spec.node_name
}

fn name_is(value: &Value, path: &[&str], name: &str) -> bool {
    path.iter().try_fold(value, |v, step| v.get(step)).and_then(Value::as_str) == Some(name)
}

fn any_of<'a>(value: &'a Value, field: &str, test: impl FnMut(&'a Value) -> bool) -> bool {
    value.get(field).and_then(Value::as_array).is_some_and(|list| list.iter().any(test))
}

/// Whether a pod refers to the object of this name in its namespace.
pub fn refers(pod: &Object, kind: Reference, name: &str) -> bool {
    let Some(spec) = pod.at(&["spec"]) else { return false };
    let (volume, projected, env, env_from): (&[&str], &[&str], &str, &str) = match kind {
        Reference::ServiceAccount => return name_is(spec, &["serviceAccountName"], name),
        Reference::Secret => (&["secret", "secretName"], &["secret", "name"], "secretKeyRef", "secretRef"),
        Reference::ConfigMap => (&["configMap", "name"], &["configMap", "name"], "configMapKeyRef", "configMapRef"),
    };
    let in_volume = |v: &Value| name_is(v, volume, name) || v.get("projected").is_some_and(|p| any_of(p, "sources", |s| name_is(s, projected, name)));
    let in_container =
        |c: &Value| any_of(c, "env", |e| name_is(e, &["valueFrom", env, "name"], name)) || any_of(c, "envFrom", |e| name_is(e, &[env_from, "name"], name));
    any_of(spec, "volumes", in_volume)
        || ["containers", "initContainers", "ephemeralContainers"].iter().any(|list| any_of(spec, list, in_container))
        || (kind == Reference::Secret && any_of(spec, "imagePullSecrets", |s| name_is(s, &["name"], name)))
}
