//! Configurations of admission webhooks.
use super::fields::{Checks, int, list, text, top_items};
use super::pod::selector_causes;
use crate::error::Cause;
use crate::match_conditions;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// Versions of AdmissionReview that are understood.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
/// Most match conditions of a webhook.
const CONDITIONS_MAX: usize = 64;

/// The rules of both kinds of configurations.
pub static STRATEGY: Webhooks = Webhooks;

/// The rules of both kinds of configurations.
pub struct Webhooks;

impl Strategy for Webhooks {
    fn validate(&self, configuration: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut seen = HashSet::new();
        for (path, webhook) in top_items(configuration, "webhooks") {
            let name = text(webhook, "name");
            if name.is_empty() {
                checks.required(format_args!("{path}.name"), "");
            } else {
                checks.all(format_args!("{path}.name"), name, names::dns_subdomain(name));
                if name.split('.').count() < 3 {
                    checks.add(Cause::invalid(format_args!("{path}.name"), &name.into(), "should be a domain with at least three segments separated by dots"));
                }
            }
            checks.unique(format_args!("{path}.name"), &name.into(), &mut seen);
            self::webhook(&mut checks, &path, webhook);
        }
        checks.0
    }
}

fn webhook(checks: &mut Checks, path: &dyn Display, webhook: &Value) {
    client(checks, &format_args!("{path}.clientConfig"), webhook.get("clientConfig").unwrap_or(&Value::Null));
    let reviews: Vec<&str> = list(webhook, "admissionReviewVersions").iter().filter_map(Value::as_str).collect();
    if reviews.is_empty() {
        checks.required(format_args!("{path}.admissionReviewVersions"), "must specify one of v1, v1beta1");
    } else if !reviews.iter().any(|r| REVIEWS.contains(r)) {
        let given = &webhook["admissionReviewVersions"];
        checks.add(Cause::invalid(format_args!("{path}.admissionReviewVersions"), given, "must include at least one of v1, v1beta1"));
    }
    checks.one_of(format_args!("{path}.sideEffects"), text(webhook, "sideEffects"), &["None", "NoneOnDryRun"]);
    checks.choice(format_args!("{path}.failurePolicy"), webhook.get("failurePolicy"), &["Fail", "Ignore"]);
    checks.choice(format_args!("{path}.matchPolicy"), webhook.get("matchPolicy"), &["Equivalent", "Exact"]);
    checks.choice(format_args!("{path}.reinvocationPolicy"), webhook.get("reinvocationPolicy"), &["IfNeeded", "Never"]);
    if let Some(n) = int(webhook, "timeoutSeconds").filter(|n| !(1..=30).contains(n)) {
        checks.add(Cause::invalid(format_args!("{path}.timeoutSeconds"), &n.into(), "the timeout value must be between 1 and 30 seconds"));
    }
    for key in ["namespaceSelector", "objectSelector"] {
        webhook.get(key).into_iter().for_each(|s| checks.extend(selector_causes(&format_args!("{path}.{key}"), s)));
    }
    for (i, rule) in list(webhook, "rules").iter().enumerate() {
        self::rule(checks, &format_args!("{path}.rules[{i}]"), rule);
    }
    conditions(checks, path, webhook);
}

/// Match conditions have names of their own, and expressions that can be compiled.
fn conditions(checks: &mut Checks, path: &dyn Display, of: &Value) {
    let all = list(of, "matchConditions");
    if all.len() > CONDITIONS_MAX {
        checks.add(Cause::too_many(format_args!("{path}.matchConditions"), all.len(), CONDITIONS_MAX));
    }
    let mut seen = HashSet::new();
    for (i, condition) in all.iter().enumerate() {
        let (place, name) = (format!("{path}.matchConditions[{i}]"), text(condition, "name"));
        let expression = text(condition, "expression");
        checks.filled(format_args!("{place}.expression"), expression.trim());
        if let Some(why) = match_conditions::wrong(expression.trim()) {
            checks.add(Cause::invalid(format_args!("{place}.expression"), &expression.trim().into(), why));
        }
        checks.name(format_args!("{place}.name"), name, names::qualified_name);
        checks.unique(format_args!("{place}.name"), &name.into(), &mut seen);
    }
}

/// How a webhook is reached: by one of a URL and a Service.
pub(super) fn client(checks: &mut Checks, path: &dyn Display, client: &Value) {
    match (client.get("url").and_then(Value::as_str), client.get("service")) {
        (Some(_), Some(_)) | (None, None) => checks.required(path, "exactly one of url or service is required"),
        (Some(url), None) => self::url(checks, &format_args!("{path}.url"), url),
        (None, Some(service)) => {
            for key in ["name", "namespace"] {
                if text(service, key).is_empty() {
                    checks.required(format_args!("{path}.service.{key}"), &format!("service {key} is required"));
                }
            }
            if let Some(port) = int(service, "port").filter(|n| !(1..=65_535).contains(n)) {
                checks.add(Cause::invalid(format_args!("{path}.service.port"), &port.into(), "port is not valid: must be between 1 and 65535, inclusive"));
            }
            let at = text(service, "path");
            if !at.is_empty() && !at.starts_with('/') {
                checks.add(Cause::invalid(format_args!("{path}.service.path"), &at.into(), "must start with a '/'"));
            }
        }
    }
}

fn url(checks: &mut Checks, path: &dyn Display, url: &str) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut refuse = |why: String| checks.add(Cause::invalid(path, &url.into(), why));
    let Some((scheme, rest)) = url.split_once("://") else { return refuse(format!("url must be a valid URL{FORM}")) };
    if scheme != "https" {
        refuse(format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        refuse(format!("host must be specified{FORM}"));
    }
    for (mark, what) in [
        ('@', "user information is not permitted in the URL"),
        ('#', "fragments are not permitted in the URL"),
        ('?', "query parameters are not permitted in the URL"),
    ] {
        if rest.contains(mark) {
            refuse(what.to_owned());
        }
    }
}

fn rule(checks: &mut Checks, path: &dyn Display, rule: &Value) {
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
            checks.add(Cause::invalid(format_args!("{path}.{key}"), &rule[key], star));
        }
        for (i, value) in values.iter().enumerate() {
            match key {
                "operations" => checks.choice(format_args!("{path}.operations[{i}]"), Some(value), &OPERATIONS),
                "apiVersions" if value == "" => checks.required(format_args!("{path}.apiVersions[{i}]"), ""),
                _ => {}
            }
        }
    }
    let resources: Vec<&str> = list(rule, "resources").iter().filter_map(Value::as_str).collect();
    if resources.is_empty() {
        checks.required(format_args!("{path}.resources"), "");
    }
    if resources.len() > 1 && resources.contains(&"*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        checks.add(Cause::invalid(format_args!("{path}.resources"), &rule["resources"], why));
    }
    for (i, _) in resources.iter().enumerate().filter(|(_, r)| r.is_empty()) {
        checks.required(format_args!("{path}.resources[{i}]"), "");
    }
    checks.choice(format_args!("{path}.scope"), rule.get("scope"), &["*", "Cluster", "Namespaced"]);
}
