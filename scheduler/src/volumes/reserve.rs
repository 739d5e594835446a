//! Before a pod is bound, the volumes that it was given are written down, and what binds and makes volumes carries that out.
use super::Volumes;
use super::choice::Reserved;
use super::choose::choose;
use super::object::ClaimKey;
use crate::node::Node;
use crate::pod::PodClass;
use crate::writes::{Progress, Write};
use model::storage::{BOUND_BY_CONTROLLER, SELECTED_NODE};
use serde_json::json;
use std::sync::Arc;

/// Reserves what the pod gets on the node: the writes that say so.
pub fn reserve(volumes: &mut Volumes, uid: &Arc<str>, class: &PodClass, node: &Node) -> Vec<Write> {
    let Ok(choice) = choose(class, node, volumes) else { return Vec::new() };
    if choice.is_empty() {
        return Vec::new();
    }
    let found = choice.found.iter().filter_map(|(name, key)| bind(volumes, name, key));
    let made = choice.made.iter().filter_map(|key| select(volumes, key, &node.name));
    let writes = found.chain(made).collect();
    volumes.note(uid, &node.name, choice);
    writes
}

/// Binds a volume to a claim: the claim follows.
fn bind(volumes: &Volumes, name: &Arc<str>, key: &ClaimKey) -> Option<Write> {
    let (volume, claim) = (volumes.volumes.get(name)?, volumes.claims.get(key)?);
    let reference = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*key.0, "name": &*key.1, "uid": &*claim.uid,
        "resourceVersion": claim.revision.to_string(),
    });
    let mut patch = json!({"metadata": {"resourceVersion": volume.revision.to_string()}, "spec": {"claimRef": reference}});
    if !volume.is_for(key, &claim.uid) {
        patch["metadata"]["annotations"] = json!({BOUND_BY_CONTROLLER: "yes"});
    }
    Some(Write { resource: "persistentvolumes", namespace: "".into(), name: name.clone(), patch })
}

/// Says on which node a claim's volume is to be made.
fn select(volumes: &Volumes, key: &ClaimKey, node: &str) -> Option<Write> {
    let claim = volumes.claims.get(key)?;
    let patch = json!({"metadata": {"resourceVersion": claim.revision.to_string(), "annotations": {SELECTED_NODE: node}}});
    Some(Write { resource: "persistentvolumeclaims", namespace: key.0.clone(), name: key.1.clone(), patch })
}

/// A write of a pod's was made: what the watch shows from this revision on is what came of it.
pub fn written(volumes: &mut Volumes, uid: &str, name: &Arc<str>, revision: u64) {
    if let Some(reserved) = volumes.reserved.get_mut(uid) {
        reserved.written.insert(name.clone(), revision);
    }
}

/// How far it is. `node` is the pod's; it may be gone.
pub fn progress(volumes: &Volumes, uid: &str, node: Option<&Node>) -> Progress {
    let Some(reserved) = volumes.reserved.get(uid) else { return Progress::Done };
    let Some(node) = node else { return Progress::Failed(format!("failed to get node \"{}\"", reserved.node)) };
    let found = reserved.choice.found.iter().map(|(name, key)| is_bound(volumes, reserved, name, key, node));
    let made = reserved.choice.made.iter().map(|key| is_made(volumes, reserved, key, node));
    found.chain(made).find(|one| *one != Progress::Done).unwrap_or(Progress::Done)
}

fn is_shown(reserved: &Reserved, name: &str, revision: u64) -> bool {
    reserved.written.get(name).is_some_and(|written| revision >= *written)
}

fn reached(volumes: &Volumes, name: &str, node: &Node) -> Result<(), String> {
    let away = volumes.volumes.get(name).is_some_and(|v| !v.is_reached_from(&node.name, &node.info.labels));
    if away { Err(format!("pv \"{name}\" node affinity doesn't match node \"{}\": no matching NodeSelectorTerms", node.name)) } else { Ok(()) }
}

fn is_bound(volumes: &Volumes, reserved: &Reserved, name: &Arc<str>, key: &ClaimKey, node: &Node) -> Progress {
    let (Some(volume), Some(claim)) = (volumes.volumes.get(name), volumes.claims.get(key)) else {
        return Progress::Failed(format!("failed to check binding: \"{}\" or \"{name}\" is gone", key.1));
    };
    if !is_shown(reserved, name, volume.revision) {
        return Progress::Waiting;
    }
    if let Err(why) = reached(volumes, name, node) {
        return Progress::Failed(why);
    }
    if !volume.is_for(key, &claim.uid) {
        return Progress::Failed(format!("ClaimRef got reset for pv \"{name}\""));
    }
    if claim.bound { Progress::Done } else { Progress::Waiting }
}

fn is_made(volumes: &Volumes, reserved: &Reserved, key: &ClaimKey, node: &Node) -> Progress {
    let name = &key.1;
    let Some(claim) = volumes.claims.get(key) else {
        return Progress::Failed(format!("failed to check provisioning pvc: \"{name}\" is gone"));
    };
    if !is_shown(reserved, name, claim.revision) {
        return Progress::Waiting;
    }
    if claim.selected_node.as_deref() != Some(&*node.name) {
        return Progress::Failed(format!("provisioning failed for PVC \"{name}\""));
    }
    if let Err(why) = reached(volumes, &claim.volume, node) {
        return Progress::Failed(why);
    }
    if claim.bound && volumes.volumes.contains_key(&claim.volume) { Progress::Done } else { Progress::Waiting }
}
