//! Ingresses and their classes.
use super::fields::{Checks, items, keep, list, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

/// What a path may not hold, and what it may not end with.
const BAD_PARTS: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "%5c"];
const BAD_ENDS: [&str; 2] = ["/..", "/."];
/// The annotation that named a class before there was a field.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The rules of Ingresses.
pub static INGRESS: Ingress = Ingress;
/// The rules of IngressClasses.
pub static CLASS_RULES: IngressClass = IngressClass;

/// The rules of Ingresses.
pub struct Ingress;

impl Strategy for Ingress {
    fn prepare_create(&self, ingress: &mut Object) {
        ingress.set(&["status"], json!({"loadBalancer": {}}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, ingress: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = ingress.at(&["spec"]).unwrap_or(&Value::Null);
        if list(spec, "rules").is_empty() && spec.get("defaultBackend").is_none() {
            checks.add(Cause::invalid("spec", &Value::Array(Vec::new()), "either `defaultBackend` or `rules` must be specified"));
        }
        for (path, tls) in items(spec, &"spec", "tls") {
            for (i, name) in list(tls, "hosts").iter().filter_map(Value::as_str).enumerate() {
                host(&mut checks, &format_args!("{path}.hosts[{i}]"), name);
            }
            checks.optional_name(format_args!("{path}.secretName"), text(tls, "secretName"), names::dns_subdomain);
        }
        spec.get("defaultBackend").into_iter().for_each(|b| backend(&mut checks, &"spec.defaultBackend", b));
        for (path, rule) in items(spec, &"spec", "rules") {
            match text(rule, "host") {
                "" => {}
                ip if ip.parse::<std::net::IpAddr>().is_ok() => {
                    checks.add(Cause::invalid(format_args!("{path}.host"), &ip.into(), "must be a DNS name, not an IP address"));
                }
                name => host(&mut checks, &format_args!("{path}.host"), name),
            }
            let Some(http) = rule.get("http") else { continue };
            if list(http, "paths").is_empty() {
                checks.required(format_args!("{path}.http.paths"), "");
            }
            for (path, entry) in items(http, &format_args!("{path}.http"), "paths") {
                http_path(&mut checks, &path, entry);
            }
        }
        checks.extend(class_twice(ingress));
        if let Some(class) = spec.get("ingressClassName").and_then(Value::as_str) {
            checks.all("spec.ingressClassName", class, names::dns_subdomain(class));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let balancer = new.at(&["status", "loadBalancer"]).unwrap_or(&Value::Null);
        for (path, entry) in items(balancer, &"status.loadBalancer", "ingress") {
            if !text(entry, "ip").is_empty() {
                checks.all(format_args!("{path}.ip"), text(entry, "ip"), crate::addresses::ip(text(entry, "ip")));
            }
            checks.optional_name(format_args!("{path}.hostname"), text(entry, "hostname"), names::dns_subdomain);
        }
        checks.0
    }
}

/// A new Ingress says its class in one way.
fn class_twice(ingress: &Object) -> Option<Cause> {
    let field = ingress.at(&["spec", "ingressClassName"]).is_some();
    let annotation = ingress.str_at(&["metadata", "annotations", CLASS]);
    let why = "can not be set when the class field is also set";
    (field && !annotation.is_empty()).then(|| Cause::invalid(format!("annotations.{CLASS}"), &annotation.into(), why))
}

fn host(checks: &mut Checks, path: &dyn Display, name: &str) {
    match name.strip_prefix("*.") {
        Some(rest) => {
            let why = names::dns_subdomain(rest);
            if !why.is_empty() {
                let rule = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
                checks.add(Cause::invalid(path, &name.into(), rule));
            }
        }
        None => checks.all(path, name, names::dns_subdomain(name)),
    }
}

fn http_path(checks: &mut Checks, path: &dyn Display, entry: &Value) {
    let (at, given) = (format!("{path}.path"), text(entry, "path"));
    match text(entry, "pathType") {
        "" => checks.required(format_args!("{path}.pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !given.starts_with('/') {
                checks.add(Cause::invalid(&at, &given.into(), "must be an absolute path"));
            }
            for bad in BAD_PARTS.iter().filter(|bad| given.contains(**bad)) {
                checks.add(Cause::invalid(&at, &given.into(), format!("must not contain '{bad}'")));
            }
            for bad in BAD_ENDS.iter().filter(|bad| given.ends_with(**bad)) {
                checks.add(Cause::invalid(&at, &given.into(), format!("cannot end with '{bad}'")));
            }
        }
        "ImplementationSpecific" => {
            if !given.is_empty() && !given.starts_with('/') {
                checks.add(Cause::invalid(&at, &given.into(), "must be an absolute path"));
            }
        }
        other => checks.add(Cause::not_supported(format_args!("{path}.pathType"), &other.into(), &["Exact", "ImplementationSpecific", "Prefix"])),
    }
    backend(checks, &format_args!("{path}.backend"), entry.get("backend").unwrap_or(&Value::Null));
}

fn backend(checks: &mut Checks, path: &dyn Display, backend: &Value) {
    match (backend.get("service"), backend.get("resource")) {
        (Some(_), Some(_)) => checks.add(Cause::invalid(path, &"".into(), "cannot set both resource and service backends")),
        (None, None) => checks.add(Cause::invalid(path, &"".into(), "resource or service backend is required")),
        (None, Some(resource)) => {
            for key in ["kind", "name"] {
                checks.filled(format_args!("{path}.resource.{key}"), text(resource, key));
            }
        }
        (Some(service), None) => {
            let (at, name) = (format!("{path}.service"), text(service, "name"));
            if name.is_empty() {
                checks.required(format_args!("{at}.name"), "");
            } else {
                checks.all(format_args!("{at}.name"), name, names::dns_1035_label(name));
            }
            let port = service.get("port").unwrap_or(&Value::Null);
            match (text(port, "name"), port.get("number").and_then(Value::as_i64)) {
                ("", None) => checks.required(&at, "port name or number is required"),
                (name, Some(_)) if !name.is_empty() => checks.add(Cause::invalid(&at, &"".into(), "cannot set both port name & port number")),
                ("", Some(number)) => checks.port(format_args!("{at}.port.number"), number),
                (name, _) => checks.all(format_args!("{at}.port.name"), name, names::port_name(name)),
            }
        }
    }
}

/// The rules of IngressClasses.
pub struct IngressClass;

impl Strategy for IngressClass {
    fn default(&self, class: &mut Object) {
        if class.at(&["spec", "parameters"]).is_some() && class.str_at(&["spec", "parameters", "scope"]).is_empty() {
            class.set(&["spec", "parameters", "scope"], "Cluster");
        }
    }
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let controller = class.str_at(&["spec", "controller"]);
        let prefixed = controller.split_once('/').is_some_and(|(domain, rest)| names::is_dns_subdomain(domain) && !rest.is_empty());
        if controller.is_empty() {
            checks.required("spec.controller", "");
        } else if !prefixed {
            checks.add(Cause::invalid("spec.controller", &controller.into(), "must be a domain-prefixed path (such as \"acme.io/foo\")"));
        }
        if let Some(parameters) = class.at(&["spec", "parameters"]) {
            let (scope, namespace) = (text(parameters, "scope"), text(parameters, "namespace"));
            match scope {
                "Cluster" if !namespace.is_empty() => {
                    checks.add(Cause::forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'"));
                }
                "Namespace" if namespace.is_empty() => checks.required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'"),
                "Cluster" | "Namespace" => {}
                other => checks.add(Cause::not_supported("spec.parameters.scope", &other.into(), &["Cluster", "Namespace"])),
            }
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("spec.controller", new.at(&["spec", "controller"]), old.at(&["spec", "controller"]));
        checks.0
    }
}
