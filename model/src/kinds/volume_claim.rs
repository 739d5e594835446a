//! PersistentVolumeClaims.
use super::fields::{Checks, fill, items, keep, list, map, text, with_field};
use super::pod::selector_causes;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const IMMUTABLE: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// The rules of PersistentVolumeClaims.
pub static STRATEGY: VolumeClaim = VolumeClaim;

/// The rules of PersistentVolumeClaims.
pub struct VolumeClaim;

impl Strategy for VolumeClaim {
    fn default(&self, claim: &mut Object) {
        with_field(claim, "spec", |spec| fill(spec, "volumeMode", "Filesystem"));
    }
    fn prepare_create(&self, claim: &mut Object) {
        claim.set(&["status"], json!({"phase": "Pending"}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, claim: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = claim.at(&["spec"]).unwrap_or(&Value::Null);
        access_modes(&mut checks, &"spec", spec);
        spec.get("selector").into_iter().for_each(|s| checks.extend(selector_causes(&"spec.selector", s)));
        match spec.pointer("/resources/requests/storage") {
            None => checks.required("spec.resources[storage]", ""),
            Some(amount) if Quantity::from_json(amount).is_ok_and(|q| q.is_negative() || q.is_zero()) => {
                checks.add(Cause::invalid("spec.resources[storage]", amount, "must be greater than zero"));
            }
            Some(_) => {}
        }
        checks.optional_name("spec.storageClassName", text(spec, "storageClassName"), names::dns_subdomain);
        checks.choice("spec.volumeMode", spec.get("volumeMode"), &["Block", "Filesystem"]);
        for key in ["dataSource", "dataSourceRef"] {
            if let Some(source) = spec.get(key) {
                for part in ["name", "kind"] {
                    checks.filled(format_args!("spec.{key}.{part}"), text(source, part));
                }
            }
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let bound = old.str_at(&["status", "phase"]) == "Bound";
        // a claim may grow once it is bound, and is bound once
        let fixed = |claim: &Object| {
            let mut spec = claim.at(&["spec"]).cloned().unwrap_or_default();
            if let Some(spec) = spec.as_object_mut() {
                if bound {
                    ["resources", "volumeAttributesClassName"].iter().for_each(|key| _ = spec.remove(*key));
                }
                if old.str_at(&["spec", "volumeName"]).is_empty() {
                    spec.remove("volumeName");
                }
                if old.at(&["spec", "storageClassName"]).is_none() {
                    spec.remove("storageClassName");
                }
            }
            spec
        };
        if fixed(new) != fixed(old) {
            checks.add(Cause::forbidden("spec", IMMUTABLE));
        }
        let asked = |claim: &Object| claim.at(&["spec", "resources", "requests", "storage"]).and_then(|v| Quantity::from_json(v).ok());
        if let (true, Some(after), Some(before)) = (bound, asked(new), asked(old)) {
            let had = old.at(&["status", "capacity", "storage"]).and_then(|v| Quantity::from_json(v).ok());
            if after < before && had.is_none_or(|had| after <= had) {
                checks.add(Cause::forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"));
            }
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for (resource, amount) in new.at(&["status", "capacity"]).and_then(Value::as_object).into_iter().flatten() {
            checks.amount(format_args!("status.capacity[{resource}]"), amount);
        }
        checks.0
    }
}

/// How a volume is mounted: at least one way, and the exclusive one alone.
pub(super) fn access_modes(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let modes = list(spec, "accessModes");
    if modes.is_empty() {
        checks.required(format_args!("{path}.accessModes"), "at least 1 access mode is required");
    }
    for (i, mode) in modes.iter().enumerate() {
        checks.choice(format_args!("{path}.accessModes[{i}]"), Some(mode), &MODES);
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        checks.add(Cause::forbidden(format_args!("{path}.accessModes"), "may not use ReadWriteOncePod with other access modes"));
    }
}

/// The rules of PersistentVolumes.
pub static VOLUME: Volume = Volume;

/// The rules of PersistentVolumes.
pub struct Volume;

/// The fields of a volume's spec that aren't where its data is.
const NOT_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

impl Strategy for Volume {
    fn prepare_create(&self, volume: &mut Object) {
        volume.set(&["status"], json!({"phase": "Pending"}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, volume: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = volume.at(&["spec"]).unwrap_or(&Value::Null);
        access_modes(&mut checks, &"spec", spec);
        match map(spec, "capacity").filter(|c| !c.is_empty()) {
            None => checks.required("spec.capacity", ""),
            Some(capacity) if capacity.len() != 1 || !capacity.contains_key("storage") => {
                checks.add(Cause::not_supported("spec.capacity", &spec["capacity"], &["storage"]));
            }
            Some(capacity) => {
                let amount = &capacity["storage"];
                if Quantity::from_json(amount).is_ok_and(|q| q.is_negative() || q.is_zero()) {
                    checks.add(Cause::invalid("spec.capacity[storage]", amount, "must be greater than zero"));
                }
            }
        }
        let sources: Vec<&String> = spec.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !NOT_SOURCES.contains(&key.as_str())).collect();
        match sources.as_slice() {
            [] => checks.required("spec", "must specify a volume type"),
            [_] => {}
            [_, more @ ..] => more.iter().for_each(|key| checks.add(Cause::forbidden(format_args!("spec.{key}"), "may not specify more than 1 volume type"))),
        }
        if let Some(path) = spec.pointer("/hostPath/path").and_then(Value::as_str) {
            if path.split('/').any(|part| part == "..") {
                checks.add(Cause::invalid("spec.hostPath.path", &path.into(), "must not contain '..'"));
            }
            if path == "/" && text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
                checks.add(Cause::forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"));
            }
        }
        if spec.get("local").is_some() && spec.pointer("/nodeAffinity/required").is_none() {
            checks.required("spec.nodeAffinity", "Local volume requires node affinity");
        }
        if let Some(csi) = spec.get("csi") {
            for key in ["driver", "volumeHandle"] {
                checks.filled(format_args!("spec.csi.{key}"), text(csi, key));
            }
        }
        for (path, term) in items(spec.pointer("/nodeAffinity/required").unwrap_or(&Value::Null), &"spec.nodeAffinity.required", "nodeSelectorTerms") {
            for (path, expression) in items(term, &path, "matchExpressions") {
                checks.name(format_args!("{path}.key"), text(expression, "key"), names::qualified_name);
            }
        }
        checks.optional_name("spec.storageClassName", text(spec, "storageClassName"), names::dns_subdomain);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let source = |volume: &Object| -> Value {
            let spec = volume.at(&["spec"]).and_then(Value::as_object).into_iter().flatten();
            spec.filter(|(key, _)| !NOT_SOURCES.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect::<serde_json::Map<_, _>>().into()
        };
        if source(new) != source(old) {
            checks.add(Cause::forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"));
        }
        checks.immutable("spec.volumeMode", new.at(&["spec", "volumeMode"]), old.at(&["spec", "volumeMode"]));
        if old.at(&["spec", "nodeAffinity"]).is_some() && new.at(&["spec", "nodeAffinity"]) != old.at(&["spec", "nodeAffinity"]) {
            let given = new.at(&["spec", "nodeAffinity"]).unwrap_or(&Value::Null);
            checks.add(Cause::invalid("spec.nodeAffinity", given, "field is immutable"));
        }
        checks.0
    }
}
