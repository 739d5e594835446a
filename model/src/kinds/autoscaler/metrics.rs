//! What autoscalers go by.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::kinds::pod;
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::fmt::Display;

/// Each type of metric, and the field that holds it. Of several that are there, the first is looked at.
pub(super) const TYPES: [(&str, &str); 5] =
    [("Object", "object"), ("External", "external"), ("Pods", "pods"), ("Resource", "resource"), ("ContainerResource", "containerResource")];

/// The metrics of an autoscaler's spec.
pub(super) fn validate(checks: &mut Checks, spec: &Value) {
    for (path, entry) in items(spec, &"spec", "metrics") {
        metric(checks, &path, entry);
    }
    let outside = list(spec, "metrics").iter().any(|m| matches!(text(m, "type"), "Object" | "External"));
    if int(spec, "minReplicas") == Some(0) && !outside {
        checks.add(Cause::forbidden("spec.metrics", "must specify at least one Object or External metric to support scaling to zero replicas"));
    }
}

/// The version of a reference to an object of any group, or of those beside the core one.
pub(super) fn api_version(checks: &mut Checks, path: &dyn Display, reference: &Value, core: bool) {
    let version = text(reference, "apiVersion");
    let why = match version.matches('/').count() {
        0 if core => return,
        0 => "apiVersion must specify API group".to_owned(),
        1 if core || !version.starts_with('/') => return,
        1 => "apiVersion must specify API group".to_owned(),
        _ => format!("unexpected GroupVersion string: {version}"),
    };
    checks.add(Cause::invalid(format_args!("{path}.apiVersion"), &version.into(), why));
}

fn metric(checks: &mut Checks, path: &dyn Display, metric: &Value) {
    let kind = text(metric, "type");
    if kind.is_empty() {
        checks.required(format_args!("{path}.type"), "must specify a metric source type");
    }
    let own = TYPES.iter().find(|(name, _)| *name == kind).map(|(_, own)| *own);
    if own.is_none() {
        let names = ["ContainerResource", "External", "Object", "Pods", "Resource"];
        checks.add(Cause::not_supported(format_args!("{path}.type"), &kind.into(), &names));
    }
    let mut present = TYPES.iter().filter_map(|(name, field)| Some((*name, *field, metric.get(*field)?)));
    if let Some((name, field, source)) = present.clone().next() {
        self::source(checks, &format_args!("{path}.{field}"), source, name);
    }
    if let Some(own) = own.filter(|own| metric.get(*own).is_none()) {
        checks.required(format_args!("{path}.{own}"), "must populate information for the given metric source");
    }
    if present.clone().count() > 1 {
        for (_, field, _) in present.by_ref().filter(|(_, field, _)| Some(*field) != own) {
            checks.add(Cause::forbidden(format_args!("{path}.{field}"), "must populate the given metric source only"));
        }
    }
}

/// Where the numbers of a type of metric come from.
fn source(checks: &mut Checks, path: &dyn Display, source: &Value, kind: &str) {
    let name = text(source, "name");
    match kind {
        "Resource" | "ContainerResource" if name.is_empty() => checks.required(format_args!("{path}.name"), "must specify a resource name"),
        "ContainerResource" => pod::container_name(checks, &format_args!("{path}.name"), name),
        "Resource" => {}
        _ => {
            if kind == "Object" {
                let described = source.get("describedObject").unwrap_or(&Value::Null);
                api_version(checks, &format_args!("{path}.describedObject"), described, true);
            }
            match source.pointer("/metric/name").and_then(Value::as_str).unwrap_or_default() {
                "" => checks.required(format_args!("{path}.metric.name"), "must specify a metric name"),
                name => checks.all(format_args!("{path}.metric.name"), name, names::path_segment(name)),
            }
        }
    }
    if kind == "ContainerResource" {
        match text(source, "container") {
            "" => checks.required(format_args!("{path}.container"), "must specify a container"),
            name => checks.all(format_args!("{path}.container"), name, names::dns_label(name)),
        }
    }
    target(checks, &format_args!("{path}.target"), source.get("target").unwrap_or(&Value::Null), kind);
}

fn target(checks: &mut Checks, path: &dyn Display, target: &Value, kind: &str) {
    let of = text(target, "type");
    if of.is_empty() {
        checks.required(format_args!("{path}.type"), "must specify a metric target type");
    }
    if !matches!(of, "Utilization" | "Value" | "AverageValue") {
        checks.add(Cause::invalid(format_args!("{path}.type"), &of.into(), "must be either Utilization, Value, or AverageValue"));
    }
    for key in ["value", "averageValue"] {
        if let Some(value) = target.get(key).filter(|v| Quantity::from_json(v).is_ok_and(|q| q.is_negative() || q.is_zero())) {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), value, "must be positive"));
        }
    }
    if let Some(n) = int(target, "averageUtilization").filter(|n| *n < 1) {
        checks.add(Cause::invalid(format_args!("{path}.averageUtilization"), &n.into(), "must be greater than 0"));
    }
    let [used, average, value] = ["averageUtilization", "averageValue", "value"].map(|key| target.get(key).is_some());
    let (missing, both) = match kind {
        "Pods" => {
            return if !average {
                checks.required(format_args!("{path}.averageValue"), "must specify a positive target averageValue")
            };
        }
        "Object" => ("must set either a target value or averageValue", ""),
        "External" => ("must set either a target value for metric or a per-pod target", "may not set both a target value for metric and a per-pod target"),
        _ => ("must set either a target raw value or a target utilization", "may not set both a target raw value and a target utilization"),
    };
    let (first, second, [wanted, refused]) = match kind {
        "Object" | "External" => (value, average, ["averageValue", "value"]),
        _ => (used, average, ["averageUtilization", "averageValue"]),
    };
    if !first && !second {
        checks.required(format_args!("{path}.{wanted}"), missing);
    }
    if first && second && !both.is_empty() {
        checks.add(Cause::forbidden(format_args!("{path}.{refused}"), both));
    }
}
