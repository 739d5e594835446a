//! PodCertificateRequests: certificates for pods.
use super::{issued, signer};
use crate::error::Cause;
use crate::kinds::conditions;
use crate::kinds::fields::{Checks, int, keep, list, map, text};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const UID_BYTES: usize = 128;
const SECONDS_MIN: i64 = 3_600;
/// Most seconds of a certificate of one of Kubernetes' own signers, and of others.
const SECONDS_MAX: [i64; 2] = [86_400, 7_862_400];
const DECISIONS: [&str; 3] = ["Issued", "Denied", "Failed"];

/// The rules of PodCertificateRequests.
pub static POD: Pod = Pod;

/// The rules of PodCertificateRequests.
pub struct Pod;

impl Strategy for Pod {
    fn prepare_create(&self, request: &mut Object) {
        request.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, request: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = request.at(&["spec"]).unwrap_or(&Value::Null);
        signer::name(&mut checks, "spec.signerName", text(spec, "signerName"));
        for key in map(spec, "unverifiedUserAnnotations").into_iter().flat_map(|all| all.keys()) {
            annotation(&mut checks, &key.to_lowercase());
        }
        for (name, uid) in [("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")] {
            checks.all(format_args!("spec.{name}"), text(spec, name), names::dns_subdomain(text(spec, name)));
            match text(spec, uid).len() {
                0 => checks.add(Cause::invalid(format_args!("spec.{uid}"), &"".into(), "must not be empty")),
                n if n > UID_BYTES => checks.add(Cause::too_long(format_args!("spec.{uid}"), UID_BYTES)),
                _ => {}
            }
        }
        let [ours, others] = SECONDS_MAX;
        let most = if signer::is_kubernetes(text(spec, "signerName")) { ours } else { others };
        if let Some(n) = int(spec, "maxExpirationSeconds").filter(|n| !(SECONDS_MIN..=most).contains(n)) {
            checks.add(Cause::invalid("spec.maxExpirationSeconds", &n.into(), format_args!("must be in the range [{SECONDS_MIN}, {most}]")));
        }
        let [stub, key, proof] = ["stubPKCS10Request", "pkixPublicKey", "proofOfPossession"].map(|field| !text(spec, field).is_empty());
        if !matches!((stub, key, proof), (true, false, false) | (false, true, true)) {
            checks.add(Cause::wrong("spec", "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        let mut decisions = 0;
        for (i, condition) in list(status, "conditions").iter().enumerate() {
            let (path, kind) = (format_args!("status.conditions.[{i}]"), text(condition, "type"));
            if !DECISIONS.contains(&kind) {
                checks.add(Cause::not_supported(format_args!("{path}.type"), &kind.into(), &DECISIONS));
                continue;
            }
            decisions += 1;
            if decisions > 1 {
                let why = "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"";
                checks.add(Cause::invalid(format_args!("{path}.type"), &kind.into(), why));
            }
            checks.choice(format_args!("{path}.status"), Some(&text(condition, "status").into()), &["True"]);
        }
        conditions::of_status(&mut checks, status);
        if checks.0.is_empty() {
            decided(&mut checks, new, old);
        }
        checks.0
    }
}

/// What goes with a decision: it is the last word, and a certificate comes with one alone.
fn decided(checks: &mut Checks, new: &Object, old: &Object) {
    let has = |request: &Object, kinds: &[&str]| request.list_at(&["status", "conditions"]).iter().any(|c| kinds.contains(&text(c, "type")));
    let status = new.at(&["status"]).unwrap_or(&Value::Null);
    let others = status.as_object().is_some_and(|status| status.keys().any(|field| field != "conditions"));
    if has(old, &DECISIONS) {
        if new.at(&["status"]) != old.at(&["status"]) {
            checks.add(Cause::wrong("status", "immutable after PodCertificateRequest is issued, denied, or failed"));
        }
    } else if has(new, &["Denied", "Failed"]) {
        if others {
            checks.add(Cause::wrong("status", "non-condition status fields must be empty when denying or failing the PodCertificateRequest"));
        }
    } else if has(new, &["Issued"]) {
        issued::validate(checks, status);
    }
}

fn annotation(checks: &mut Checks, key: &str) {
    let (path, errors) = ("spec.unverifiedUserAnnotations", names::qualified_name(key));
    if key.is_empty() {
        checks.required(path, "");
    } else if errors.is_empty() && !key.contains('/') {
        checks.add(Cause::invalid(path, &key.into(), "must be a domain-prefixed key (such as \"acme.io/foo\")"));
    } else {
        checks.all(path, key, errors);
    }
}
