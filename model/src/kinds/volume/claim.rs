//! PersistentVolumeClaims.
use super::amount::whole;
use super::claim_update;
use super::modes;
use crate::error::Cause;
use crate::kinds::fields::{Checks, fill, keep, map, text, with_field};
use crate::kinds::pod;
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::fmt::Display;

const CLAIM_KIND: &str = "PersistentVolumeClaim";
const RESIZES: [&str; 5] = ["ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"];

/// The rules of PersistentVolumeClaims.
pub(in crate::kinds) static CLAIM: PersistentVolumeClaim = PersistentVolumeClaim;

/// The rules of PersistentVolumeClaims.
pub(in crate::kinds) struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
    fn default(&self, claim: &mut Object) {
        with_field(claim, "spec", |spec| fill(spec, "volumeMode", "Filesystem"));
    }
    fn prepare_create(&self, claim: &mut Object) {
        claim.set(&["status"], json!({"phase": "Pending"}));
        with_field(claim, "spec", |spec| settle_sources(spec, &Value::Null));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        let before = old.at(&["spec"]).cloned().unwrap_or_default();
        with_field(new, "spec", |spec| settle_sources(spec, &before));
    }
    /// The health of volumes is a feature that isn't on.
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        if old.at(&["status", "healthStatus"]).is_none() {
            new.remove(&["status", "healthStatus"]);
        }
    }
    fn validate(&self, claim: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        validate_spec(&mut checks, &"spec", claim.at(&["spec"]).unwrap_or(&Value::Null));
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        claim_update::validate(new, old)
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if new.list_at(&["spec", "accessModes"]).is_empty() {
            checks.required("Spec.accessModes", "");
        }
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        for (name, value) in map(status, "capacity").into_iter().flatten() {
            amount(&mut checks, &format_args!("status.capacity[{name}]"), value);
        }
        for (name, state) in map(status, "allocatedResourceStatuses").into_iter().flatten() {
            resource(&mut checks, &"status.allocatedResourceStatuses", name);
            if !state.as_str().is_some_and(|state| RESIZES.contains(&state)) {
                checks.add(Cause::not_supported("status.allocatedResourceStatuses", &name.as_str().into(), &RESIZES));
            }
        }
        for (name, value) in map(status, "allocatedResources").into_iter().flatten() {
            if resource(&mut checks, &"status.allocatedResources", name) {
                amount(&mut checks, &format_args!("status.allocatedResources[{name}]"), value);
            }
        }
        checks.0
    }
}

fn amount(checks: &mut Checks, path: &dyn Display, value: &Value) {
    if let Some(amount) = Quantity::from_json(value).ok().filter(Quantity::is_negative) {
        checks.add(Cause::invalid(path, &whole(&amount), "must be a valid resource quantity"));
    }
}

/// Whether a claim can have a resource of this name: of those that Kubernetes knows it has storage alone.
fn resource(checks: &mut Checks, path: &dyn Display, name: &str) -> bool {
    let errors = names::qualified_name(name);
    let known = errors.is_empty() && (name == "storage" || !pod::is_native(name));
    if errors.is_empty() && !known {
        checks.add(Cause::not_supported(path, &name.into(), &["storage"]));
    }
    checks.all(path, name, errors);
    known
}

/// What a claim's volume begins with is said in two fields, an old and a new one. What the old one doesn't know is dropped from it, unless it was there
/// before; then each says what the other does.
fn settle_sources(spec: &mut Value, before: &Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    // sources in other namespaces are a feature that isn't on
    let elsewhere = |spec: &Map<String, Value>| spec.get("dataSourceRef").is_some_and(|source| !text(source, "namespace").is_empty());
    if elsewhere(spec) && before.get("dataSourceRef").is_none() {
        spec.remove("dataSourceRef");
    }
    let had = before.get("dataSource").is_some() || before.get("dataSourceRef").is_some();
    if !had && !spec.contains_key("dataSourceRef") && !spec.get("dataSource").is_some_and(is_volume) {
        spec.remove("dataSource");
    }
    let copy = |source: &Value| {
        let fields = ["apiGroup", "kind", "name"].into_iter();
        Value::Object(fields.filter_map(|field| Some((field.to_owned(), source.get(field)?.clone()))).collect())
    };
    match (spec.get("dataSource"), spec.get("dataSourceRef")) {
        (Some(source), None) => _ = spec.insert("dataSourceRef".to_owned(), copy(source)),
        (None, Some(source)) if !elsewhere(spec) => _ = spec.insert("dataSource".to_owned(), copy(source)),
        _ => {}
    }
}

/// Another claim's volume, or a snapshot of one.
fn is_volume(source: &Value) -> bool {
    matches!((text(source, "apiGroup"), text(source, "kind")), ("", CLAIM_KIND) | ("snapshot.storage.k8s.io", "VolumeSnapshot"))
}

/// What is claimed, in a claim's spec at `path`.
pub(in crate::kinds) fn validate_spec(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    if let Some(selector) = spec.get("selector") {
        pod::selector_rules(checks, &format_args!("{path}.selector"), selector);
    }
    modes::access(checks, path, spec, "at least 1 access mode is required");
    match spec.pointer("/resources/requests/storage").map(Quantity::from_json) {
        None => checks.required(format_args!("{path}.resources[storage]"), ""),
        Some(Ok(size)) if size.is_negative() || size.is_zero() => {
            checks.add(Cause::invalid(format_args!("{path}.resources[storage]"), &size.to_string().into(), "must be greater than zero"));
        }
        Some(_) => {}
    }
    checks.optional_name(format_args!("{path}.storageClassName"), text(spec, "storageClassName"), names::dns_subdomain);
    checks.choice(format_args!("{path}.volumeMode"), spec.get("volumeMode"), &modes::VOLUME);
    for field in ["dataSource", "dataSourceRef"] {
        if let Some(source) = spec.get(field) {
            data_source(checks, &format_args!("{path}.{field}"), source);
        }
    }
    if let (Some(old_style), Some(source)) = (spec.get("dataSource"), spec.get("dataSourceRef")) {
        let same = ["apiGroup", "kind", "name"].iter().all(|field| old_style.get(field) == source.get(field));
        // Kubernetes shows the value as an empty map
        if !text(source, "namespace").is_empty() {
            checks.add(Cause::invalid(path, &json!({}), "may not be specified when dataSourceRef.namespace is specified"));
        } else if !same {
            checks.add(Cause::invalid(path, &json!({}), "must match dataSourceRef"));
        }
    }
    checks.optional_name(format_args!("{path}.volumeAttributesClassName"), text(spec, "volumeAttributesClassName"), names::dns_subdomain);
}

fn data_source(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let (group, kind) = (text(source, "apiGroup"), text(source, "kind"));
    checks.filled(format_args!("{path}.name"), text(source, "name"));
    checks.filled(format_args!("{path}.kind"), kind);
    if group.is_empty() && kind != CLAIM_KIND {
        checks.add(Cause::invalid(path, &kind.into(), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    }
    checks.optional_name(format_args!("{path}.apiGroup"), group, names::dns_subdomain);
    checks.optional_name(format_args!("{path}.namespace"), text(source, "namespace"), names::dns_label);
}
