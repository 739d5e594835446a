//! CertificateSigningRequests and what else belongs to certificates.
use super::fields::{Checks, keep};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::HashSet;

const USAGES: [&str; 22] = [
    "signing",
    "digital signature",
    "content commitment",
    "key encipherment",
    "key agreement",
    "data encipherment",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
    "any",
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
];
const EXPIRATION_MIN: i64 = 600;

/// The rules of CertificateSigningRequests.
pub static REQUEST: Request = Request;

/// The rules of CertificateSigningRequests.
pub struct Request;

impl Strategy for Request {
    fn prepare_create(&self, request: &mut Object) {
        request.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        // what is asked for stays; who decides on it writes elsewhere
        keep(new, old, "spec");
        keep(new, old, "status");
    }
    fn validate(&self, request: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let pem = request.str_at(&["spec", "request"]);
        let decoded = STANDARD.decode(pem).unwrap_or_default();
        if pem.is_empty() {
            checks.required("spec.request", "");
        } else if !String::from_utf8_lossy(&decoded).contains("-----BEGIN CERTIFICATE REQUEST-----") {
            checks.add(Cause::invalid("spec.request", &pem.into(), "PEM block type must be CERTIFICATE REQUEST"));
        }
        let usages = request.list_at(&["spec", "usages"]);
        if usages.is_empty() {
            checks.required("spec.usages", "usages must contain at least one value");
        }
        let mut seen = HashSet::new();
        for (i, usage) in usages.iter().enumerate() {
            let path = format!("spec.usages[{i}]");
            checks.choice(&path, Some(usage), &USAGES);
            checks.unique(&path, usage, &mut seen);
        }
        signer(&mut checks, request.str_at(&["spec", "signerName"]));
        if let Some(seconds) = request.int_at(&["spec", "expirationSeconds"]).filter(|n| *n < EXPIRATION_MIN) {
            checks.add(Cause::invalid("spec.expirationSeconds", &seconds.into(), "may not specify a duration less than 600 seconds (10 minutes)"));
        }
        conditions(&mut checks, request);
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        conditions(&mut checks, new);
        let certificate = |o: &Object| o.str_at(&["status", "certificate"]).to_owned();
        if !certificate(old).is_empty() && certificate(new) != certificate(old) {
            checks.add(Cause::forbidden("status.certificate", "updates may not modify the certificate content"));
        }
        checks.0
    }
}

/// A signer's name: a domain, and a path below it.
fn signer(checks: &mut Checks, name: &str) {
    let Some((domain, rest)) = name.split_once('/') else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return if name.is_empty() { checks.required("spec.signerName", "") } else { checks.add(Cause::invalid("spec.signerName", &name.into(), why)) };
    };
    for error in names::dns_subdomain(domain) {
        checks.add(Cause::invalid("spec.signerName", &name.into(), format!("validating label {domain:?}: {error}")));
    }
    if !domain.contains('.') {
        checks.add(Cause::invalid("spec.signerName", &name.into(), "should be a domain with at least two segments separated by dots"));
    }
    for error in rest.split('/').flat_map(names::dns_subdomain) {
        checks.add(Cause::invalid("spec.signerName", &name.into(), format!("validating label {rest:?}: {error}")));
    }
}

/// Conditions have a type each, and approval excludes denial.
fn conditions(checks: &mut Checks, request: &Object) {
    let conditions = request.list_at(&["status", "conditions"]);
    let mut seen = HashSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let (path, kind) = (format!("status.conditions[{i}]"), condition.get("type").and_then(Value::as_str).unwrap_or_default());
        checks.filled(format_args!("{path}.type"), kind);
        let status = condition.get("status").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "Approved" | "Denied" | "Failed" => checks.one_of(format_args!("{path}.status"), status, &["True"]),
            _ => checks.one_of(format_args!("{path}.status"), status, &["False", "True", "Unknown"]),
        }
        checks.unique(format_args!("{path}.type"), &kind.into(), &mut seen);
    }
    let has = |wanted: &str| conditions.iter().any(|c| c["type"] == wanted);
    if has("Approved") && has("Denied") {
        let all = Value::Array(conditions.to_vec());
        checks.add(Cause::invalid("status.conditions", &all, "Approved and Denied conditions are mutually exclusive"));
    }
}
