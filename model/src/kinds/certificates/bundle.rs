//! ClusterTrustBundles: certificates to begin trust with.
use super::{der, pem, signer};
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use std::collections::BTreeMap;

const PATH: &str = "spec.trustBundle";
const BUNDLE_BYTES: usize = 1 << 20;

/// The rules of ClusterTrustBundles.
pub static BUNDLE: Bundle = Bundle;

/// The rules of ClusterTrustBundles.
pub struct Bundle;

impl Strategy for Bundle {
    /// The name goes with the signer, which is looked at with the rest.
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, bundle: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let (name, signer) = (bundle.name(), bundle.str_at(&["spec", "signerName"]));
        checks.all("metadata.name", name, name_of(name, signer));
        if !signer.is_empty() {
            signer::name(&mut checks, "spec.signerName", signer);
        }
        certificates(&mut checks, bundle.str_at(&["spec", "trustBundle"]));
        checks.0
    }
}

fn name_of(name: &str, signer: &str) -> Vec<String> {
    if signer.is_empty() {
        let why = "ClusterTrustBundle without signer name must not have \":\" in its name";
        return if name.contains(':') { vec![why.to_owned()] } else { names::dns_subdomain(name) };
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::dns_subdomain(rest),
        None => vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")],
    }
}

fn certificates(checks: &mut Checks, text: &str) {
    if text.len() > BUNDLE_BYTES {
        return checks.add(Cause::too_long(PATH, BUNDLE_BYTES));
    }
    let mut refused = Vec::new();
    let mut places: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (i, block) in pem::blocks(text.as_bytes()).into_iter().enumerate() {
        if block.label != "CERTIFICATE" {
            refused.push(format!("entry {i} has bad block type: {}", block.label));
        } else if block.headers {
            refused.push(format!("entry {i} has PEM block headers"));
        } else if let Some(why) = match der::is_authority(&block.bytes) {
            None => Some("does not parse as X.509"),
            Some(false) => Some("does not have the CA bit set"),
            Some(true) => None,
        } {
            refused.push(format!("entry {i} {why}"));
        } else {
            places.entry(block.bytes).or_default().push(i);
        }
    }
    if refused.is_empty() && places.is_empty() {
        refused.push("at least one trust anchor must be provided".to_owned());
    } else if refused.is_empty() {
        let several = places.values().filter(|places| places.len() > 1);
        let spaced = |places: &Vec<usize>| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        refused.extend(several.map(|places| format!("duplicate trust anchor (indices [{}])", spaced(places))));
    }
    refused.into_iter().for_each(|why| checks.add(Cause::invalid(PATH, &"<value omitted>".into(), why)));
}
