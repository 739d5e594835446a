//! What the scheduler writes.
use crate::node::Resident;
use crate::pod::{NAME, PodInfo};
use jiff::Timestamp;
use model::Object;
use model::time::format;
use serde_json::{Value, json};
use state_client::{Body, PatchKind, Request, Verb};
use std::sync::Arc;

/// A pod that goes to make room for a more important one.
#[derive(Clone, Debug)]
pub struct Eviction {
    /// Who goes.
    pub victim: Arc<Resident>,
    /// For whom.
    pub preemptor: Arc<PodInfo>,
    /// Where.
    pub node: Arc<str>,
}

impl Eviction {
    /// Says why it goes: written before it is told to.
    pub fn condition(&self, now: Timestamp) -> Request {
        let victim = &self.victim;
        let mut condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "message": format!("{NAME}: preempting to accommodate a higher priority pod"), "lastTransitionTime": format(now),
        });
        observed(&mut condition, victim.generation);
        status(&victim.namespace, &victim.name, &victim.uid, &json!({"conditions": [condition]}))
    }

    /// Tells it to go, as gracefully as it asks for.
    pub fn deletion(&self) -> Request {
        let mut request = Request::new(Verb::Delete, "", "pods", &self.victim.namespace, &self.victim.name);
        request.options.precondition_uid = self.victim.uid.to_string();
        request
    }
}

fn status(namespace: &str, name: &str, uid: &str, status: &Value) -> Request {
    let patch = json!({"metadata": {"uid": uid}, "status": status});
    let request = Request::new(Verb::Patch, "", "pods", namespace, name).subresource("status");
    request.body(Body::Patch(PatchKind::Strategic, patch.to_string().into()))
}

fn observed(condition: &mut Value, generation: i64) {
    if generation > 0 {
        condition["observedGeneration"] = generation.into();
    }
}

/// The request that binds a pod to a node.
pub fn binding(pod: &PodInfo, node: &str) -> Request {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": &*pod.name, "namespace": &*pod.namespace, "uid": &*pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let object = Object::from_value(binding).unwrap_or_default();
    Request::new(Verb::Create, "", "pods", &pod.namespace, &pod.name).subresource("binding").body(Body::Object(Box::new(object)))
}

/// Why a pod has no node.
pub struct Refused<'a> {
    /// Word for it: `Unschedulable`, or `SchedulerError` where something failed.
    pub reason: &'a str,
    /// Sentence.
    pub message: &'a str,
    /// The node that room is made on for it.
    pub nominated: Option<&'a Arc<str>>,
}

/// Writes that down; `None` when the pod says so already. The condition's time of transition is set when it becomes so, not when only the message changes.
pub fn refusal(pod: &PodInfo, refused: &Refused<'_>, now: Timestamp) -> Option<Request> {
    if pod.refusal.as_deref() == Some(refused.message) && pod.nominated.as_ref() == refused.nominated {
        return None;
    }
    let mut condition = json!({"type": "PodScheduled", "status": "False", "reason": refused.reason, "message": refused.message});
    if pod.refusal.is_none() {
        condition["lastTransitionTime"] = format(now).into();
    }
    observed(&mut condition, pod.generation);
    let mut said = json!({"conditions": [condition]});
    if pod.nominated.as_ref() != refused.nominated {
        said["nominatedNodeName"] = refused.nominated.map_or(Value::Null, |node| json!(&**node));
    }
    Some(status(&pod.namespace, &pod.name, &pod.uid, &said))
}

/// Says that no room is kept for a pod any more; `None` when nothing says that it is.
pub fn dismissal(pod: &PodInfo) -> Option<Request> {
    pod.nominated.as_ref()?;
    Some(status(&pod.namespace, &pod.name, &pod.uid, &json!({"nominatedNodeName": null})))
}
