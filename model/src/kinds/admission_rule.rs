//! Which requests a webhook or a policy is asked about.
use super::fields::{Checks, items, list, text};
use super::pod::selector_causes;
use crate::error::Cause;
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// Deletions can't be changed.
const MUTATING: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];

/// What a policy, or a binding of one, is about.
pub(super) fn resources(checks: &mut Checks, path: &dyn Display, resources: &Value, mutates: bool) {
    checks.one_of(format_args!("{path}.matchPolicy"), text(resources, "matchPolicy"), &["Equivalent", "Exact"]);
    for key in ["namespaceSelector", "objectSelector"] {
        match resources.get(key) {
            None => checks.required(format_args!("{path}.{key}"), ""),
            Some(selector) => checks.extend(selector_causes(&format_args!("{path}.{key}"), selector)),
        }
    }
    for key in ["resourceRules", "excludeResourceRules"] {
        for (path, rule) in items(resources, path, key) {
            named(checks, &path, rule);
        }
    }
    let all = list(resources, "resourceRules").iter().filter(|_| mutates).flat_map(|rule| list(rule, "operations"));
    for operation in all.filter(|operation| !operation.as_str().is_some_and(|o| MUTATING.contains(&o))) {
        checks.add(Cause::not_supported(format_args!("{path}.resourceRules.operations"), operation, &MUTATING));
    }
}

/// A rule that may be about objects of some names alone.
fn named(checks: &mut Checks, path: &dyn Display, rule: &Value) {
    let mut seen = HashSet::new();
    for (path, value) in items(rule, path, "resourceNames") {
        let name = value.as_str().unwrap_or_default();
        checks.all(&path, name, names::path_segment(name));
        checks.unique(&path, value, &mut seen);
    }
    validate(checks, path, rule);
}

/// A rule at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, rule: &Value) {
    for (key, star) in [
        ("operations", "if '*' is present, must not specify other operations"),
        ("apiGroups", "if '*' is present, must not specify other API groups"),
        ("apiVersions", "if '*' is present, must not specify other API versions"),
    ] {
        let values = list(rule, key);
        if values.is_empty() {
            checks.required(format_args!("{path}.{key}"), "");
        }
        if values.len() > 1 && values.iter().any(|v| v == "*") {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), &values.to_vec().into(), star));
        }
        for (i, value) in values.iter().enumerate() {
            match key {
                "operations" => checks.choice(format_args!("{path}.operations[{i}]"), Some(value), &OPERATIONS),
                "apiVersions" if value == "" => checks.required(format_args!("{path}.apiVersions[{i}]"), ""),
                _ => {}
            }
        }
    }
    let of: Vec<&str> = list(rule, "resources").iter().filter_map(Value::as_str).collect();
    names_of_resources(checks, &format_args!("{path}.resources"), &of);
    checks.choice(format_args!("{path}.scope"), rule.get("scope"), &["*", "Cluster", "Namespaced"]);
}

/// The resources and subresources of a rule: none is named where all are meant.
fn names_of_resources(checks: &mut Checks, path: &dyn Display, all: &[&str]) {
    if all.is_empty() {
        checks.required(path, "");
    }
    // of the names without a subresource Kubernetes looks at the last one
    let (mut of_any, mut of_all, mut plain) = (HashSet::new(), HashSet::new(), false);
    for (i, name) in all.iter().enumerate() {
        let mut refuse = |why: String| checks.add(Cause::invalid(format_args!("{path}[{i}]"), &(*name).into(), why));
        match name.split_once('/') {
            None if name.is_empty() => checks.required(format_args!("{path}[{i}]"), ""),
            None => plain = *name != "*",
            Some((resource, sub)) => {
                if of_all.contains(resource) {
                    refuse(format!("if '{resource}/*' is present, must not specify {name}"));
                }
                if of_any.contains(sub) {
                    refuse(format!("if '*/{sub}' is present, must not specify {name}"));
                }
                if sub == "*" {
                    of_all.insert(resource);
                }
                if resource == "*" {
                    of_any.insert(sub);
                }
            }
        }
    }
    let given = || Value::from(all.to_vec());
    if all.len() > 1 && all.contains(&"*/*") {
        checks.add(Cause::invalid(path, &given(), "if '*/*' is present, must not specify other resources"));
    }
    if all.contains(&"*") && plain {
        checks.add(Cause::invalid(path, &given(), "if '*' is present, must not specify other resources without subresources"));
    }
}
