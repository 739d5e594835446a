//! In which phase a volume is, and what becomes of one whose claim is gone.
use super::phase::phase;
use super::reclaim;
use crate::runtime::{Guard, Item, Plan, Resource, View, Write};
use crate::volumes::index::{claim, claim_of};
use jiff::Timestamp;
use model::storage::{self, BOUND_BY_CONTROLLER, PROVISIONED_BY};
use serde_json::json;

/// Plans the next step of one volume.
pub fn plan(view: &View, volume: &Item, now: Timestamp, plan: &mut Plan) {
    let object = volume.object();
    let uid = object.str_at(&["spec", "claimRef", "uid"]);
    if uid.is_empty() {
        phase(volume, "Available", "", now, plan);
        return;
    }
    let Some(claim) = claim(view, volume) else {
        if let Some(write) = release(volume, now, plan)
            && let Some((namespace, name)) = claim_of(object)
        {
            // the view of claims may be behind the one of volumes
            write.guard(Guard::Absent { key: Resource::CLAIMS.key(namespace, name), uid: uid.to_owned() });
        }
        return;
    };
    match claim.object().str_at(&["spec", "volumeName"]) {
        "" => mismatch(volume, claim, plan),
        name if name == volume.name() => drop(phase(volume, "Bound", "", now, plan)),
        _ if object.annotation(PROVISIONED_BY).is_some() && reclaim::policy(volume) == "Delete" => drop(release(volume, now, plan)),
        _ => unbind(volume, plan),
    }
}

/// The claim isn't bound yet: its own plan does that, unless the volume can't be for it.
fn mismatch(volume: &Item, claim: &Item, plan: &mut Plan) {
    if storage::mode(volume.object()) != storage::mode(claim.object()) {
        let why = |what: String| format!("{what} due to incompatible volumeMode.");
        plan.warn(volume, "VolumeMismatch", why(format!("Cannot bind PersistentVolume to requested PersistentVolumeClaim {:?}", claim.name())));
        plan.warn(claim, "VolumeMismatch", why(format!("Cannot bind PersistentVolume {:?} to requested PersistentVolumeClaim", volume.name())));
    }
}

/// The claim is gone, or has another volume. Released first, then reclaimed as the volume says.
fn release<'p>(volume: &Item, now: Timestamp, plan: &'p mut Plan) -> Option<&'p mut Write> {
    match volume.object().str_at(&["status", "phase"]) {
        "Released" => {
            reclaim::plan(volume, now, plan);
            None
        }
        "Failed" => None,
        _ => phase(volume, "Released", "", now, plan),
    }
}

/// What the controller bound is free again; what a user bound waits for that claim.
fn unbind(volume: &Item, plan: &mut Plan) {
    let patch = if volume.object().annotation(BOUND_BY_CONTROLLER).is_some() {
        json!({"spec": {"claimRef": null}, "metadata": {"annotations": {BOUND_BY_CONTROLLER: null}}})
    } else {
        json!({"spec": {"claimRef": {"uid": null}}})
    };
    plan.merge_as_seen(volume, "", patch);
}
