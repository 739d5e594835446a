//! What a claim needs next.
use crate::runtime::{Guard, Item, Plan, Resource, View, Write};
use crate::status;
use crate::volumes::index::{pods_of, volume};
use crate::volumes::matching::{best, satisfies};
use model::storage::{self, BIND_COMPLETED, BOUND_BY_CONTROLLER, IS_DEFAULT, SELECTED_NODE, STORAGE_PROVISIONER};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

/// Provisioners of Kubernetes' own, none of which is here.
const IN_TREE: &str = "kubernetes.io/";
const FIRST_CONSUMER: &str = "waiting for first consumer to be created before binding";
const NO_VOLUME: &str = "no persistent volumes available for this claim and no storage class is set";
const LOST_REFERENCE: &str = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
const LOST_VOLUME: &str = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
const MISBOUND: &str = "Two claims are bound to the same volume, this one is bound incorrectly";

/// Plans the next step of one claim.
pub fn plan(view: &View, claim: &Item, plan: &mut Plan) {
    let named = claim.object().str_at(&["spec", "volumeName"]);
    let bound = claim.object().annotation(BIND_COMPLETED).is_some();
    match (volume(view, claim), bound) {
        (None, true) if named.is_empty() => drop(lose(claim, "ClaimLost", LOST_REFERENCE, plan)),
        (None, true) => {
            if let Some(write) = lose(claim, "ClaimLost", LOST_VOLUME, plan) {
                // the view of volumes may be behind the one of claims
                write.guard(Guard::Absent { key: Resource::VOLUMES.key("", named), uid: String::new() });
            }
        }
        (Some(volume), true) if is_taken(volume, claim) => drop(lose(claim, "ClaimMisbound", MISBOUND, plan)),
        (Some(volume), true) => bind(volume, claim, plan),
        (Some(volume), false) => requested(volume, claim, plan),
        (None, false) if named.is_empty() => search(view, claim, plan),
        (None, false) => drop(phase(claim, "Pending", None, plan)),
    }
}

/// Whether a volume is for another claim than this one; a claim without a UID isn't there yet.
fn is_taken(volume: &Item, claim: &Item) -> bool {
    let reference = volume.object().at(&["spec", "claimRef"]).filter(|claim| !claim.is_null());
    reference.is_some_and(|reference| reference["uid"] != claim.uid())
}

fn lose<'p>(claim: &Item, reason: &'static str, message: &str, plan: &'p mut Plan) -> Option<&'p mut Write> {
    if claim.object().str_at(&["status", "phase"]) == "Lost" {
        return None;
    }
    plan.warn(claim, reason, message);
    phase(claim, "Lost", None, plan)
}

/// A user asked for just this volume.
fn requested(volume: &Item, claim: &Item, plan: &mut Plan) {
    let reference = volume.object().at(&["spec", "claimRef"]).filter(|claim| !claim.is_null());
    let why = match reference {
        None => match satisfies(volume, claim.object()) {
            Ok(()) => return bind(volume, claim, plan),
            Err(why) => ("VolumeMismatch", format!("Cannot bind to requested volume {:?}: {why}", volume.name())),
        },
        Some(_) if storage::is_for(volume.object(), claim.object()) => return bind(volume, claim, plan),
        Some(_) => ("FailedBinding", format!("volume {:?} already bound to a different claim.", volume.name())),
    };
    plan.warn(claim, why.0, why.1);
    phase(claim, "Pending", None, plan);
}

/// No volume is named yet: one that is there, or one that somebody makes.
fn search(view: &View, claim: &Item, plan: &mut Plan) {
    let object = claim.object();
    let class = view.get(&Resource::STORAGE_CLASSES, "", storage::class(object));
    let delayed = class.is_some_and(|class| class.object().str_at(&["volumeBindingMode"]) == "WaitForFirstConsumer");
    if let Some(volume) = best(view, claim, delayed) {
        return bind(volume, claim, plan);
    }
    if let Some(name) = default_class(view).filter(|_| !storage::names_class(object)) {
        plan.merge_as_seen(claim, "", json!({"spec": {"storageClassName": name}}));
        return;
    }
    if delayed && object.annotation(SELECTED_NODE).is_none() {
        let (reason, message) = awaited(view, claim);
        plan.tell(claim, reason, message);
    } else if !storage::class(object).is_empty() {
        return provision(class, claim, plan);
    } else {
        plan.tell(claim, "FailedBinding", NO_VOLUME);
    }
    phase(claim, "Pending", None, plan);
}

/// The newest of the classes that are marked; of several that are as new, the first by its name.
fn default_class(view: &View) -> Option<String> {
    let marked = |class: &&Arc<Item>| IS_DEFAULT.iter().any(|mark| class.object().annotation(mark) == Some("true"));
    let newest = |class: &&Arc<Item>| (Reverse(class.object().creation_timestamp().to_owned()), class.name().to_owned());
    view.all(&Resource::STORAGE_CLASSES).filter(marked).min_by_key(newest).map(|class| class.name().to_owned())
}

/// For what a claim waits that is bound with its first pod.
fn awaited(view: &View, claim: &Item) -> (&'static str, String) {
    let waits = |pod: &&Arc<Item>| !crate::pod::pod(pod).terminal() && crate::pod::pod(pod).node().is_empty();
    let mut pods: Vec<&str> = pods_of(view, claim).filter(waits).map(|pod| pod.name()).collect();
    pods.sort_unstable();
    match pods.as_slice() {
        [] => ("WaitForFirstConsumer", FIRST_CONSUMER.to_owned()),
        [one] => ("WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
        several => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", several.join(","))),
    }
}

/// Says who is to make the volume, and that it is waited for.
fn provision(class: Option<&Arc<Item>>, claim: &Item, plan: &mut Plan) {
    let object = claim.object();
    let Some(class) = class else {
        let message = format!("storageclass.storage.k8s.io {:?} not found", storage::class(object));
        return plan.warn(claim, "ProvisioningFailed", message);
    };
    let provisioner = class.object().str_at(&["provisioner"]);
    if provisioner.starts_with(IN_TREE) {
        return plan.warn(claim, "ProvisioningFailed", format!("no volume plugin matched name: {provisioner}"));
    }
    if STORAGE_PROVISIONER.iter().any(|key| object.annotation(key) != Some(provisioner)) {
        let annotations: Map<String, Value> = STORAGE_PROVISIONER.iter().map(|key| ((*key).to_owned(), json!(provisioner))).collect();
        plan.merge_as_seen(claim, "", json!({"metadata": {"annotations": annotations}}));
    }
    plan.tell(
        claim,
        "ExternalProvisioning",
        format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume \
             creation is delayed, please verify that the provisioner is running and correctly registered."
        ),
    );
}

/// One step further on the way to be bound: the volume names the claim, the claim its volume, and then it says that it is bound.
fn bind(volume: &Item, claim: &Item, plan: &mut Plan) {
    let (of_volume, of_claim) = (volume.object(), claim.object());
    if of_volume.str_at(&["spec", "claimRef", "uid"]) != claim.uid() || !storage::is_for(of_volume, of_claim) {
        let mut patch = json!({"spec": {"claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(), "uid": claim.uid(),
            "resourceVersion": claim.revision().to_string(),
        }}});
        if !storage::is_for(of_volume, of_claim) {
            patch["metadata"] = json!({"annotations": {BOUND_BY_CONTROLLER: "yes"}});
        }
        plan.merge_as_seen(volume, "", patch);
        return;
    }
    if of_claim.str_at(&["spec", "volumeName"]) != volume.name() || of_claim.annotation(BIND_COMPLETED).is_none() {
        let mut annotations = json!({BIND_COMPLETED: "yes"});
        if of_claim.str_at(&["spec", "volumeName"]).is_empty() {
            annotations[BOUND_BY_CONTROLLER] = json!("yes");
        }
        plan.merge_as_seen(claim, "", json!({"metadata": {"annotations": annotations}, "spec": {"volumeName": volume.name()}}));
        return;
    }
    phase(claim, "Bound", Some(volume), plan);
}

/// The claim's phase, and what it has of its volume; its size only with a new phase: afterwards it grows step by step.
fn phase<'p>(claim: &Item, phase: &str, volume: Option<&Item>, plan: &'p mut Plan) -> Option<&'p mut Write> {
    let new = claim.object().str_at(&["status", "phase"]) != phase;
    let of = |field: &str| volume.and_then(|volume| volume.object().at(&["spec", field])).cloned().unwrap_or_default();
    let mut fields = Map::from_iter([("phase".to_owned(), json!(phase)), ("accessModes".to_owned(), of("accessModes"))]);
    if volume.is_none() || new {
        fields.insert("capacity".to_owned(), of("capacity"));
        fields.insert("currentVolumeAttributesClassName".to_owned(), of("volumeAttributesClassName"));
    }
    let patch = status::difference(claim.object().at(&["status"]), fields)?;
    Some(plan.merge(claim, "status", json!({"status": patch})))
}
