//! Persistent volumes and claims to them.
use super::{AGE, NAME, text, wide};
use crate::kind::Column;
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// Named the class before there was a field for it.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Access modes and their short names, in the order in which they are shown.
const MODES: [(&str, &str); 4] = [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

const ATTRIBUTES: Column = text("VolumeAttributesClass", "The class of its attributes", |o, _| or_unset(o, "volumeAttributesClassName"));
const MODE: Column = wide(text("VolumeMode", "Whether it is a file system or a device", |o, _| or_unset(o, "volumeMode")));

pub(in crate::kinds) fn persistent_volume() -> Vec<Column> {
    vec![
        NAME,
        text("Capacity", "How large it is", |o, _| storage(o, &["spec", "capacity", "storage"]).into()),
        text("Access Modes", "How it can be mounted", |o, _| modes(o, "spec").into()),
        text("Reclaim Policy", "What becomes of it when its claim goes", |o, _| o.str_at(&["spec", "persistentVolumeReclaimPolicy"]).into()),
        text("Status", "Whether it is claimed", |o, _| phase(o).into()),
        text("Claim", "By which claim", |o, _| claim(o).into()),
        text("StorageClass", "Its class", |o, _| class(o).into()),
        ATTRIBUTES,
        text("Reason", "Why it is in that state", |o, _| o.str_at(&["status", "reason"]).into()),
        AGE,
        MODE,
    ]
}

pub(in crate::kinds) fn persistent_volume_claim() -> Vec<Column> {
    vec![
        NAME,
        text("Status", "Whether it has a volume", |o, _| phase(o).into()),
        text("Volume", "Which volume it has", |o, _| o.str_at(&["spec", "volumeName"]).into()),
        text("Capacity", "How large that is", |o, _| if bound(o) { storage(o, &["status", "capacity", "storage"]) } else { String::new() }.into()),
        text("Access Modes", "How that can be mounted", |o, _| if bound(o) { modes(o, "status") } else { String::new() }.into()),
        text("StorageClass", "Its class", |o, _| class(o).into()),
        ATTRIBUTES,
        AGE,
        MODE,
    ]
}

fn bound(claim: &Object) -> bool {
    !claim.str_at(&["spec", "volumeName"]).is_empty()
}

fn or_unset(object: &Object, field: &str) -> Value {
    object.at(&["spec", field]).cloned().unwrap_or_else(|| "<unset>".into())
}

fn storage(object: &Object, path: &[&str]) -> String {
    object.at(path).and_then(|amount| Quantity::from_json(amount).ok()).unwrap_or(Quantity::ZERO).to_string()
}

fn modes(object: &Object, part: &str) -> String {
    let given = object.list_at(&[part, "accessModes"]);
    MODES.iter().filter(|(mode, _)| given.iter().any(|g| g == mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

fn phase(object: &Object) -> &str {
    if object.deletion_timestamp().is_some() { "Terminating" } else { object.str_at(&["status", "phase"]) }
}

fn class(object: &Object) -> &str {
    object.annotation(CLASS).unwrap_or_else(|| object.str_at(&["spec", "storageClassName"]))
}

fn claim(volume: &Object) -> String {
    match volume.at(&["spec", "claimRef"]) {
        Some(_) => format!("{}/{}", volume.str_at(&["spec", "claimRef", "namespace"]), volume.str_at(&["spec", "claimRef", "name"])),
        None => String::new(),
    }
}
