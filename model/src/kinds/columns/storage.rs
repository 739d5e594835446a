//! Volumes, claims, classes and quotas.
use super::{AGE, NAME, NONE, boolean, column, integer, list, or_none, text, wide};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

const UNSET: &str = "<unset>";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const MODES: [(&str, &str); 4] = [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

fn modes(modes: &[Value]) -> String {
    MODES.iter().filter(|(mode, _)| modes.iter().any(|m| m == mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

fn or_unset(text: &str) -> Value {
    if text.is_empty() { UNSET.into() } else { text.into() }
}

pub(in crate::kinds) fn volume() -> Vec<Column> {
    vec![
        NAME,
        text("Capacity", "How large it is", |o, _| o.str_at(&["spec", "capacity", "storage"]).into()),
        text("Access Modes", "How it is mounted", |o, _| modes(o.list_at(&["spec", "accessModes"])).into()),
        text("Reclaim Policy", "What becomes of it without its claim", |o, _| o.str_at(&["spec", "persistentVolumeReclaimPolicy"]).into()),
        text("Status", "Its phase", |o, _| phase(o).into()),
        text("Claim", "Whose it is", |o, _| match (o.str_at(&["spec", "claimRef", "namespace"]), o.str_at(&["spec", "claimRef", "name"])) {
            (_, "") => "".into(),
            (namespace, name) => format!("{namespace}/{name}").into(),
        }),
        text("StorageClass", "Its class", |o, _| o.str_at(&["spec", "storageClassName"]).into()),
        text("VolumeAttributesClass", "The class of its attributes", |o, _| or_unset(o.str_at(&["spec", "volumeAttributesClassName"]))),
        text("Reason", "Why it is in its phase", |o, _| o.str_at(&["status", "reason"]).into()),
        AGE,
        wide(text("VolumeMode", "File system or block device", |o, _| or_unset(o.str_at(&["spec", "volumeMode"])))),
    ]
}

fn phase(object: &Object) -> &str {
    if object.deletion_timestamp().is_some() { "Terminating" } else { object.str_at(&["status", "phase"]) }
}

pub(in crate::kinds) fn volume_claim() -> Vec<Column> {
    vec![
        NAME,
        text("Status", "Its phase", |o, _| phase(o).into()),
        text("Volume", "The volume that it has", |o, _| o.str_at(&["spec", "volumeName"]).into()),
        text("Capacity", "How large that is", |o, _| o.str_at(&["status", "capacity", "storage"]).into()),
        text("Access Modes", "How it is mounted", |o, _| modes(o.list_at(&["status", "accessModes"])).into()),
        text("StorageClass", "Its class", |o, _| o.str_at(&["spec", "storageClassName"]).into()),
        text("VolumeAttributesClass", "The class of its attributes", |o, _| or_unset(o.str_at(&["spec", "volumeAttributesClassName"]))),
        AGE,
        wide(text("VolumeMode", "File system or block device", |o, _| or_unset(o.str_at(&["spec", "volumeMode"])))),
    ]
}

fn usage(quota: &Object, limits: bool) -> String {
    let hard = quota.at(&["status", "hard"]).or_else(|| quota.at(&["spec", "hard"])).and_then(Value::as_object);
    let used = |name: &str| quota.at(&["status", "used", name]).and_then(Value::as_str).unwrap_or("0").to_owned();
    let entries = hard.into_iter().flatten().filter(|(name, _)| name.starts_with("limits") == limits);
    entries.map(|(name, amount)| format!("{name}: {}/{}", used(name), amount.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
}

pub(in crate::kinds) fn quota() -> Vec<Column> {
    vec![
        NAME,
        text("Request", "What is asked for, of what may be", |o, _| usage(o, false).into()),
        text("Limit", "Limits, of what they may be", |o, _| usage(o, true).into()),
        AGE,
    ]
}

pub(in crate::kinds) fn limits() -> Vec<Column> {
    vec![NAME, column("Created At", "string", "date-time", "When it was created", |o, _| o.creation_timestamp().into())]
}

pub(in crate::kinds) fn storage_class() -> Vec<Column> {
    vec![
        column("Name", "string", "name", "The object's name", |o, _| {
            let default = o.str_at(&["metadata", "annotations", DEFAULT_CLASS]) == "true";
            format!("{}{}", o.name(), if default { " (default)" } else { "" }).into()
        }),
        text("Provisioner", "Who makes its volumes", |o, _| o.str_at(&["provisioner"]).into()),
        text("ReclaimPolicy", "What becomes of them without a claim", |o, _| o.str_at(&["reclaimPolicy"]).into()),
        text("VolumeBindingMode", "When they are made", |o, _| o.str_at(&["volumeBindingMode"]).into()),
        boolean("AllowVolumeExpansion", "Whether they may grow", |o, _| flag(o, "allowVolumeExpansion")),
        AGE,
    ]
}

fn flag(object: &Object, key: &str) -> Value {
    object.at(&[key]).or_else(|| object.at(&["spec", key])).and_then(Value::as_bool).unwrap_or_default().into()
}

pub(in crate::kinds) fn attachment() -> Vec<Column> {
    vec![
        NAME,
        text("Attacher", "Who attaches", |o, _| o.str_at(&["spec", "attacher"]).into()),
        text("PV", "What is attached", |o, _| o.str_at(&["spec", "source", "persistentVolumeName"]).into()),
        text("Node", "To which node", |o, _| o.str_at(&["spec", "nodeName"]).into()),
        boolean("Attached", "Whether it is", |o, _| o.at(&["status", "attached"]).and_then(Value::as_bool).unwrap_or_default().into()),
        AGE,
    ]
}

pub(in crate::kinds) fn csi_driver() -> Vec<Column> {
    vec![
        NAME,
        boolean("AttachRequired", "Whether volumes are attached before they are mounted", |o, _| flag(o, "attachRequired")),
        boolean("PodInfoOnMount", "Whether it is told for which pod", |o, _| flag(o, "podInfoOnMount")),
        boolean("StorageCapacity", "Whether it says how much room there is", |o, _| flag(o, "storageCapacity")),
        text("TokenRequests", "For whom it wants tokens", |o, _| {
            or_unset(
                &list(o.at(&["spec"]).unwrap_or(&Value::Null), "tokenRequests").iter().filter_map(|t| t["audience"].as_str()).collect::<Vec<_>>().join(","),
            )
        }),
        boolean("RequiresRepublish", "Whether it is called again and again", |o, _| flag(o, "requiresRepublish")),
        text("Modes", "Lives of volumes", |o, _| {
            or_none(list(o.at(&["spec"]).unwrap_or(&Value::Null), "volumeLifecycleModes").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }),
        AGE,
    ]
}

pub(in crate::kinds) fn csi_node() -> Vec<Column> {
    vec![NAME, integer("Drivers", "Drivers that the node has", |o, _| o.list_at(&["spec", "drivers"]).len().into()), AGE]
}

pub(in crate::kinds) fn storage_capacity() -> Vec<Column> {
    vec![
        NAME,
        text("StorageClassName", "Of which class", |o, _| o.str_at(&["storageClassName"]).into()),
        text("Capacity", "How much room there is", |o, _| match o.str_at(&["capacity"]) {
            "" => UNSET.into(),
            amount => amount.into(),
        }),
    ]
}

pub(in crate::kinds) fn attributes_class() -> Vec<Column> {
    vec![NAME, text("DriverName", "Which driver it is for", |o, _| o.str_at(&["driverName"]).into()), AGE]
}

pub(in crate::kinds) fn migration() -> Vec<Column> {
    vec![
        NAME,
        text("Resource", "What is migrated", |o, _| match (o.str_at(&["spec", "resource", "resource"]), o.str_at(&["spec", "resource", "group"])) {
            ("", "") => NONE.into(),
            (resource, "") => resource.into(),
            (resource, group) => format!("{resource}.{group}").into(),
        }),
    ]
}
