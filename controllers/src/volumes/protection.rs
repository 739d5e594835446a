//! Finalizers that keep a claim while a pod uses it, and a volume while it is bound.
use super::index::{claim, claim_of, claims_of_pod, pods_of, volumes_for};
use crate::pod::pod;
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, Write};
use model::Key;
use model::storage::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use serde_json::json;
use std::sync::Arc;

/// Keeps claims.
pub struct ClaimProtection;

impl Controller for ClaimProtection {
    fn name(&self) -> &'static str {
        "persistentvolumeclaim-protection-controller"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::CLAIMS), Input::new(Resource::PODS, claims_of_pod)]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::CLAIMS, Part::Portion, "finalizer")]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        if let Some(claim) = view.at(key) {
            _ = protect(claim, CLAIM_PROTECTION, || pods_of(view, claim).any(|pod| uses(pod, claim)), &mut plan);
        }
        plan
    }
}

/// Whether a pod that means a claim needs it: it is on a node, and where the claim is its own, not over yet. A pod that is on none yet isn't let near
/// a claim that is being deleted.
fn uses(item: &Item, claim: &Item) -> bool {
    if pod(item).node().is_empty() {
        return false;
    }
    let shut_down = item.deleting() && item.read(|pod| pod.int_at(&["metadata", "deletionGracePeriodSeconds"])) == Some(0);
    !(shut_down && claim.controlled_by(item.uid()))
}

/// Keeps volumes.
pub struct VolumeProtection;

impl Controller for VolumeProtection {
    fn name(&self) -> &'static str {
        "persistentvolume-protection-controller"
    }
    fn inputs(&self) -> Vec<Input> {
        let named = |view: &View, change: ViewChange<'_>| change.item().map(|claim| volumes_for(view, claim)).unwrap_or_default();
        vec![Input::itself(Resource::VOLUMES), Input::new(Resource::CLAIMS, named)]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::VOLUMES, Part::Portion, "finalizer")]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(volume) = view.at(key) else { return plan };
        let claim = claim(view, volume);
        let write = protect(volume, VOLUME_PROTECTION, || is_bound(volume, claim), &mut plan);
        let uid = volume.object().str_at(&["spec", "claimRef", "uid"]);
        if let (Some(write), None, Some((namespace, name))) = (write, claim, claim_of(volume.object()).filter(|_| !uid.is_empty() && volume.deleting())) {
            // the view of claims may be behind the one of volumes
            write.guard(Guard::Absent { key: Resource::CLAIMS.key(namespace, name), uid: uid.to_owned() });
        }
        plan
    }
}

/// Whether a volume says that it is bound, or is about to be: a claim that it names may name it at any moment.
fn is_bound(volume: &Item, claim: Option<&Arc<Item>>) -> bool {
    let named = |claim: &Arc<Item>| matches!(claim.object().str_at(&["spec", "volumeName"]), name if name.is_empty() || name == volume.name());
    volume.object().str_at(&["status", "phase"]) == "Bound" || claim.is_some_and(named)
}

/// An object that lives has the finalizer, and one that is being deleted loses it when it isn't used.
fn protect<'p>(item: &Item, finalizer: &str, used: impl FnOnce() -> bool, plan: &'p mut Plan) -> Option<&'p mut Write> {
    let has = item.has_finalizer(finalizer);
    if !item.deleting() && !has {
        let all: Vec<&str> = item.object().finalizers().chain([finalizer]).collect();
        return Some(plan.merge_as_seen(item, "", json!({"metadata": {"finalizers": all}})));
    }
    (item.deleting() && has && !used()).then(|| without(item, finalizer, plan))
}

/// Takes a finalizer away.
pub fn without<'p>(item: &Item, finalizer: &str, plan: &'p mut Plan) -> &'p mut Write {
    let rest: Vec<&str> = item.object().finalizers().filter(|name| *name != finalizer).collect();
    plan.merge_as_seen(item, "", json!({"metadata": {"finalizers": rest}}))
}
