//! What is refused of a Service's spec.
use super::addresses::{address_causes, headless};
use super::ports;
use super::types::{balanced, external, health_checked};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, list, map, text};
use crate::object::Object;
use crate::{addresses, meta, names};
use serde_json::Value;
use std::fmt::Display;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
const BALANCED_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
/// An older form of `loadBalancerSourceRanges`, separated by commas.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
/// Longest affinity in seconds: a day.
const AFFINITY_MAX: i64 = 86_400;

pub(super) fn validate(checks: &mut Checks, service: &Object) {
    checks.extend(address_causes(service));
    let spec = service.at(&["spec"]).unwrap_or(&Value::Null);
    checks.one_of("spec.type", text(spec, "type"), &TYPES);
    kind(checks, spec);
    ports::validate(checks, spec);
    checks.extend(meta::labels("spec.selector", map(spec, "selector")));
    affinity(checks, spec);
    external_ips(checks, spec);
    source_ranges(checks, service, spec);
    balancing(checks, spec);
    external_traffic(checks, spec);
    inner_traffic(checks, spec);
    topology(checks, service);
}

fn kind(checks: &mut Checks, spec: &Value) {
    match text(spec, "type") {
        "ExternalName" => {
            let name = text(spec, "externalName");
            checks.name("spec.externalName", name.strip_suffix('.').unwrap_or(name), names::dns_subdomain);
        }
        kind @ ("NodePort" | "LoadBalancer") if headless(spec) => {
            checks.add(Cause::invalid("spec.clusterIPs[0]", &"None".into(), format!("may not be set to 'None' for {kind} services")));
        }
        _ => {}
    }
    if list(spec, "ports").is_empty() && !headless(spec) && text(spec, "type") != "ExternalName" {
        checks.required("spec.ports", "");
    }
}

fn affinity(checks: &mut Checks, spec: &Value) {
    checks.one_of("spec.sessionAffinity", text(spec, "sessionAffinity"), &["ClientIP", "None"]);
    let seconds = spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").and_then(Value::as_i64);
    if let ("ClientIP", Some(seconds)) = (text(spec, "sessionAffinity"), seconds.filter(|s| !(1..=AFFINITY_MAX).contains(s))) {
        let why = format!("must be greater than 0 and less than {AFFINITY_MAX}");
        checks.add(Cause::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", &seconds.into(), why));
    }
}

fn external_ips(checks: &mut Checks, spec: &Value) {
    for (i, address) in list(spec, "externalIPs").iter().filter_map(Value::as_str).enumerate() {
        let form = addresses::ip(address);
        checks.all(format_args!("spec.externalIPs[{i}]"), address, if form.is_empty() { addresses::endpoint(address) } else { form });
    }
}

fn source_ranges(checks: &mut Checks, service: &Object, spec: &Value) {
    let given = list(spec, "loadBalancerSourceRanges");
    if given.is_empty() {
        let Some(ranges) = service.annotation(SOURCE_RANGES) else { return };
        let path = format_args!("metadata.annotations[{SOURCE_RANGES}]");
        balanced_only(checks, &path, spec);
        let ranges = ranges.trim().split(',').map(str::trim).filter(|_| !ranges.trim().is_empty());
        return ranges.for_each(|range| checks.all(path, range, addresses::cidr(range)));
    }
    balanced_only(checks, &"spec.LoadBalancerSourceRanges", spec);
    for (i, range) in given.iter().filter_map(Value::as_str).map(str::trim).enumerate() {
        checks.all(format_args!("spec.LoadBalancerSourceRanges[{i}]"), range, addresses::cidr(range));
    }
}

fn balanced_only(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    if !balanced(spec) {
        checks.add(Cause::forbidden(path, BALANCED_ONLY));
    }
}

fn balancing(checks: &mut Checks, spec: &Value) {
    for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"].into_iter().filter(|key| spec.get(*key).is_some_and(|v| !v.is_null())) {
        balanced_only(checks, &format_args!("spec.{key}"), spec);
    }
    if let (true, Some(class)) = (balanced(spec), spec.get("loadBalancerClass").and_then(Value::as_str)) {
        checks.all("spec.loadBalancerClass", class, names::qualified_name(class));
    }
}

fn external_traffic(checks: &mut Checks, spec: &Value) {
    let policy = text(spec, "externalTrafficPolicy");
    if external(spec) {
        checks.one_of("spec.externalTrafficPolicy", policy, &POLICIES);
    } else if !policy.is_empty() {
        checks.add(Cause::invalid("spec.externalTrafficPolicy", &policy.into(), "may only be set for externally-accessible services"));
    }
    let (path, port) = ("spec.healthCheckNodePort", int(spec, "healthCheckNodePort").unwrap_or_default());
    match (health_checked(spec), port) {
        (true, 0) => checks.required(path, ""),
        (true, port) => checks.port(path, port),
        (false, 0) => {}
        (false, port) => {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            checks.add(Cause::invalid(path, &port.into(), why));
        }
    }
}

fn inner_traffic(checks: &mut Checks, spec: &Value) {
    checks.choice("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), &POLICIES);
    checks.choice("spec.trafficDistribution", spec.get("trafficDistribution"), &DISTRIBUTIONS);
}

fn topology(checks: &mut Checks, service: &Object) {
    if let (Some(mode), Some(hints)) = (service.annotation(MODE), service.annotation(HINTS))
        && mode != hints
    {
        let why = format!("must match annotations[{HINTS}] when both are specified");
        checks.add(Cause::invalid(format_args!("metadata.annotations[{MODE}]"), &mode.into(), why));
    }
}
