//! Generic ephemeral volumes: claims that a pod has for itself, and that go with it.
use crate::ownership::controller_reference;
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::storage::own_claim;
use model::{Key, Object};
use serde_json::{Value, json};

/// Makes these claims.
pub struct EphemeralVolumes;

impl Controller for EphemeralVolumes {
    fn name(&self) -> &'static str {
        "ephemeral_volume"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![Input::new(Resource::PODS, owner_itself), Input::controlled(Resource::CLAIMS, Resource::PODS)]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::CLAIMS, Part::Whole, "of pods")]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(pod) = view.at(key).filter(|pod| !pod.deleting() && !crate::pod::pod(pod).terminal()) else { return plan };
        let volumes = pod.read(|object| object.list_at(&["spec", "volumes"]).to_vec());
        for volume in volumes.iter().filter(|volume| volume["ephemeral"].is_object()) {
            own(view, pod, volume, &mut plan);
        }
        plan
    }
}

/// A pod that has such volumes.
fn owner_itself(_: &View, change: ViewChange<'_>) -> Vec<Key> {
    change.new.filter(|pod| crate::pod::pod(pod).has_own_claims()).map(|pod| pod.key().clone()).into_iter().collect()
}

fn own(view: &View, pod: &Item, volume: &Value, plan: &mut Plan) {
    let name = volume["name"].as_str().unwrap_or_default();
    let claim = own_claim(pod.name(), name);
    match view.get(&Resource::CLAIMS, pod.namespace(), &claim) {
        Some(found) if found.controlled_by(pod.uid()) => {}
        Some(_) => {
            let of = pod.namespace();
            let why = format!("PVC {of}/{claim} was not created for pod {of}/{} (pod is not owner)", pod.name());
            plan.warn(pod, "FailedBinding", format!("ephemeral volume {name}: {why}"));
        }
        None => {
            let template = &volume["ephemeral"]["volumeClaimTemplate"];
            let made = plan.create(&Resource::CLAIMS, claim_of(pod, &claim, template));
            made.says =
                Some(crate::runtime::Says { about: crate::runtime::about(pod), done: None, failed: Some(("FailedBinding", "ephemeral volume: ".into())) });
        }
    }
}

fn claim_of(pod: &Item, name: &str, template: &Value) -> Object {
    let mut claim = Object::default();
    claim.set(&["apiVersion"], "v1");
    claim.set(&["kind"], "PersistentVolumeClaim");
    claim.set(&["metadata"], json!({"name": name, "namespace": pod.namespace(), "ownerReferences": [controller_reference(pod)]}));
    for field in ["annotations", "labels"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| value.is_object()) {
            claim.set(&["metadata", field], value.clone());
        }
    }
    claim.set(&["spec"], template["spec"].clone());
    claim
}
