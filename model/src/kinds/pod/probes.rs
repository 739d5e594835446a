//! Probes and lifecycle hooks.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use serde_json::Value;
use std::fmt::Display;

/// `allowed`: whether the container lives long enough for probes to make sense.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, container: &Value, allowed: bool) {
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
            handler(checks, &format_args!("{path}.lifecycle.{hook}"), h, &["exec", "httpGet", "tcpSocket", "sleep"]);
        }
    }
}

fn one(checks: &mut Checks, path: &dyn Display, probe: &Value, key: &str) {
    handler(checks, path, probe, &["exec", "httpGet", "tcpSocket", "grpc"]);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        checks.not_negative(format_args!("{path}.{field}"), int(probe, field));
    }
    let successes = int(probe, "successThreshold").unwrap_or(1);
    if key != "readinessProbe" && successes != 1 {
        checks.add(Cause::invalid(format_args!("{path}.successThreshold"), &successes.into(), "must be 1"));
    }
    if let Some(grace) = int(probe, "terminationGracePeriodSeconds") {
        if key == "readinessProbe" {
            checks.add(Cause::invalid(format_args!("{path}.terminationGracePeriodSeconds"), &grace.into(), "must not be set for readinessProbes"));
        } else if grace <= 0 {
            checks.add(Cause::invalid(format_args!("{path}.terminationGracePeriodSeconds"), &grace.into(), "must be greater than 0"));
        }
    }
}

fn handler(checks: &mut Checks, path: &dyn Display, value: &Value, kinds: &[&str]) {
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
        "grpc" => checks.port(format_args!("{path}.port"), int(first, "port").unwrap_or_default()),
        "sleep" => checks.not_negative(format_args!("{path}.seconds"), int(first, "seconds")),
        _ => {}
    }
}

fn http_get(checks: &mut Checks, path: &dyn Display, get: &Value) {
    checks.filled(format_args!("{path}.path"), text(get, "path"));
    checks.port_or_name(format_args!("{path}.port"), get.get("port"));
    checks.one_of(format_args!("{path}.scheme"), text(get, "scheme"), &["HTTP", "HTTPS"]);
    for (path, header) in items(get, path, "httpHeaders") {
        checks.filled(format_args!("{path}.name"), text(header, "name"));
    }
}
