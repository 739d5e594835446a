//! What several kinds of `resource.k8s.io` have: names, tolerations, parameters of drivers.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, list, text};
use crate::names;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt::Display;

/// Longest identifier, and longest name of a driver.
const ID_MAX: usize = 32;
const DRIVER_MAX: usize = 63;

/// The name of a driver, which is there.
fn driver(checks: &mut Checks, path: &dyn Display, name: &str) {
    if name.len() > DRIVER_MAX {
        checks.add(Cause::too_long(path, DRIVER_MAX));
    }
    checks.all(path, name, names::dns_subdomain(&name.to_ascii_lowercase()));
}

fn identifier(checks: &mut Checks, path: &dyn Display, name: &str) {
    if name.len() > ID_MAX {
        checks.add(Cause::too_long(path, ID_MAX));
    }
    checks.all(path, name, names::c_identifier(name));
}

/// The name of an attribute or a capacity, perhaps within a domain. Names of three parts and more aren't looked at, as in Kubernetes.
fn qualified_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    match name.split_once('/') {
        None => identifier(checks, path, name),
        Some((_, id)) if id.contains('/') => {}
        Some((domain, id)) => {
            for (part, rule, empty) in
                [(domain, driver as fn(&mut Checks, &dyn Display, &str), "the domain must not be empty"), (id, identifier, "the name must not be empty")]
            {
                if part.is_empty() {
                    checks.add(Cause::invalid(path, &"".into(), empty));
                } else {
                    rule(checks, path, part);
                }
            }
        }
    }
}

/// A map by qualified names: each name, and each value at its place.
pub(super) fn by_name(checks: &mut Checks, path: &dyn Display, map: Option<&Map<String, Value>>, rule: impl Fn(&mut Checks, &dyn Display, &Value)) {
    for (name, value) in map.into_iter().flatten() {
        qualified_name(checks, path, name);
        rule(checks, &format_args!("{path}[{}]", shortened(name)), value);
    }
}

/// A name without its middle where it is longer than a name can be.
fn shortened(name: &str) -> String {
    const MOST: usize = DRIVER_MAX + 1 + ID_MAX;
    let cut = |from: usize, to: usize| name.get(from..to).unwrap_or_default();
    if name.len() <= MOST { name.to_owned() } else { format!("{}...{}", cut(0, (MOST - 2) / 2), cut(name.len() - (MOST - 3) / 2, name.len())) }
}

/// What a driver is told, in its own words.
pub(super) fn configuration(checks: &mut Checks, path: &dyn Display, of: &Value) {
    match of.get("opaque") {
        None => checks.required(format_args!("{path}.opaque"), ""),
        Some(opaque) => parameters(checks, &format_args!("{path}.opaque.parameters"), opaque.get("parameters")),
    }
}

/// JSON of somebody else's form: a map of at most 10 KiB.
pub(super) fn parameters(checks: &mut Checks, path: &dyn Display, given: Option<&Value>) {
    const MOST: usize = 10 << 10;
    match given {
        None | Some(Value::Null) => checks.required(path, ""),
        Some(value) if value.to_string().len() > MOST => checks.add(Cause::too_long(path, MOST)),
        Some(Value::Object(_)) => {}
        Some(_) => checks.add(Cause::invalid(path, &"<value omitted>".into(), "must be a valid JSON object")),
    }
}

/// Which taints of devices are put up with.
pub(super) fn tolerations(checks: &mut Checks, path: &dyn Display, of: &Value) {
    for (path, toleration) in items(of, path, "tolerations") {
        let value = text(toleration, "value");
        match text(toleration, "operator") {
            "" => checks.required(format_args!("{path}.operator"), ""),
            "Exists" if !value.is_empty() => {
                checks.add(Cause::invalid(format_args!("{path}.value"), &value.into(), "must be empty for operator `Exists`"));
            }
            "Equal" => checks.all(format_args!("{path}.value"), value, names::label_value(value)),
            _ => {}
        }
    }
}

/// What must be true of a device before a pod is bound to it, and what must not.
pub(super) fn binding(checks: &mut Checks, path: &dyn Display, of: &Value) {
    let [awaited, failures] = ["bindingConditions", "bindingFailureConditions"].map(|key| list(of, key));
    for (field, conditions) in [("bindingConditions", awaited), ("bindingFailureConditions", failures)] {
        let mut seen = HashSet::new();
        for (i, condition) in conditions.iter().enumerate() {
            let (path, name) = (format_args!("{path}.{field}[{i}]"), condition.as_str().unwrap_or_default());
            checks.all(path, name, names::qualified_name(name));
            checks.unique(path, condition, &mut seen);
            if field == "bindingFailureConditions" && awaited.contains(condition) {
                checks.add(Cause::invalid(path, condition, "bindingFailureConditions must not overlap with bindingConditions"));
            }
        }
    }
    for (field, missing, there, other) in
        [("bindingConditions", awaited, failures, "bindingFailureConditions"), ("bindingFailureConditions", failures, awaited, "bindingConditions")]
    {
        if missing.is_empty() && !there.is_empty() {
            let given = of.get(field).unwrap_or(&Value::Null);
            checks.add(Cause::invalid(format_args!("{path}.{field}"), given, format_args!("{field} are required to use {other}")));
        }
    }
}
