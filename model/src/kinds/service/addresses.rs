//! Cluster IPs and IP families of Services: that they agree, that this cluster has them, and that they stay.
use crate::error::Cause;
use crate::kinds::fields::{Checks, fill, list, text};
use crate::object::Object;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Display;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const FAMILY_POLICY: &str = "spec.ipFamilyPolicy";

/// Whether an address is an IPv6 one.
pub(super) fn is_v6(address: &str) -> bool {
    address.contains(':')
}

fn strings<'a>(spec: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    list(spec, key).iter().map(|v| v.as_str().unwrap_or_default())
}

/// Whether a Service has no address, and its name means its endpoints.
pub(super) fn headless(spec: &Value) -> bool {
    list(spec, "clusterIPs") == [json!("None")]
}

/// What a client left as it was in `clusterIPs`, although it changed `clusterIP`, follows it.
pub(super) fn settle(spec: &mut Value, before: &Value) {
    let changed = text(spec, "clusterIP") != text(before, "clusterIP");
    if changed && !list(spec, "clusterIPs").is_empty() && list(spec, "clusterIPs") == list(before, "clusterIPs") {
        spec.as_object_mut().map(|map| map.remove("clusterIPs"));
    }
    let one = text(spec, "clusterIP").to_owned();
    if !one.is_empty() && list(spec, "clusterIPs").is_empty() {
        spec.as_object_mut().map(|map| map.remove("clusterIPs"));
        fill(spec, "clusterIPs", json!([one]));
    }
}

pub(super) fn validate(checks: &mut Checks, spec: &Value) {
    if text(spec, "type") == "ExternalName" {
        return outside(checks, spec);
    }
    agreement(checks, spec);
    families(checks, spec);
    if !addresses(checks, spec) {
        return;
    }
    if list(spec, "clusterIPs").len() > 1 && FAMILIES.iter().any(|f| !strings(spec, "clusterIPs").any(|ip| is_v6(ip) == (*f == "IPv6"))) {
        checks.add(all(spec, "clusterIPs", "may specify no more than one IP for each IP family"));
    }
    if !headless(spec) {
        matching(checks, spec);
    }
    if checks.0.is_empty() {
        possible(checks, spec);
    }
}

/// A cause of a whole list.
fn all(spec: &Value, key: &str, why: impl Display) -> Cause {
    Cause::invalid(format_args!("spec.{key}"), &list(spec, key).into(), why)
}

/// A Service outside of the cluster has none of it.
fn outside(checks: &mut Checks, spec: &Value) {
    let lists = ["clusterIPs", "ipFamilies"].into_iter().filter(|key| !list(spec, key).is_empty());
    for key in lists.chain(spec.get("ipFamilyPolicy").map(|_| "ipFamilyPolicy")) {
        checks.add(Cause::forbidden(format_args!("spec.{key}"), "may not be set for ExternalName services"));
    }
}

fn agreement(checks: &mut Checks, spec: &Value) {
    let (one, first) = (text(spec, "clusterIP"), strings(spec, "clusterIPs").next());
    match first {
        None if !one.is_empty() => checks.required("spec.clusterIPs", ""),
        Some(_) if one.is_empty() => checks.add(all(spec, "clusterIPs", "must be empty when `clusterIP` is not specified")),
        Some(first) if first != one => checks.add(all(spec, "clusterIPs", "first value must match `clusterIP`")),
        _ => {}
    }
}

fn families(checks: &mut Checks, spec: &Value) {
    let mut seen = HashSet::new();
    for (i, family) in list(spec, "ipFamilies").iter().enumerate() {
        let path = format_args!("spec.ipFamilies[{i}]");
        checks.choice(path, Some(family), &FAMILIES);
        checks.unique(path, family, &mut seen);
    }
    checks.choice(FAMILY_POLICY, spec.get("ipFamilyPolicy"), &POLICIES);
}

/// Whether all of `clusterIPs` can be read.
fn addresses(checks: &mut Checks, spec: &Value) -> bool {
    let (before, count) = (checks.0.len(), list(spec, "clusterIPs").len());
    for (i, ip) in strings(spec, "clusterIPs").enumerate() {
        match (i, ip) {
            (0, "None") if count > 1 => checks.add(all(spec, "clusterIPs", "'None' must be the first and only value")),
            (0, "None") => {}
            _ => checks.all(format_args!("spec.clusterIPs[{i}]"), ip, crate::addresses::ip(ip)),
        }
    }
    let readable = checks.0.len() == before;
    if count > 2 {
        checks.add(all(spec, "clusterIPs", "may only hold up to 2 values"));
    }
    readable
}

fn matching(checks: &mut Checks, spec: &Value) {
    for (i, (ip, family)) in strings(spec, "clusterIPs").zip(strings(spec, "ipFamilies")).enumerate() {
        if FAMILIES.contains(&family) && is_v6(ip) != (family == "IPv6") {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
            checks.add(Cause::invalid(format_args!("spec.clusterIPs[{i}]"), &ip.into(), why));
        }
    }
}

/// The cluster has IPv4 alone.
fn possible(checks: &mut Checks, spec: &Value) {
    let policy = text(spec, "ipFamilyPolicy");
    let mut one_only = |key: &str, what: &str| {
        if matches!(policy, "SingleStack" | "") && list(spec, key).len() == 2 {
            let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            checks.add(Cause::invalid(FAMILY_POLICY, &policy.into(), why));
        }
    };
    one_only("clusterIPs", "cluster IPs");
    one_only("ipFamilies", "IP families");
    for (i, _) in strings(spec, "clusterIPs").enumerate().skip(list(spec, "ipFamilies").len()).filter(|(_, ip)| is_v6(ip)) {
        let why = "IPv6 is not configured on this cluster";
        checks.add(Cause::invalid(format_args!("spec.clusterIPs[{i}]"), &list(spec, "clusterIPs").into(), why));
    }
    if !checks.0.is_empty() {
        return;
    }
    if policy == "RequireDualStack" {
        checks.add(Cause::invalid(FAMILY_POLICY, &policy.into(), "this cluster is not configured for dual-stack services"));
    }
    for (i, family) in strings(spec, "ipFamilies").enumerate().filter(|(_, family)| *family == "IPv6") {
        checks.add(Cause::invalid(format_args!("spec.ipFamilies[{i}]"), &family.into(), "not configured on this cluster"));
    }
}

/// What a Service has of addresses and families stays, unless it leaves the cluster or comes from outside.
pub(super) fn validate_update(checks: &mut Checks, spec: &Value, before: &Value) {
    let external = |spec: &Value| text(spec, "type") == "ExternalName";
    if external(spec) || external(before) || (headless(spec) && headless(before)) {
        return;
    }
    if list(spec, "clusterIPs").is_empty() && !list(before, "clusterIPs").is_empty() {
        checks.add(Cause::invalid("spec.clusterIPs[0]", &Value::Null, "primary clusterIP can not be unset"));
    }
    let changed = |key: &str| strings(spec, key).zip(strings(before, key)).position(|(new, old)| new != old);
    if let Some(i) = changed("clusterIPs") {
        checks.add(Cause::invalid(format_args!("spec.clusterIPs[{i}]"), &list(spec, "clusterIPs").into(), "may not change once set"));
    }
    if !headless(spec) && !headless(before) && changed("ipFamilies").is_some() {
        checks.add(Cause::invalid("spec.ipFamilies[0]", &list(spec, "ipFamilies").into(), "may not change once set"));
    }
}

/// What is wrong with a Service's cluster IPs and IP families: whoever allocates them asks before, so that nothing wrong is written over.
pub fn address_causes(service: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    validate(&mut checks, service.at(&["spec"]).unwrap_or(&Value::Null));
    checks.0
}
