//! PersistentVolumes.
use super::place::Use;
use super::{sources, spec};
use crate::error::Cause;
use crate::kinds::fields::{Checks, fill, keep, list, text, with_field};
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

/// Options of mounting, from before there was a field for them.
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
/// Sources that heeded them.
const MOUNTED_WITH_OPTIONS: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
/// Labels of nodes with the names that replaced them: a selector may be brought up to date.
const RENAMED: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

/// The rules of PersistentVolumes.
pub(in crate::kinds) static VOLUME: PersistentVolume = PersistentVolume;

/// The rules of PersistentVolumes.
pub(in crate::kinds) struct PersistentVolume;

fn spec_of(volume: &Object) -> &Value {
    volume.at(&["spec"]).unwrap_or(&Value::Null)
}

impl Strategy for PersistentVolume {
    fn default(&self, volume: &mut Object) {
        with_field(volume, "spec", |spec| {
            fill(spec, "persistentVolumeReclaimPolicy", "Retain");
            fill(spec, "volumeMode", "Filesystem");
            sources::default(spec);
        });
    }
    fn prepare_create(&self, volume: &mut Object) {
        let now = volume.creation_timestamp().to_owned();
        volume.set(&["status"], json!({"phase": "Pending"}));
        if !now.is_empty() {
            volume.set(&["status", "lastPhaseTransitionTime"], now);
        }
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    /// As long as a volume's phase stays, so does the time since when it has it.
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        let path = ["status", "lastPhaseTransitionTime"];
        if new.str_at(&["status", "phase"]) == old.str_at(&["status", "phase"])
            && new.at(&path).is_none()
            && let Some(time) = old.at(&path)
        {
            new.set(&path, time.clone());
        }
    }
    fn validate(&self, volume: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = spec_of(volume);
        spec::validate(&mut checks, &"spec", spec, Use::Volume(volume.name()));
        if volume.annotation(MOUNT_OPTIONS).is_some() && !MOUNTED_WITH_OPTIONS.iter().any(|source| spec.get(*source).is_some()) {
            let why = "may not specify mount options for this volume type";
            checks.add(Cause::forbidden(format_args!("metadata.annotations.{MOUNT_OPTIONS}"), why));
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let (after, before) = (spec_of(new), spec_of(old));
        if sources::fields().any(|field| source(after, before, field) != before.get(field).cloned()) {
            let why = "spec.persistentvolumesource is immutable after creation";
            checks.add(Cause::forbidden("spec.persistentvolumesource", why));
        }
        checks.immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"));
        if let Some(old_affinity) = before.get("nodeAffinity") {
            let affinity = after.get("nodeAffinity");
            if affinity.is_none_or(|affinity| !is_same_affinity(affinity, old_affinity)) {
                let why = "field is immutable, except for updating from beta label to GA";
                checks.add(Cause::invalid("nodeAffinity", &affinity.map(shown).unwrap_or_default(), why));
            }
        }
        if before.get("volumeAttributesClassName").is_some() && after.get("volumeAttributesClassName").is_none() {
            checks.add(Cause::forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"));
        }
        checks.0
    }
}

/// A source as it is now. The secret with which a CSI volume grows may be added later.
fn source(after: &Value, before: &Value, field: &str) -> Option<Value> {
    const SECRET: &str = "controllerExpandSecretRef";
    let mut source = after.get(field)?.clone();
    if field == "csi"
        && before.get(field).is_some_and(|old| old.get(SECRET).is_none())
        && let Some(csi) = source.as_object_mut()
    {
        csi.remove(SECRET);
    }
    Some(source)
}

fn terms(affinity: &Value) -> &[Value] {
    affinity.get("required").map_or(&[], |required| list(required, "nodeSelectorTerms"))
}

fn is_same_affinity(new: &Value, old: &Value) -> bool {
    let same = |new: &Value, old: &Value| {
        let renamed = RENAMED.contains(&(text(old, "key"), text(new, "key"))) || text(old, "key") == text(new, "key");
        renamed && text(new, "operator") == text(old, "operator") && list(new, "values") == list(old, "values")
    };
    let lists = |new: &Value, old: &Value, field: &str| {
        let (new, old) = (list(new, field), list(old, field));
        new.len() == old.len() && new.iter().zip(old).all(|(new, old)| same(new, old))
    };
    let (after, before) = (terms(new), terms(old));
    after.len() == before.len() && after.iter().zip(before).all(|(new, old)| lists(new, old, "matchExpressions") && lists(new, old, "matchFields"))
}

/// An affinity as Kubernetes shows it: with the names that fields have in its code.
fn shown(affinity: &Value) -> Value {
    let expression = |e: &Value| json!({"Key": text(e, "key"), "Operator": text(e, "operator"), "Values": e.get("values")});
    let expressions = |term: &Value, field: &str| match list(term, field) {
        [] => Value::Null,
        items => items.iter().map(expression).collect(),
    };
    let term = |t: &Value| json!({"MatchExpressions": expressions(t, "matchExpressions"), "MatchFields": expressions(t, "matchFields")});
    let required = affinity.get("required").map(|_| json!({"NodeSelectorTerms": terms(affinity).iter().map(term).collect::<Vec<_>>()}));
    json!({ "Required": required })
}
