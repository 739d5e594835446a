//! Classes of devices, and claims to devices.
use super::{features, parts, status};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, items_mut, keep, list, map, put, text};
use crate::meta;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;

const REFERENCE: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
const ONE_OF: &str = "exactly one of `exactly` or `firstAvailable` is required";

/// The rules of ResourceClaims.
pub(in crate::kinds) static CLAIM: Claim = Claim;
/// The rules of ResourceClaimTemplates.
pub(in crate::kinds) static TEMPLATE: Template = Template;
/// The rules of DeviceClasses.
pub(in crate::kinds) static CLASS: Class = Class;

/// The rules of ResourceClaims.
pub(in crate::kinds) struct Claim;

impl Strategy for Claim {
    fn default(&self, claim: &mut Object) {
        claim.0.get_mut("spec").into_iter().for_each(default_spec);
    }
    fn prepare_create(&self, claim: &mut Object) {
        claim.set(&["status"], json!({}));
        features::drop(claim, None, "spec");
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        features::drop(new, Some(old), "spec");
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        features::drop(new, Some(old), "status");
        status::drop_released(new, old);
    }
    fn validate_create(&self, claim: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        spec(&mut checks, &"spec", claim.at(&["spec"]).unwrap_or(&Value::Null));
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        status::validate(new, old, &|checks, path, name| reference(checks, path, name, &Requests::of(new.at(&["spec", "devices"]))))
    }
}

/// The rules of ResourceClaimTemplates.
pub(in crate::kinds) struct Template;

impl Strategy for Template {
    fn default(&self, template: &mut Object) {
        template.at_mut(&["spec", "spec"]).into_iter().for_each(default_spec);
    }
    fn prepare_create(&self, template: &mut Object) {
        features::drop(template, None, "spec");
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        features::drop(new, Some(old), "spec");
    }
    fn validate_create(&self, template: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let of = template.at(&["spec"]).unwrap_or(&Value::Null);
        let metadata = of.get("metadata").unwrap_or(&Value::Null);
        checks.extend(meta::annotations(&"spec.metadata.annotations", map(metadata, "annotations")));
        checks.extend(meta::labels("spec.metadata.labels", map(metadata, "labels")));
        spec(&mut checks, &"spec.spec", of.get("spec").unwrap_or(&Value::Null));
        checks.0
    }
}

/// The rules of DeviceClasses.
pub(in crate::kinds) struct Class;

impl Strategy for Class {
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for (path, config) in items(class.at(&["spec"]).unwrap_or(&Value::Null), &"spec", "config") {
            parts::configuration(&mut checks, &path, config);
        }
        checks.0
    }
}

/// Of how many devices it is, where nothing else is said.
fn default_spec(spec: &mut Value) {
    let one = |request: &mut Value| {
        if text(request, "allocationMode") == "ExactCount" && int(request, "count").unwrap_or_default() == 0 {
            put(request, "count", 1);
        }
    };
    for request in spec.get_mut("devices").into_iter().flat_map(|devices| items_mut(devices, "requests")) {
        request.get_mut("exactly").into_iter().for_each(one);
        items_mut(request, "firstAvailable").for_each(one);
    }
}

/// The names of a claim's requests, and of their subrequests.
struct Requests<'a>(HashMap<&'a str, HashSet<&'a str>>);

impl<'a> Requests<'a> {
    fn of(devices: Option<&'a Value>) -> Self {
        let requests = devices.map_or(&[][..], |devices| list(devices, "requests"));
        let subs = |request: &'a Value| list(request, "firstAvailable").iter().map(|sub| text(sub, "name")).collect();
        Self(requests.iter().map(|request| (text(request, "name"), subs(request))).collect())
    }
    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((request, sub)) => self.0.get(request).is_some_and(|subs| subs.contains(sub)),
        }
    }
}

/// A reference to a request of the claim.
fn reference(checks: &mut Checks, path: &dyn Display, name: &str, requests: &Requests<'_>) {
    if name.matches('/').count() > 1 {
        return checks.add(Cause::invalid(path, &name.into(), REFERENCE));
    }
    name.split('/').for_each(|part| checks.all(path, part, names::dns_label(part)));
    if !requests.has(name) {
        checks.add(Cause::invalid(path, &name.into(), REFERENCE));
    }
}

/// What is claimed, at `path`.
fn spec(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(devices) = spec.get("devices") else { return };
    let (path, requests) = (format!("{path}.devices"), Requests::of(Some(devices)));
    let references = |checks: &mut Checks, path: &dyn Display, of: &Value| {
        for (path, name) in items(of, path, "requests") {
            reference(checks, &path, name.as_str().unwrap_or_default(), &requests);
        }
    };
    for (path, request) in items(devices, &path, "requests") {
        self::request(checks, &path, request);
    }
    for (path, constraint) in items(devices, &path, "constraints") {
        references(checks, &path, constraint);
        if constraint.get("matchAttribute").is_none() && constraint.get("distinctAttribute").is_none() {
            checks.required(&path, "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set");
        }
    }
    for (path, config) in items(devices, &path, "config") {
        references(checks, &path, config);
        parts::configuration(checks, &path, config);
    }
}

fn request(checks: &mut Checks, path: &dyn Display, request: &Value) {
    match (request.get("exactly"), list(request, "firstAvailable")) {
        (None, []) => checks.required(path, ONE_OF),
        (Some(_), [_, ..]) => checks.add(Cause::invalid(path, &Value::Null, format_args!("{ONE_OF}, but multiple fields are set"))),
        (Some(exactly), []) => devices(checks, &format_args!("{path}.exactly"), exactly),
        (None, _) => items(request, path, "firstAvailable").for_each(|(path, sub)| devices(checks, &path, sub)),
    }
}

/// Which devices, and how many.
fn devices(checks: &mut Checks, path: &dyn Display, of: &Value) {
    let count = int(of, "count").unwrap_or_default();
    let why = match text(of, "allocationMode") {
        "All" if count != 0 => "must not be specified when allocationMode is 'All'",
        "ExactCount" if count <= 0 => "must be greater than zero",
        _ => "",
    };
    if !why.is_empty() {
        checks.add(Cause::invalid(format_args!("{path}.count"), &count.into(), why));
    }
    parts::tolerations(checks, path, of);
}
