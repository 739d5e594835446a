//! `pods/binding`: gives a pod its node, once.
use model::{ApiError, Cause, CauseReason, Object, time};
use serde_json::{Value, json};

/// The pod, bound as `binding` asks.
///
/// # Errors
/// 409 when the pod has a node or is being deleted, 422 for a binding to something else than a node, 400 for another pod's binding.
pub fn apply(binding: &Object, pod: &Object, now: jiff::Timestamp) -> Result<Object, ApiError> {
    if !matches!(binding.name(), "" | "bind") && binding.name() != pod.name() {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    let node = target(binding, pod)?;
    let conflict = |why: String| ApiError::conflict("", "pods/binding", pod.name(), why);
    if !binding.uid().is_empty() && binding.uid() != pod.uid() {
        return Err(conflict(format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", binding.uid(), pod.uid())));
    }
    if pod.deletion_timestamp().is_some() {
        return Err(conflict(format!("pod {} is being deleted, cannot be assigned to a host", pod.name())));
    }
    match pod.str_at(&["spec", "nodeName"]) {
        "" => {}
        other => return Err(conflict(format!("pod {} is already assigned to node \"{other}\"", pod.name()))),
    }
    let gates = pod.list_at(&["spec", "schedulingGates"]);
    if !gates.is_empty() {
        return Err(conflict(format!("pod {} has non-empty .spec.schedulingGates", pod.name())));
    }
    let mut bound = pod.clone();
    bound.set(&["spec", "nodeName"], node);
    for (key, value) in binding.annotations().into_iter().flatten() {
        bound.set(&["metadata", "annotations", key], value.clone());
    }
    scheduled(&mut bound, now);
    // room was kept for it until now
    bound.remove(&["status", "nominatedNodeName"]);
    Ok(bound)
}

fn target<'a>(binding: &'a Object, pod: &Object) -> Result<&'a str, ApiError> {
    let invalid = |cause| Err(ApiError::invalid("", "Binding", pod.name(), vec![cause]));
    let kind = binding.str_at(&["target", "kind"]);
    if !matches!(kind, "" | "Node") {
        return invalid(Cause { reason: CauseReason::FieldValueNotSupported, ..Cause::not_supported("target.kind", &json!(kind), &["Node", ""]) });
    }
    match binding.str_at(&["target", "name"]) {
        "" => invalid(Cause::required("target.name", "")),
        name => Ok(name),
    }
}

fn scheduled(pod: &mut Object, now: jiff::Timestamp) {
    let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
    conditions.retain(|c| c.get("type").and_then(Value::as_str) != Some("PodScheduled"));
    conditions.push(json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::format(now)}));
    pod.set(&["status", "conditions"], conditions);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(v: Value) -> Object {
        Object::from_value(v).unwrap()
    }

    #[test]
    fn a_pod_is_bound_once() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let pod = object(json!({"metadata": {"name": "x", "uid": "u"}, "spec": {}, "status": {"nominatedNodeName": "n2"}}));
        let to = |node: &str| object(json!({"metadata": {"name": "x"}, "target": {"kind": "Node", "name": node}}));
        let bound = apply(&to("n1"), &pod, now).unwrap();
        assert_eq!(bound.str_at(&["spec", "nodeName"]), "n1");
        assert_eq!(bound.list_at(&["status", "conditions"])[0]["status"], json!("True"));
        assert_eq!(bound.str_at(&["status", "nominatedNodeName"]), "");
        let again = apply(&to("n2"), &bound, now).unwrap_err();
        assert_eq!(
            (again.code(), again.message.as_str()),
            (409, "Operation cannot be fulfilled on pods/binding \"x\": pod x is already assigned to node \"n1\"")
        );
        assert_eq!(apply(&to(""), &pod, now).unwrap_err().code(), 422);
        let other = object(json!({"metadata": {"name": "x", "uid": "v"}, "target": {"name": "n1"}}));
        assert_eq!(apply(&other, &pod, now).unwrap_err().code(), 409);
        let deleting = object(json!({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!(apply(&to("n1"), &deleting, now).unwrap_err().code(), 409);
    }
}
