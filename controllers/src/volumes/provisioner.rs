//! The built-in provisioner: volumes that are directories of a node. Their objects are made here, and the node's agent makes and removes the directories.
use super::index::{BY_VOLUME, claim, claim_of, volumes_for};
use super::protection::without;
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp};
use model::storage::{self, DIRECTORIES, DIRECTORY, DIRECTORY_NODE, PROVISIONED_BY, PROVISIONER, SELECTED_NODE};
use model::{Key, Object};
use serde_json::{Value, json};
use std::sync::Arc;

/// The label of nodes that the affinity of a directory names.
const HOSTNAME: &str = "kubernetes.io/hostname";
/// The longest name of a node that a label can hold.
const LABEL_MAX: usize = 63;

/// Makes and ends volumes of [`PROVISIONER`].
pub struct Provisioner;

impl Controller for Provisioner {
    fn name(&self) -> &'static str {
        PROVISIONER
    }
    fn inputs(&self) -> Vec<Input> {
        vec![
            Input::itself(Resource::CLAIMS),
            Input::new(Resource::CLAIMS, |view, change| change.item().map(|claim| volumes_for(view, claim)).unwrap_or_default()),
            Input::itself(Resource::VOLUMES),
            Input::new(Resource::NODES, lost_directories),
            Input::new(Resource::NODES, waiting_claims),
            Input::silent(Resource::STORAGE_CLASSES),
        ]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::VOLUMES, Part::Whole, PROVISIONER), Output::new(Resource::CLAIMS, Part::Portion, "selected node")]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(item) = view.at(key) else { return plan };
        if Resource::CLAIMS.holds(key) {
            provision(view, item, &mut plan);
        } else if storage::is_directory(item.object()) {
            reclaim(view, item, &mut plan);
        }
        plan
    }
}

/// The volumes whose directories went with a node.
fn lost_directories(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let (Some(node), None) = (change.old, change.new) else { return Vec::new() };
    let ours = |volume: &&Arc<Item>| volume.label(DIRECTORY_NODE) == Some(node.name());
    view.all(&Resource::VOLUMES).filter(ours).map(|volume| volume.key().clone()).collect()
}

/// The claims that wait for a node which says now where it keeps directories.
fn waiting_claims(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let says = |node: Option<&Item>| node.and_then(directories);
    let Some(node) = change.new.filter(|node| says(Some(node)) != says(change.old)) else { return Vec::new() };
    let waits = |claim: &&Arc<Item>| claim.object().annotation(SELECTED_NODE) == Some(node.name()) && claim.object().str_at(&["spec", "volumeName"]).is_empty();
    view.all(&Resource::CLAIMS).filter(waits).map(|claim| claim.key().clone()).collect()
}

/// Where a node keeps directories.
fn directories(node: &Item) -> Option<String> {
    node.read(|node| node.annotation(DIRECTORIES).filter(|path| path.starts_with('/')).map(str::to_owned))
}

/// Makes the volume that a claim waits for, once its node is chosen.
fn provision(view: &View, claim: &Item, plan: &mut Plan) {
    let object = claim.object();
    if storage::provisioner(object) != PROVISIONER || claim.deleting() || !object.str_at(&["spec", "volumeName"]).is_empty() {
        return;
    }
    let Some(class) = view.get(&Resource::STORAGE_CLASSES, "", storage::class(object)).filter(|c| c.object().str_at(&["provisioner"]) == PROVISIONER) else {
        return;
    };
    let name = format!("pvc-{}", claim.uid());
    if view.get(&Resource::VOLUMES, "", &name).is_some() {
        return;
    }
    let node = object.annotation(SELECTED_NODE);
    if node.is_none() && class.object().str_at(&["volumeBindingMode"]) == "WaitForFirstConsumer" {
        return;
    }
    let refused = unsupported(object).map_or(Ok(()), Err).and_then(|()| place(view, node));
    let (node, directories) = match refused {
        Ok(place) => place,
        Err(why) => {
            plan.warn(claim, "ProvisioningFailed", format!("failed to provision volume with StorageClass {:?}: {why}", class.name()));
            if let Some(node) = node.filter(|node| view.get(&Resource::NODES, "", node).is_none()) {
                // the scheduler chooses anew
                let gone = Guard::Absent { key: Resource::NODES.key("", node), uid: String::new() };
                plan.merge_as_seen(claim, "", json!({"metadata": {"annotations": {SELECTED_NODE: null}}})).guard(gone);
            }
            return;
        }
    };
    let (of, about) = (claim.namespace(), claim.name());
    plan.tell(claim, "Provisioning", format!("External provisioner is provisioning volume for claim \"{of}/{about}\""));
    let volume = volume(claim, class, &name, node, &directories);
    let done = ("ProvisioningSucceeded", "Successfully provisioned volume ");
    plan.create(&Resource::VOLUMES, volume).says(claim, done, ("ProvisioningFailed", "failed to save volume: "));
}

/// What of a claim a directory can't be.
fn unsupported(claim: &Object) -> Option<String> {
    let has = |field: &str| claim.at(&["spec", field]).is_some_and(|value| !value.is_null());
    let mode = storage::access_modes(claim).find(|mode| !matches!(*mode, "ReadWriteOnce" | "ReadWriteOncePod"));
    match mode {
        Some(mode) => Some(format!("access mode {mode} is not supported: a directory of one node can be ReadWriteOnce or ReadWriteOncePod")),
        None if storage::mode(claim) == "Block" => Some(format!("{PROVISIONER} does not support block volume provisioning")),
        None if has("selector") => Some("claim Selector is not supported".to_owned()),
        None if has("dataSource") || has("dataSourceRef") => Some("a claim with a data source is not supported".to_owned()),
        None => None,
    }
}

/// The node, and where it keeps directories.
fn place<'a>(view: &'a View, node: Option<&str>) -> Result<(&'a Item, String), String> {
    let name = node.ok_or("configuration error, no node was specified")?;
    let node = view.get(&Resource::NODES, "", name).ok_or_else(|| format!("nodes {name:?} not found"))?;
    if name.len() > LABEL_MAX || node.label(HOSTNAME).is_none() {
        return Err(format!("node {name:?} has no {HOSTNAME} label, or too long a name for one"));
    }
    let directories = directories(node).ok_or_else(|| format!("node {name:?} does not say in its annotation {DIRECTORIES} where it keeps volumes"))?;
    Ok((node, directories))
}

fn volume(claim: &Item, class: &Item, name: &str, node: &Item, directories: &str) -> Object {
    let (wanted, class_object) = (claim.object(), class.object());
    let hostname = json!({"key": HOSTNAME, "operator": "In", "values": [node.label(HOSTNAME)]});
    let reclaim = Some(class_object.str_at(&["reclaimPolicy"])).filter(|policy| !policy.is_empty()).unwrap_or("Delete");
    let mut volume = Object::default();
    volume.set(&["apiVersion"], "v1");
    volume.set(&["kind"], "PersistentVolume");
    volume.set(
        &["metadata"],
        json!({"name": name, "labels": {DIRECTORY_NODE: node.name()}, "annotations": {PROVISIONED_BY: PROVISIONER}, "finalizers": [DIRECTORY]}),
    );
    volume.set(
        &["spec"],
        json!({
            "capacity": {"storage": wanted.at(&["spec", "resources", "requests", "storage"]).unwrap_or(&Value::Null)},
            "accessModes": wanted.list_at(&["spec", "accessModes"]), "volumeMode": "Filesystem", "storageClassName": class.name(),
            "persistentVolumeReclaimPolicy": reclaim,
            "local": {"path": format!("{}/{name}", directories.trim_end_matches('/'))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(), "uid": claim.uid()},
        }),
    );
    if let Some(options) = class_object.at(&["mountOptions"]) {
        volume.set(&["spec", "mountOptions"], options.clone());
    }
    volume
}

/// Ends a released volume. Its object goes when its node has removed the directory, or when there is nobody to do that.
fn reclaim(view: &View, volume: &Item, plan: &mut Plan) {
    let object = volume.object();
    let deletes = object.str_at(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete";
    let released =
        object.str_at(&["status", "phase"]) == "Released" && claim(view, volume).is_none_or(|c| c.object().str_at(&["spec", "volumeName"]) != volume.name());
    if !volume.deleting() {
        let named = claim_of(object).filter(|_| deletes && released);
        if let Some((namespace, name)) = named
            && view.with_field(&Resource::CLAIMS, BY_VOLUME, volume.name()).next().is_none()
        {
            let uid = object.str_at(&["spec", "claimRef", "uid"]).to_owned();
            // a claim that took another volume is still there
            let lives = claim(view, volume).is_some();
            // as it was seen: somebody may have said meanwhile that it is to be kept
            let op = WriteOp::Delete { uid: volume.uid().to_owned(), revision: volume.revision(), propagation: None, grace: None };
            let write = plan.write(volume.key().clone(), op);
            if !lives {
                write.guard(Guard::Absent { key: Resource::CLAIMS.key(namespace, name), uid });
            }
        }
        return;
    }
    if !volume.has_finalizer(DIRECTORY) || object.str_at(&["status", "phase"]) == "Bound" {
        return;
    }
    let node = volume.label(DIRECTORY_NODE).unwrap_or_default();
    if !deletes {
        // the directory stays, and nobody waits for its end
        without(volume, DIRECTORY, plan);
    } else if view.get(&Resource::NODES, "", node).is_none() {
        plan.warn(volume, "VolumeFailedDelete", format!("node {node:?} is gone, and the directory {} with it", object.str_at(&["spec", "local", "path"])));
        without(volume, DIRECTORY, plan).guard(Guard::Absent { key: Resource::NODES.key("", node), uid: String::new() });
    }
}
