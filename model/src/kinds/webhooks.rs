//! Configurations of admission webhooks.
use super::admission_rule;
use super::fields::{Checks, int, items, list, text, top_items};
use super::pod::selector_causes;
use crate::error::Cause;
use crate::match_conditions;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// Versions of AdmissionReview that are understood.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
/// Most match conditions of a webhook.
const CONDITIONS_MAX: usize = 64;

/// The rules of both kinds of configurations.
pub static STRATEGY: Webhooks = Webhooks;

/// The rules of both kinds of configurations.
pub struct Webhooks;

impl Strategy for Webhooks {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, configuration: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut seen = HashSet::new();
        for (path, webhook) in top_items(configuration, "webhooks") {
            let name = text(webhook, "name");
            full_name(&mut checks, &format_args!("{path}.name"), name);
            if !name.is_empty() {
                checks.unique(format_args!("{path}.name"), &name.into(), &mut seen);
            }
            self::webhook(&mut checks, &path, webhook);
        }
        checks.0
    }
}

fn webhook(checks: &mut Checks, path: &dyn Display, webhook: &Value) {
    checks.choice(format_args!("{path}.failurePolicy"), webhook.get("failurePolicy"), &["Fail", "Ignore"]);
    checks.choice(format_args!("{path}.matchPolicy"), webhook.get("matchPolicy"), &["Equivalent", "Exact"]);
    checks.choice(format_args!("{path}.reinvocationPolicy"), webhook.get("reinvocationPolicy"), &["IfNeeded", "Never"]);
    match webhook.get("sideEffects") {
        None => checks.required(format_args!("{path}.sideEffects"), "must specify one of None, NoneOnDryRun"),
        effects => checks.choice(format_args!("{path}.sideEffects"), effects, &["None", "NoneOnDryRun"]),
    }
    if let Some(n) = int(webhook, "timeoutSeconds").filter(|n| !(1..=30).contains(n)) {
        checks.add(Cause::invalid(format_args!("{path}.timeoutSeconds"), &n.into(), "the timeout value must be between 1 and 30 seconds"));
    }
    for key in ["namespaceSelector", "objectSelector"] {
        webhook.get(key).into_iter().for_each(|s| checks.extend(selector_causes(&format_args!("{path}.{key}"), s)));
    }
    for (path, rule) in items(webhook, path, "rules") {
        admission_rule::validate(checks, &path, rule);
    }
    client(checks, &format_args!("{path}.clientConfig"), webhook.get("clientConfig").unwrap_or(&Value::Null));
    conditions(checks, path, webhook);
    reviews(checks, &format_args!("{path}.admissionReviewVersions"), list(webhook, "admissionReviewVersions"));
}

/// A domain's name of three parts at least.
fn full_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    let errors = names::dns_subdomain(name);
    if name.is_empty() {
        checks.required(path, "");
    } else if !errors.is_empty() {
        checks.add(Cause::invalid(path, &name.into(), errors.join(",")));
    } else if name.split('.').count() < 3 {
        checks.add(Cause::invalid(path, &name.into(), "should be a domain with at least three segments separated by dots"));
    }
}

/// The versions of reviews that a webhook understands.
fn reviews(checks: &mut Checks, path: &dyn Display, versions: &[Value]) {
    if versions.is_empty() {
        return checks.required(path, "must specify one of v1, v1beta1");
    }
    let mut seen = HashSet::new();
    for (i, version) in versions.iter().filter_map(Value::as_str).enumerate() {
        if seen.insert(version) {
            checks.all(format_args!("{path}[{i}]"), version, names::dns_1035_label(version));
        } else {
            checks.add(Cause::invalid(format_args!("{path}[{i}]"), &version.into(), "duplicate version"));
        }
    }
    if !REVIEWS.iter().any(|review| seen.contains(review)) {
        checks.add(Cause::invalid(path, &versions.to_vec().into(), "must include at least one of v1, v1beta1"));
    }
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
pub(crate) fn client(checks: &mut Checks, path: &dyn Display, client: &Value) {
    match (client.get("url").and_then(Value::as_str), client.get("service")) {
        (Some(_), Some(_)) | (None, None) => checks.required(path, "exactly one of url or service is required"),
        (Some(url), None) => self::url(checks, &format_args!("{path}.url"), url),
        (None, Some(service)) => self::service(checks, &format_args!("{path}.service"), service),
    }
}

/// The Service of a webhook. Kubernetes says of a missing name that the namespace is missing, and the other way round.
fn service(checks: &mut Checks, path: &dyn Display, service: &Value) {
    for (said, missing) in [("name", "namespace"), ("namespace", "name")] {
        checks.filled(format_args!("{path}.{said}"), text(service, missing));
    }
    if let Some(port) = int(service, "port").filter(|n| !(1..=65_535).contains(n)) {
        checks.add(Cause::invalid(format_args!("{path}.port"), &port.into(), "port is not valid: must be between 1 and 65535, inclusive"));
    }
    let at = text(service, "path");
    let mut refuse = |why: String| checks.add(Cause::invalid(format_args!("{path}.path"), &at.into(), why));
    match at {
        "" | "/" => return,
        "//" => return refuse("segment[0] may not be empty".to_owned()),
        at if !at.starts_with('/') => refuse("must start with a '/'".to_owned()),
        _ => {}
    }
    let rest = at.char_indices().nth(1).and_then(|(from, _)| at.get(from..)).unwrap_or_default();
    for (i, step) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if step.is_empty() {
            refuse(format!("segment[{i}] may not be empty"));
        } else {
            names::dns_subdomain(step).into_iter().for_each(|why| refuse(format!("segment[{i}]: {why}")));
        }
    }
}

/// The address of a webhook; of each part that is refused, the part is shown.
fn url(checks: &mut Checks, path: &dyn Display, url: &str) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut refuse = |given: &str, why: &str, form: &str| checks.add(Cause::invalid(path, &given.into(), format_args!("{why}{form}")));
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let scheme = url.split(':').next().filter(|s| s.len() < url.len() && !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric())).unwrap_or_default();
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let authority = rest.strip_prefix(':').unwrap_or(rest).strip_prefix("//").map(|rest| rest.split('/').next().unwrap_or_default()).unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if !scheme.eq_ignore_ascii_case("https") {
        refuse(scheme, "'https' is the only allowed URL scheme", FORM);
    }
    if host.is_empty() {
        refuse(host, "host must be specified", FORM);
    }
    if let Some(user) = user {
        refuse(user, "user information is not permitted in the URL", "");
    }
    for (part, why) in [(fragment, "fragments are not permitted in the URL"), (query, "query parameters are not permitted in the URL")] {
        if !part.is_empty() {
            refuse(part, why, "");
        }
    }
}
