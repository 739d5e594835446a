//! Claims and volumes: what users do with them, what must hold of them after each write, and once all is quiet.
use crate::agent::Agent;
use crate::net::{NAMESPACE, Net, Proc};
use crate::store::Entry;
use model::quantity::Quantity;
use model::storage::{BIND_COMPLETED, DEFAULT_CLASS, DIRECTORY_NODE, DIRECTORY_SIZE, SELECTED_NODE, is_directory};
use model::{Object, Stored};
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use state_client::{Body, Options, PatchKind, Request, Verb};
use std::collections::BTreeSet;
use std::sync::Arc;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";

fn send(net: &mut Net, request: Request) {
    net.send(Proc::User, 0, vec![request]);
}

fn create(net: &mut Net, resource: &str, namespace: &str, value: Value) {
    let body = Body::Object(Box::new(Object::from_value(value).unwrap_or_default()));
    send(net, Request::new(Verb::Create, "", resource, namespace, "").body(body));
}

fn merge(net: &mut Net, resource: &str, namespace: &str, name: &str, patch: &Value) {
    let body = Body::Patch(PatchKind::Merge, patch.to_string().into());
    send(net, Request::new(Verb::Patch, "", resource, namespace, name).body(body));
}

fn delete(net: &mut Net, resource: &str, namespace: &str, name: &str) {
    let request = Request::new(Verb::Delete, "", resource, namespace, name);
    send(net, Request { options: Options::default(), ..request });
}

fn names(net: &Net, resource: &str) -> Vec<String> {
    net.store.all(resource).map(|object| object.key.name.to_string()).collect()
}

/// One thing that a user, or the scheduler for a pod of his, does with a claim or a volume.
pub fn user(net: &mut Net) {
    let (what, number, size) = (net.random.random_range(0..12), net.random.random_range(0..4), net.random.random_range(1..4));
    let claim = names(net, CLAIMS).into_iter().choose(&mut net.random);
    let volume = net.store.all(VOLUMES).cloned().choose(&mut net.random);
    let node = names(net, "nodes").into_iter().choose(&mut net.random);
    match (what, claim, volume, node) {
        (0..3, ..) => {
            let class = if number == 0 { "" } else { DEFAULT_CLASS };
            let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": format!("{size}Gi")}}, "storageClassName": class});
            create(
                net,
                CLAIMS,
                NAMESPACE,
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": format!("claim{number}")}, "spec": spec}),
            );
        }
        (3, ..) => {
            let policy = ["Retain", "Delete", "Recycle"].into_iter().choose(&mut net.random);
            let spec = json!({
                "capacity": {"storage": format!("{size}Gi")}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/x"},
            });
            create(net, VOLUMES, "", json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("volume{number}")}, "spec": spec}));
        }
        (4..7, Some(claim), _, Some(node)) => merge(net, CLAIMS, NAMESPACE, &claim, &json!({"metadata": {"annotations": {SELECTED_NODE: node}}})),
        (7 | 8, Some(claim), ..) => delete(net, CLAIMS, NAMESPACE, &claim),
        (9, _, Some(volume), _) => delete(net, VOLUMES, "", &volume.key.name),
        (10, _, Some(volume), _) if volume.object().deletion_timestamp().is_none() => {
            let patch = json!({"metadata": {"resourceVersion": volume.object().resource_version()}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}});
            merge(net, VOLUMES, "", &volume.key.name, &patch);
        }
        (11, Some(claim), ..) => merge(net, CLAIMS, NAMESPACE, &claim, &json!({"spec": {"resources": {"requests": {"storage": format!("{}Gi", size + 2)}}}})),
        _ => {}
    }
}

/// Deletes every claim and every volume.
pub fn delete_all(net: &mut Net) {
    names(net, CLAIMS).iter().for_each(|claim| delete(net, CLAIMS, NAMESPACE, claim));
    names(net, VOLUMES).iter().for_each(|volume| delete(net, VOLUMES, "", volume));
}

fn uid_of_claim(volume: &Object) -> &str {
    volume.str_at(&["spec", "claimRef", "uid"])
}

/// The claim of this UID, while it is there.
fn claim<'a>(net: &'a Net, uid: &str) -> Option<&'a Arc<Stored>> {
    net.store.all(CLAIMS).find(|claim| claim.object().uid() == uid)
}

/// Looks at one write: a volume is never the one of two claims, and a claim that is bound has its volume.
///
/// # Errors
/// What it breaks.
pub fn written(entry: &Entry, net: &Net) -> Result<(), String> {
    let (object, name) = (entry.object.object(), &*entry.object.key.name);
    match (&*entry.object.key.resource, entry.deleted) {
        (CLAIMS, false) => bound(object, net),
        (VOLUMES, true) => {
            let bound = |claim: &&Arc<Stored>| claim.object().str_at(&["spec", "volumeName"]) == name && claim.object().annotation(BIND_COMPLETED).is_some();
            let orphan = net.store.all(CLAIMS).filter(bound).find(|claim| claim.object().uid() == uid_of_claim(object));
            orphan.map_or(Ok(()), |claim| Err(format!("{} has lost its volume {name}", claim.key)))
        }
        (VOLUMES, false) => {
            let before = entry.old.as_ref().map(|old| uid_of_claim(old.object())).filter(|uid| !uid.is_empty() && *uid != uid_of_claim(object));
            let taken = before.and_then(|uid| claim(net, uid)).filter(|claim| claim.object().str_at(&["spec", "volumeName"]) == name);
            taken.map_or(Ok(()), |claim| Err(format!("{name} was taken from {}", claim.key)))
        }
        _ => Ok(()),
    }
}

fn bound(claim: &Object, net: &Net) -> Result<(), String> {
    let name = claim.str_at(&["spec", "volumeName"]);
    if name.is_empty() {
        return Ok(());
    }
    let volume = net.store.get("", VOLUMES, "", name).ok_or_else(|| format!("{} is bound to {name}, which is not there", claim.name()))?;
    if uid_of_claim(volume.object()) != claim.uid() {
        return Err(format!("{} is bound to {name}, which is for {:?}", claim.name(), volume.object().at(&["spec", "claimRef"])));
    }
    let others = net.store.all(CLAIMS).filter(|other| other.object().uid() != claim.uid() && other.object().str_at(&["spec", "volumeName"]) == name);
    others.map(|other| other.key.to_string()).next().map_or(Ok(()), |other| Err(format!("{} and {other} have one volume", claim.name())))
}

/// A directory that a node has said to have is there as long as its volume isn't to go: with its claim, or because it is to be kept.
///
/// # Errors
/// Which one is gone.
pub fn directories(net: &Net, agents: &[Agent]) -> Result<(), String> {
    for stored in net.store.all(VOLUMES) {
        let volume = stored.object();
        let goes = volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete" && volume.str_at(&["status", "phase"]) != "Bound";
        let needed = is_directory(volume) && volume.annotation(DIRECTORY_SIZE).is_some() && !(goes && volume.deletion_timestamp().is_some());
        let agent = agents.iter().find(|agent| volume.label(DIRECTORY_NODE) == Some(agent.name.as_str()));
        if needed && agent.is_some_and(|agent| !agent.directories.has(volume.name(), volume.uid())) {
            return Err(format!("the directory of {} is gone: {}", volume.name(), volume.at(&["status"]).unwrap_or(&Value::Null)));
        }
    }
    Ok(())
}

/// Whether an object waits for its end with good reason: a volume for its claim.
pub fn waits(stored: &Stored, net: &Net) -> bool {
    *stored.key.resource == *VOLUMES && claim(net, uid_of_claim(stored.object())).is_some()
}

/// What is not yet as it should be.
pub fn open(net: &Net, open: &mut Vec<String>) {
    let nodes: BTreeSet<&str> = net.store.all("nodes").map(|node| &*node.key.name).collect();
    for stored in net.store.all(CLAIMS) {
        let claim = stored.object();
        let selected = claim.annotation(SELECTED_NODE).is_some_and(|node| nodes.contains(node));
        let phase = claim.str_at(&["status", "phase"]);
        if model::storage::class(claim) == DEFAULT_CLASS && selected && phase != "Bound" {
            open.push(format!("{} is {phase}: {}", stored.key, claim.at(&["metadata", "annotations"]).unwrap_or(&Value::Null)));
        }
        let has = claim.at(&["status", "capacity", "storage"]).and_then(|size| Quantity::from_json(size).ok());
        let grown = has.is_some_and(|has| has >= model::storage::requested(claim));
        if phase == "Bound" && model::storage::class(claim) == DEFAULT_CLASS && !grown {
            open.push(format!("{} has not grown: {}", stored.key, claim.at(&["status"]).unwrap_or(&Value::Null)));
        }
    }
    for stored in net.store.all(VOLUMES) {
        let volume = stored.object();
        let (phase, lives) = (volume.str_at(&["status", "phase"]), claim(net, uid_of_claim(volume)).is_some());
        let right = match phase {
            "Bound" => lives,
            "Available" => uid_of_claim(volume).is_empty(),
            "Released" => !lives && volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) == "Retain",
            "Failed" => !lives && !is_directory(volume),
            _ => false,
        };
        if !right {
            open.push(format!("{} is {phase}, and its claim {}", stored.key, if lives { "is there" } else { "is not" }));
        }
    }
}
