//! NodeRestriction: what a node writes is limited to itself and to its own pods, beyond what authorisation can tell from names.
use super::{Admit, Held, Refusal, Step};
use crate::authz::node::bound_to;
use crate::identity;
use model::Object;
use model::kind::Subresource;
use serde_json::Value;

const MIRROR: &str = "kubernetes.io/config.mirror";
/// Labels that only an administrator sets on a node.
const RESERVED: &str = "node-restriction.kubernetes.io/";

/// The step.
pub struct NodeRestriction;

impl Step for NodeRestriction {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Held) -> Result<(), Refusal> {
        let Some(node) = identity::node(request.user) else { return Ok(()) };
        match (&*request.kind.group, &*request.kind.resource) {
            ("", "nodes") => own_node(request, node, object),
            ("", "pods") => own_pod(request, node, object),
            ("coordination.k8s.io", "leases") if object.name() != node => {
                Err(request.forbidden(object, "can only access node lease with the same name as the requesting node"))
            }
            _ => Ok(()),
        }
    }

    fn admit_delete(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        let Some(node) = identity::node(request.user) else { return Ok(()) };
        if request.of("", "pods") && !bound_to(object, node) {
            return Err(request.forbidden(object, format!("node \"{node}\" can only delete pods with spec.nodeName set to itself")));
        }
        Ok(())
    }
}

fn own_node(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    if object.name() != node {
        let verb = if request.old.is_some() { "modify" } else { "create" };
        return Err(request.forbidden(object, format!("node \"{node}\" is not allowed to {verb} node \"{}\"", object.name())));
    }
    let label = |o: Option<&Object>, key: &str| o.and_then(|o| o.label(key)).map(str::to_owned);
    let names = |o: &Object| o.labels().map(|l| l.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut all = names(object);
    all.extend(request.old.map(names).unwrap_or_default());
    all.sort();
    all.dedup();
    all.retain(|key| key.contains(RESERVED) && label(Some(object), key) != label(request.old, key));
    if !all.is_empty() {
        return Err(request.forbidden(object, format!("is not allowed to modify labels: {}", all.join(", "))));
    }
    if let Some(old) = request.old
        && request.subresource.is_none()
        && old.at(&["spec", "taints"]) != object.at(&["spec", "taints"])
    {
        return Err(request.forbidden(object, format!("node \"{node}\" is not allowed to modify taints")));
    }
    Ok(())
}

fn own_pod(request: &Admit<'_>, node: &str, object: &Object) -> Result<(), Refusal> {
    match (request.subresource, request.old) {
        (None, None) => {
            if object.annotation(MIRROR).is_none() {
                return Err(request.forbidden(object, format!("pod does not have \"{MIRROR}\" annotation, node \"{node}\" can only create mirror pods")));
            }
            if !bound_to(object, node) {
                return Err(request.forbidden(object, format!("node \"{node}\" can only create pods with spec.nodeName set to itself")));
            }
            if !object.str_at(&["spec", "serviceAccountName"]).is_empty()
                || object.at(&["spec", "volumes"]).and_then(Value::as_array).is_some_and(|v| v.iter().any(refers_to_api))
            {
                return Err(request.forbidden(object, format!("node \"{node}\" can not create pods that reference API objects")));
            }
            Ok(())
        }
        (Some(Subresource::Status), Some(old)) if !bound_to(old, node) => {
            Err(request.forbidden(object, format!("node \"{node}\" can only update pod status for pods with spec.nodeName set to itself")))
        }
        _ => Ok(()),
    }
}

fn refers_to_api(volume: &Value) -> bool {
    ["secret", "configMap", "projected", "persistentVolumeClaim"].iter().any(|source| volume.get(source).is_some())
}
