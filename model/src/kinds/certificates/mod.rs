//! CertificateSigningRequests and what else belongs to certificates.
mod bundle;
mod der;
mod issued;
mod pem;
mod pod;
mod signer;

pub use bundle::BUNDLE;
pub use pod::POD;

use super::fields::{Checks, keep, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::HashSet;

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const EXPIRATION_MIN: i64 = 600;
/// The signer of requests that named none, in a version before this one.
const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// The conditions by which a request is decided on, through `approval` alone.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

/// The rules of CertificateSigningRequests.
pub static REQUEST: Request = Request;

/// The rules of CertificateSigningRequests.
pub struct Request;

impl Strategy for Request {
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }
    fn prepare_create(&self, request: &mut Object) {
        request.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        // what is asked for stays; who decides on it writes elsewhere
        keep(new, old, "spec");
        keep(new, old, "status");
    }
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        DECISIONS.iter().for_each(|kind| keep_conditions(new, old, kind));
    }
    fn validate(&self, request: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let pem = request.at(&["spec", "request"]).unwrap_or(&Value::Null);
        match pem::blocks(&decoded(pem)).first().filter(|block| block.label == "CERTIFICATE REQUEST") {
            None => checks.add(Cause::invalid("spec.request", pem, "PEM block type must be CERTIFICATE REQUEST")),
            Some(block) if !der::is_request(&block.bytes) => checks.add(Cause::invalid("spec.request", pem, "asn1: structure error")),
            Some(_) => {}
        }
        let usages = request.list_at(&["spec", "usages"]);
        if usages.is_empty() {
            checks.required("spec.usages", "");
        }
        let mut seen = HashSet::new();
        for (i, usage) in usages.iter().enumerate() {
            let path = format_args!("spec.usages[{i}]");
            checks.choice(path, Some(usage), &USAGES);
            checks.unique(path, usage, &mut seen);
        }
        match request.str_at(&["spec", "signerName"]) {
            LEGACY => checks.add(Cause::invalid("spec.signerName", &LEGACY.into(), "the legacy signerName is not allowed via this API version")),
            name => signer::name(&mut checks, "spec.signerName", name),
        }
        if let Some(seconds) = request.int_at(&["spec", "expirationSeconds"]).filter(|n| *n < EXPIRATION_MIN) {
            checks.add(Cause::invalid("spec.expirationSeconds", &seconds.into(), "may not specify a duration less than 600 seconds (10 minutes)"));
        }
        conditions(&mut checks, request);
        checks.0
    }
    /// Of a change through `approval`: all else stays as it was.
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        removals(&mut checks, new, old);
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut before = Checks::default();
        conditions(&mut checks, new);
        conditions(&mut before, old);
        checks.0.retain(|cause| !before.0.contains(cause));
        let [after, certificate] = [new, old].map(|o| o.at(&["status", "certificate"]).unwrap_or(&Value::Null));
        let tolerated = after == certificate || not_certificates(&decoded(certificate)).is_some();
        if let Some(why) = not_certificates(&decoded(after)).filter(|_| !tolerated) {
            checks.add(Cause::invalid("status.certificate", &"<certificate data>".into(), why));
        }
        removals(&mut checks, new, old);
        for kind in DECISIONS {
            if of_type(new, kind).count() > of_type(old, kind).count() {
                checks.add(Cause::forbidden("status.conditions", format_args!("updates may not add a condition of type {kind:?}")));
            }
        }
        if after != certificate && !decoded(certificate).is_empty() {
            checks.add(Cause::forbidden("status.certificate", "updates may not modify existing certificate content"));
        }
        checks.0
    }
}

/// Bytes, as JSON has them.
fn decoded(value: &Value) -> Vec<u8> {
    value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}

/// Why bytes aren't certificates; none are fine.
fn not_certificates(bytes: &[u8]) -> Option<String> {
    let blocks = pem::blocks(bytes);
    if bytes.is_empty() {
        return None;
    }
    if let Some(other) = blocks.iter().find(|block| block.label != "CERTIFICATE") {
        return Some(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", other.label));
    }
    if blocks.iter().any(|block| block.headers) {
        return Some("no PEM block headers are permitted".to_owned());
    }
    if blocks.iter().any(|block| der::is_authority(&block.bytes).is_none()) {
        return Some("x509: malformed certificate".to_owned());
    }
    blocks.is_empty().then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

fn of_type<'a>(request: &'a Object, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    request.list_at(&["status", "conditions"]).iter().filter(move |c| text(c, "type") == kind)
}

/// Leaves the conditions of a type as they were, unless there are more or fewer of them now, which is refused.
fn keep_conditions(new: &mut Object, old: &Object, kind: &str) {
    if of_type(new, kind).count() != of_type(old, kind).count() {
        return;
    }
    let list = new.at_mut(&["status", "conditions"]).and_then(Value::as_array_mut);
    for (slot, before) in list.into_iter().flatten().filter(|c| text(c, "type") == kind).zip(of_type(old, kind)) {
        slot.clone_from(before);
    }
}

/// What was decided isn't taken back.
fn removals(checks: &mut Checks, new: &Object, old: &Object) {
    for kind in ["Approved", "Denied", "Failed"] {
        if of_type(new, kind).count() < of_type(old, kind).count() {
            checks.add(Cause::forbidden("status.conditions", format_args!("updates may not remove a condition of type {kind:?}")));
        }
    }
}

/// Conditions have a type each, and approval excludes denial.
fn conditions(checks: &mut Checks, request: &Object) {
    let (mut seen, mut decisions) = (HashSet::new(), HashSet::new());
    for (i, condition) in request.list_at(&["status", "conditions"]).iter().enumerate() {
        let (path, kind) = (format_args!("status.conditions[{i}]"), text(condition, "type"));
        checks.filled(format_args!("{path}.type"), kind);
        let final_one = matches!(kind, "Approved" | "Denied" | "Failed");
        let statuses = if final_one { &["True"][..] } else { &["False", "True", "Unknown"] };
        checks.one_of(format_args!("{path}.status"), text(condition, "status"), statuses);
        if let Some(decision) = DECISIONS.iter().find(|d| **d == kind) {
            decisions.insert(*decision);
            if decisions.len() == DECISIONS.len() {
                checks.add(Cause::invalid("status.conditions", &kind.into(), "Approved and Denied conditions are mutually exclusive"));
            }
        }
        checks.unique(format_args!("{path}.type"), &kind.into(), &mut seen);
    }
}

#[cfg(test)]
mod tests;
