//! Ingresses: which requests from outside go to which backends, by host and path.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, keep, list, text};
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{addresses, names};
use serde_json::{Value, json};
use std::fmt::Display;

/// Named the class before there was a field for it.
const CLASS: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
/// What servers read in different ways, so that no path may have it …
const AMBIGUOUS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
/// … or end with it.
const AMBIGUOUS_ENDS: [&str; 2] = ["/..", "/."];

/// The rules of Ingresses.
pub(in crate::kinds) static INGRESS: Ingress = Ingress;

/// The rules of Ingresses.
pub(in crate::kinds) struct Ingress;

impl Strategy for Ingress {
    fn prepare_create(&self, ingress: &mut Object) {
        ingress.set(&["status"], json!({"loadBalancer": {}}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, ingress: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        spec(&mut checks, ingress.at(&["spec"]).unwrap_or(&Value::Null));
        checks.0
    }
    fn validate_create(&self, ingress: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if let (Some(old_style), Some(class)) = (ingress.annotation(CLASS), ingress.at(&["spec", "ingressClassName"]).and_then(Value::as_str))
            && old_style != class
        {
            let why = "must match `ingressClassName` when both are specified";
            checks.add(Cause::invalid(format_args!("annotations.{CLASS}"), &old_style.into(), why));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let points = |ingress: &Object| ingress.at(&["status", "loadBalancer"]).cloned().unwrap_or_default();
        let (after, before) = (points(new), points(old));
        for (path, point) in items(&after, &"status.loadBalancer", "ingress") {
            let (ip, hostname) = (text(point, "ip"), text(point, "hostname"));
            if !list(&before, "ingress").iter().any(|p| text(p, "ip") == ip) {
                checks.optional_name(format_args!("{path}.ip"), ip, addresses::ip);
            }
            checks.optional_name(format_args!("{path}.hostname"), hostname, names::dns_subdomain);
            no_address(&mut checks, &format_args!("{path}.hostname"), hostname);
        }
        checks.0
    }
}

fn no_address(checks: &mut Checks, path: &dyn Display, host: &str) {
    if addresses::parse_loose(host).is_some() {
        checks.add(Cause::invalid(path, &host.into(), "must be a DNS name, not an IP address"));
    }
}

fn spec(checks: &mut Checks, spec: &Value) {
    let given = spec.get("defaultBackend");
    if list(spec, "rules").is_empty() && given.is_none() {
        let rules = spec.get("rules").unwrap_or(&Value::Null);
        checks.add(Cause::invalid("spec", rules, "either `defaultBackend` or `rules` must be specified"));
    }
    if let Some(given) = given {
        backend(checks, &"spec.defaultBackend", given);
    }
    for (path, rule) in items(spec, &"spec", "rules") {
        let name = text(rule, "host");
        no_address(checks, &format_args!("{path}.host"), name);
        host(checks, &format_args!("{path}.host"), name);
        if let Some(http) = rule.get("http") {
            paths(checks, &format_args!("{path}.http"), http);
        }
    }
    for (path, tls) in items(spec, &"spec", "tls") {
        for (i, name) in list(tls, "hosts").iter().filter_map(Value::as_str).enumerate() {
            match name {
                // an empty rule is for all hosts, a certificate isn't
                "" => checks.all(format_args!("{path}.hosts[{i}]"), name, names::dns_subdomain(name)),
                name => host(checks, &format_args!("{path}.hosts[{i}]"), name),
            }
        }
        checks.optional_name(format_args!("{path}.secretName"), text(tls, "secretName"), names::dns_subdomain);
    }
    if let Some(class) = spec.get("ingressClassName").and_then(Value::as_str) {
        checks.all("spec.ingressClassName", class, names::dns_subdomain(class));
    }
}

/// A host, or all hosts of a domain.
fn host(checks: &mut Checks, path: &dyn Display, host: &str) {
    let rule = if host.contains('*') { names::wildcard_subdomain } else { names::dns_subdomain };
    checks.optional_name(path, host, rule);
}

fn paths(checks: &mut Checks, path: &dyn Display, http: &Value) {
    if list(http, "paths").is_empty() {
        checks.required(format_args!("{path}.paths"), "");
    }
    for (path, item) in items(http, path, "paths") {
        let Some(kind) = item.get("pathType") else {
            checks.required(format_args!("{path}.pathType"), "pathType must be specified");
            continue;
        };
        one_path(checks, &path, kind, text(item, "path"));
        backend(checks, &format_args!("{path}.backend"), item.get("backend").unwrap_or(&Value::Null));
    }
}

fn one_path(checks: &mut Checks, path: &dyn Display, kind: &Value, value: &str) {
    let mut refuse = |why: String| checks.add(Cause::invalid(format_args!("{path}.path"), &value.into(), why));
    let relative = !value.starts_with('/');
    match kind.as_str().unwrap_or_default() {
        "Exact" | "Prefix" => {
            if relative {
                refuse("must be an absolute path".to_owned());
            }
            AMBIGUOUS.iter().filter(|part| value.contains(**part)).for_each(|part| refuse(format!("must not contain '{part}'")));
            AMBIGUOUS_ENDS.iter().filter(|end| value.ends_with(**end)).for_each(|end| refuse(format!("cannot end with '{end}'")));
        }
        "ImplementationSpecific" if relative && !value.is_empty() => refuse("must be an absolute path".to_owned()),
        "ImplementationSpecific" => {}
        _ => checks.add(Cause::not_supported(format_args!("{path}.pathType"), kind, &PATH_TYPES)),
    }
}

/// Where requests go: a port of a Service, or an object that the controller knows.
fn backend(checks: &mut Checks, path: &dyn Display, backend: &Value) {
    match (backend.get("service"), backend.get("resource")) {
        (Some(_), Some(_)) => checks.add(Cause::invalid(path, &"".into(), "cannot set both resource and service backends")),
        (None, Some(resource)) => reference(checks, &format_args!("{path}.resource"), resource),
        (Some(service), None) => {
            checks.name(format_args!("{path}.service.name"), text(service, "name"), names::dns_label);
            port(checks, path, service.get("port").unwrap_or(&Value::Null));
        }
        (None, None) => checks.add(Cause::invalid(path, &"".into(), "resource or service backend is required")),
    }
}

fn port(checks: &mut Checks, path: &dyn Display, port: &Value) {
    match (text(port, "name"), int(port, "number").unwrap_or_default()) {
        ("", 0) => checks.required(path, "port name or number is required"),
        ("", number) => checks.port(format_args!("{path}.service.port.number"), number),
        (name, 0) => checks.all(format_args!("{path}.service.port.name"), name, names::port_name(name)),
        _ => checks.add(Cause::invalid(path, &"".into(), "cannot set both port name & port number")),
    }
}

fn reference(checks: &mut Checks, path: &dyn Display, reference: &Value) {
    if let Some(group) = reference.get("apiGroup").and_then(Value::as_str) {
        checks.all(format_args!("{path}.apiGroup"), group, names::dns_subdomain(group));
    }
    for field in ["kind", "name"] {
        checks.name(format_args!("{path}.{field}"), text(reference, field), names::path_segment);
    }
}
