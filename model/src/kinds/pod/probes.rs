//! Probes and lifecycle hooks.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// `allowed`: whether the container lives long enough for probes to make sense. `grace` is the pod's, in seconds.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, container: &Value, allowed: bool, grace: Option<i64>) {
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(key) else { continue };
        let path = format_args!("{path}.{key}");
        if allowed {
            one(checks, &path, probe, key);
        } else {
            checks.add(Cause::forbidden(path, "may not be set for init containers without restartPolicy=Always"));
        }
    }
    let Some(lifecycle) = container.get("lifecycle") else { return };
    if !allowed {
        return checks.add(Cause::forbidden(format_args!("{path}.lifecycle"), "may not be set for init containers without restartPolicy=Always"));
    }
    for hook in ["postStart", "preStop"] {
        if let Some(h) = lifecycle.get(hook) {
            handler(checks, &format_args!("{path}.lifecycle.{hook}"), h, &["exec", "httpGet", "tcpSocket", "sleep"], grace);
        }
    }
}

fn one(checks: &mut Checks, path: &dyn Display, probe: &Value, key: &str) {
    handler(checks, path, probe, &["exec", "httpGet", "tcpSocket", "grpc"], None);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        checks.not_negative(format_args!("{path}.{field}"), int(probe, field));
    }
    let successes = int(probe, "successThreshold").unwrap_or(1);
    if key != "readinessProbe" && successes != 1 {
        checks.add(Cause::invalid(format_args!("{path}.successThreshold"), &successes.into(), "must be 1"));
    }
    if let Some(grace) = int(probe, "terminationGracePeriodSeconds") {
        if grace <= 0 {
            checks.add(Cause::invalid(format_args!("{path}.terminationGracePeriodSeconds"), &grace.into(), "must be greater than 0"));
        }
        if key == "readinessProbe" {
            checks.add(Cause::invalid(format_args!("{path}.terminationGracePeriodSeconds"), &grace.into(), "must not be set for readinessProbes"));
        }
    }
}

fn handler(checks: &mut Checks, path: &dyn Display, value: &Value, kinds: &[&str], grace: Option<i64>) {
    let mut given = kinds.iter().filter_map(|k| value.get(*k).map(|v| (*k, v)));
    let Some((kind, first)) = given.next() else { return checks.required(path, "must specify a handler type") };
    for (other, _) in given {
        checks.add(Cause::forbidden(format_args!("{path}.{other}"), "may not specify more than 1 handler type"));
    }
    let path = format_args!("{path}.{kind}");
    match kind {
        "exec" if list(first, "command").is_empty() => checks.required(format_args!("{path}.command"), ""),
        "httpGet" => http_get(checks, &path, first),
        "tcpSocket" => checks.port_or_name(format_args!("{path}.port"), first.get("port")),
        "grpc" => {
            checks.port(format_args!("{path}.port"), int(first, "port").unwrap_or_default());
            checks.choice(format_args!("{path}.mode"), first.get("mode"), &["Plaintext", "TLS"]);
        }
        "sleep" => sleep(checks, &path, int(first, "seconds").unwrap_or_default(), grace),
        _ => {}
    }
}

/// A hook can't sleep longer than the pod may take to end.
fn sleep(checks: &mut Checks, path: &dyn Display, seconds: i64, grace: Option<i64>) {
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        checks.add(Cause::invalid(path, &seconds.into(), why));
    }
}

/// Kubernetes names headers without their indices.
fn http_get(checks: &mut Checks, path: &dyn Display, get: &Value) {
    checks.filled(format_args!("{path}.path"), text(get, "path"));
    checks.port_or_name(format_args!("{path}.port"), get.get("port"));
    checks.choice(format_args!("{path}.scheme"), Some(get.get("scheme").unwrap_or(&"".into())), &["HTTP", "HTTPS"]);
    for (_, header) in items(get, path, "httpHeaders") {
        checks.all(format_args!("{path}.httpHeaders"), text(header, "name"), names::http_header(text(header, "name")));
    }
    checks.choice(format_args!("{path}.protocol"), get.get("protocol"), &["HTTP1", "HTTP2"]);
}
