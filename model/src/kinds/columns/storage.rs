//! Classes of storage, what provides it, and where it is attached.
use super::{AGE, NAME, at, boolean, column, integer, list, or_none, text};
use crate::kind::Column;
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// Say that claims which name no class get this one; the second is the older name.
const DEFAULT_CLASS: [&str; 2] = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

fn flag(object: &Object, path: &[&str]) -> Value {
    object.at(path).and_then(Value::as_bool).unwrap_or_default().into()
}

pub(in crate::kinds) fn storage_class() -> Vec<Column> {
    vec![
        column("Name", "string", "name", "The object's name, and whether it is the default", |o, _| super::marked(o, &DEFAULT_CLASS).into()),
        text("Provisioner", "What makes its volumes", |o, _| o.str_at(&["provisioner"]).into()),
        text("ReclaimPolicy", "What becomes of a volume when its claim goes", |o, _| o.str_at(&["reclaimPolicy"]).into()),
        text("VolumeBindingMode", "When claims get their volumes", |o, _| o.str_at(&["volumeBindingMode"]).into()),
        text("AllowVolumeExpansion", "Whether its volumes can grow", |o, _| flag(o, &["allowVolumeExpansion"])),
        AGE,
    ]
}

pub(in crate::kinds) fn volume_attributes_class() -> Vec<Column> {
    vec![NAME, text("DriverName", "Which driver knows its attributes", |o, _| o.str_at(&["driverName"]).into()), AGE]
}

pub(in crate::kinds) fn csi_node() -> Vec<Column> {
    vec![NAME, integer("Drivers", "Number of drivers on the node", |o, _| o.list_at(&["spec", "drivers"]).len().into()), AGE]
}

pub(in crate::kinds) fn csi_driver() -> Vec<Column> {
    vec![
        NAME,
        boolean("AttachRequired", "Whether its volumes are attached to nodes before they are mounted", |o, _| {
            o.at(&["spec", "attachRequired"]).and_then(Value::as_bool).unwrap_or(true).into()
        }),
        boolean("PodInfoOnMount", "Whether it is told for which pod it mounts", |o, _| flag(o, &["spec", "podInfoOnMount"])),
        boolean("StorageCapacity", "Whether pods are placed by the room that it says it has", |o, _| flag(o, &["spec", "storageCapacity"])),
        text("TokenRequests", "For whom it gets tokens of pods", |o, _| audiences(o).into()),
        boolean("RequiresRepublish", "Whether it is asked again and again to mount", |o, _| flag(o, &["spec", "requiresRepublish"])),
        text("Modes", "Which kinds of volumes it has", |o, _| or_none(modes(o))),
        AGE,
    ]
}

fn audiences(driver: &Object) -> String {
    match driver.list_at(&["spec", "tokenRequests"]) {
        [] => "<unset>".to_owned(),
        requests => requests.iter().map(|request| at(request, "audience")).collect::<Vec<_>>().join(","),
    }
}

fn modes(driver: &Object) -> String {
    let spec = driver.at(&["spec"]).unwrap_or(&Value::Null);
    list(spec, "volumeLifecycleModes").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

pub(in crate::kinds) fn csi_storage_capacity() -> Vec<Column> {
    vec![
        NAME,
        text("StorageClassName", "For volumes of which class", |o, _| o.str_at(&["storageClassName"]).into()),
        text("Capacity", "How much room there is", |o, _| {
            o.at(&["capacity"]).and_then(|c| Quantity::from_json(c).ok()).map_or_else(|| "<unset>".into(), |c| c.to_string().into())
        }),
    ]
}

pub(in crate::kinds) fn volume_attachment() -> Vec<Column> {
    vec![
        NAME,
        column("Attacher", "string", "name", "Which driver attaches it", |o, _| o.str_at(&["spec", "attacher"]).into()),
        text("PV", "Which volume", |o, _| o.str_at(&["spec", "source", "persistentVolumeName"]).into()),
        text("Node", "To which node", |o, _| o.str_at(&["spec", "nodeName"]).into()),
        boolean("Attached", "Whether it is", |o, _| flag(o, &["status", "attached"])),
        AGE,
    ]
}

pub(in crate::kinds) fn storage_version_migration() -> Vec<Column> {
    vec![
        text("Name", "The object's name", |o, _| o.name().into()),
        text("Resource", "What is stored anew", |o, _| migrated(o).into()),
        text("Status", "How far it is", |o, _| progress(o).into()),
    ]
}

fn migrated(migration: &Object) -> String {
    let (group, resource) = (migration.str_at(&["spec", "resource", "group"]), migration.str_at(&["spec", "resource", "resource"]));
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// The last of its conditions that holds.
fn progress(migration: &Object) -> String {
    let mut holds = migration.list_at(&["status", "conditions"]).iter().filter(|c| at(c, "status") == "True").map(|c| at(c, "type"));
    holds.rfind(|kind| matches!(kind.as_str(), "Running" | "Failed" | "Succeeded")).unwrap_or_else(|| "Unknown".to_owned())
}
