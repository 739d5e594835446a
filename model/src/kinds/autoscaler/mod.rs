//! HorizontalPodAutoscalers, and their older form `autoscaling/v1`.
use super::fields::{Checks, fill, int, items, keep, list, map_mut, put, text, with_field};
use crate::error::Cause;
use crate::kind::Conversion;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::fmt::Display;

/// What the older form has no field for is in these annotations.
const ANNOTATIONS: [(&str, &[&str]); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", &["spec", "metrics"]),
    ("autoscaling.alpha.kubernetes.io/behavior", &["spec", "behavior"]),
    ("autoscaling.alpha.kubernetes.io/conditions", &["status", "conditions"]),
    ("autoscaling.alpha.kubernetes.io/current-metrics", &["status", "currentMetrics"]),
];
/// Most seconds that a window or a period has.
const WINDOW_MAX: i64 = 3_600;
const PERIOD_MAX: i64 = 1_800;
/// Each type of metric, and the field that holds it.
const TYPES: [(&str, &str); 5] =
    [("ContainerResource", "containerResource"), ("External", "external"), ("Object", "object"), ("Pods", "pods"), ("Resource", "resource")];

/// Between `autoscaling/v1` and the stored form.
pub const CONVERSION: Conversion = Conversion::Functions { inward, outward };

/// The rules of HorizontalPodAutoscalers.
pub static STRATEGY: Autoscaler = Autoscaler;

/// The rules of HorizontalPodAutoscalers.
pub struct Autoscaler;

impl Strategy for Autoscaler {
    fn default(&self, scaler: &mut Object) {
        with_field(scaler, "spec", |spec| {
            if list(spec, "metrics").is_empty() {
                put(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]));
            }
            if spec.get("behavior").is_some_and(Value::is_object) {
                default_behavior(spec);
            }
        });
    }
    fn prepare_create(&self, scaler: &mut Object) {
        scaler.set(&["status"], json!({"desiredReplicas": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, scaler: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = scaler.at(&["spec"]).unwrap_or(&Value::Null);
        let (least, most) = (int(spec, "minReplicas"), int(spec, "maxReplicas").unwrap_or_default());
        if least.is_some_and(|least| most < least) {
            checks.add(Cause::invalid("spec.maxReplicas", &most.into(), "must be greater than or equal to `minReplicas`"));
        }
        for (path, entry) in items(spec, &"spec", "metrics") {
            metric(&mut checks, &path, entry);
        }
        for direction in ["scaleUp", "scaleDown"] {
            let rules = spec.get("behavior").and_then(|b| b.get(direction));
            rules.into_iter().for_each(|rules| scaling(&mut checks, &format_args!("spec.behavior.{direction}"), rules));
        }
        checks.0
    }
}

fn default_behavior(spec: &mut Value) {
    let policy = |kind: &str, value: i64, seconds: i64| json!({"type": kind, "value": value, "periodSeconds": seconds});
    let up = [policy("Pods", 4, 15), policy("Percent", 100, 15)];
    let Some(behavior) = map_mut(spec, "behavior") else { return };
    for (direction, policies) in [("scaleUp", up.to_vec()), ("scaleDown", vec![policy("Percent", 100, 15)])] {
        let Some(rules) = map_mut(behavior, direction) else { continue };
        if direction == "scaleUp" {
            fill(rules, "stabilizationWindowSeconds", 0);
        }
        fill(rules, "selectPolicy", "Max");
        if list(rules, "policies").is_empty() {
            put(rules, "policies", policies);
        }
    }
}

fn metric(checks: &mut Checks, path: &dyn Display, metric: &Value) {
    let kind = text(metric, "type");
    let Some((_, own)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        let names = TYPES.map(|(name, _)| name);
        return if kind.is_empty() {
            checks.required(format_args!("{path}.type"), "must specify a metric source type")
        } else {
            checks.add(Cause::not_supported(format_args!("{path}.type"), &kind.into(), &names))
        };
    };
    for (_, field) in TYPES.iter().filter(|(_, field)| field != own && metric.get(*field).is_some()) {
        checks.add(Cause::forbidden(format_args!("{path}.{field}"), "must populate the given metric source only"));
    }
    let at = format!("{path}.{own}");
    let Some(source) = metric.get(*own) else { return checks.required(&at, &format!("must populate information for the given metric source ({kind})")) };
    let name = if matches!(kind, "Resource" | "ContainerResource") { text(source, "name") } else { source.get("metric").map_or("", |m| text(m, "name")) };
    if name.is_empty() {
        let field = if matches!(kind, "Resource" | "ContainerResource") { "name" } else { "metric.name" };
        checks.required(format_args!("{at}.{field}"), if field == "name" { "must specify a resource name" } else { "" });
    }
    if kind == "ContainerResource" && text(source, "container").is_empty() {
        checks.required(format_args!("{at}.container"), "must specify a container");
    }
    target(checks, &format_args!("{at}.target"), source.get("target").unwrap_or(&Value::Null), kind);
}

fn target(checks: &mut Checks, path: &dyn Display, target: &Value, kind: &str) {
    checks.one_of(format_args!("{path}.type"), text(target, "type"), &["AverageValue", "Utilization", "Value"]);
    for key in ["value", "averageValue"] {
        if let Some(value) = target.get(key).filter(|v| crate::quantity::Quantity::from_json(v).is_ok_and(|q| q.is_negative() || q.is_zero())) {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), value, "must be positive"));
        }
    }
    if let Some(n) = int(target, "averageUtilization").filter(|n| *n < 1) {
        checks.add(Cause::invalid(format_args!("{path}.averageUtilization"), &n.into(), "must be greater than 0"));
    }
    let has = |key: &str| target.get(key).is_some();
    match kind {
        "Resource" | "ContainerResource" if !has("averageUtilization") && !has("averageValue") => {
            checks.required(format_args!("{path}.averageUtilization"), "must set either a target raw value or a target utilization");
        }
        "Resource" | "ContainerResource" if has("averageUtilization") && has("averageValue") => {
            checks.add(Cause::forbidden(format_args!("{path}.averageValue"), "may not set both a target raw value and a target utilization"));
        }
        "Pods" if !has("averageValue") => checks.required(format_args!("{path}.averageValue"), "must specify a positive target averageValue"),
        "Object" | "External" if !has("value") && !has("averageValue") => {
            checks.required(format_args!("{path}.averageValue"), "must set either a target value for metric or a per-pod target");
        }
        "External" if has("value") && has("averageValue") => {
            checks.add(Cause::forbidden(format_args!("{path}.value"), "may not set both a target value for metric and a per-pod target"));
        }
        _ => {}
    }
}

fn scaling(checks: &mut Checks, path: &dyn Display, rules: &Value) {
    let mut within = |key: &str, number: Option<i64>, least: i64, most: i64, at: &dyn Display| {
        let Some(n) = number else { return };
        let why = match n {
            n if n < least && least == 0 => "must be greater than or equal to zero".to_owned(),
            n if n < least => "must be greater than zero".to_owned(),
            n if n > most => format!("must be less than or equal to {most}"),
            _ => return,
        };
        checks.add(Cause::invalid(format_args!("{at}.{key}"), &n.into(), why));
    };
    within("stabilizationWindowSeconds", int(rules, "stabilizationWindowSeconds"), 0, WINDOW_MAX, path);
    for (place, policy) in items(rules, path, "policies") {
        within("value", int(policy, "value"), 1, i64::MAX, &place);
        within("periodSeconds", int(policy, "periodSeconds"), 1, PERIOD_MAX, &place);
    }
    checks.choice(format_args!("{path}.selectPolicy"), rules.get("selectPolicy"), &["Disabled", "Max", "Min"]);
    if list(rules, "policies").is_empty() {
        checks.required(format_args!("{path}.policies"), "must specify at least one Policy");
    }
    for (place, policy) in items(rules, path, "policies") {
        checks.choice(format_args!("{place}.type"), policy.get("type"), &["Percent", "Pods"]);
    }
}

/// The stored form of an `autoscaling/v1` object.
fn inward(old: &Object) -> Object {
    let mut new = old.clone();
    new.set(&["apiVersion"], "autoscaling/v2");
    let cpu = |percent: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}});
    let mut metrics = Vec::new();
    for (annotation, path) in ANNOTATIONS {
        let Some(text) = new.at(&["metadata", "annotations", annotation]).and_then(Value::as_str).map(str::to_owned) else { continue };
        new.remove(&["metadata", "annotations", annotation]);
        match (serde_json::from_str::<Value>(&text), path) {
            (Ok(Value::Array(all)), ["spec", "metrics"]) => metrics = all.iter().map(metric_inward).collect(),
            (Ok(Value::Array(all)), ["status", "currentMetrics"]) => new.set(path, all.iter().map(metric_inward).collect::<Vec<_>>()),
            (Ok(value), path) => new.set(path, value),
            (Err(_), _) => {}
        }
    }
    if let Some(percent) = new.remove(&["spec", "targetCPUUtilizationPercentage"]) {
        metrics.insert(0, cpu(percent));
    }
    if !metrics.is_empty() {
        new.set(&["spec", "metrics"], metrics);
    }
    if let Some(percent) = new.remove(&["status", "currentCPUUtilizationPercentage"]) {
        let current = json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}]);
        new.set(&["status", "currentMetrics"], current);
    }
    new
}

/// The form of `autoscaling/v1` of a stored object.
fn outward(stored: &Object) -> Object {
    let mut old = stored.clone();
    old.set(&["apiVersion"], "autoscaling/v1");
    let is_cpu = |m: &Value| m["type"] == "Resource" && m["resource"]["name"] == "cpu" && m["resource"]["target"].get("averageUtilization").is_some();
    let metrics = stored.list_at(&["spec", "metrics"]);
    let first_cpu = metrics.iter().position(is_cpu);
    if let Some(percent) = first_cpu.and_then(|at| metrics.get(at)).map(|m| m["resource"]["target"]["averageUtilization"].clone()) {
        old.set(&["spec", "targetCPUUtilizationPercentage"], percent);
    }
    let current = stored.list_at(&["status", "currentMetrics"]);
    if let Some(percent) = current.iter().find(|m| m["resource"]["name"] == "cpu").map(|m| m["resource"]["current"]["averageUtilization"].clone()) {
        old.set(&["status", "currentCPUUtilizationPercentage"], percent);
    }
    for (annotation, path) in ANNOTATIONS {
        let Some(value) = old.remove(path) else { continue };
        let kept = match (value, path) {
            (Value::Array(all), ["spec", "metrics"]) => {
                let others: Vec<Value> = all.iter().enumerate().filter(|(at, _)| Some(*at) != first_cpu).map(|(_, m)| metric_outward(m)).collect();
                if others.is_empty() { continue } else { Value::from(others) }
            }
            (Value::Array(all), ["status", "currentMetrics"]) => all.iter().map(metric_outward).collect::<Vec<_>>().into(),
            (value, _) => value,
        };
        old.set(&["metadata", "annotations", annotation], kept.to_string());
    }
    old
}

/// Names of a metric's numbers: in a `target` or `current` of the newer form, and beside the metric in the older one.
const NUMBERS: [(&str, &str, &str); 3] = [
    ("averageUtilization", "targetAverageUtilization", "currentAverageUtilization"),
    ("averageValue", "targetAverageValue", "currentAverageValue"),
    ("value", "targetValue", "currentValue"),
];

fn metric_outward(metric: &Value) -> Value {
    let mut out = json!({"type": metric["type"]});
    for (_, field) in TYPES.iter().filter(|(_, field)| metric.get(*field).is_some()) {
        let source = &metric[*field];
        let mut flat = Map::new();
        for key in ["name", "container"] {
            source.get(key).into_iter().for_each(|v| _ = flat.insert(key.to_owned(), v.clone()));
        }
        source.get("describedObject").into_iter().for_each(|v| _ = flat.insert("target".to_owned(), v.clone()));
        let selector = if *field == "external" { "metricSelector" } else { "selector" };
        source["metric"].get("name").into_iter().for_each(|v| _ = flat.insert("metricName".to_owned(), v.clone()));
        source["metric"].get("selector").into_iter().for_each(|v| _ = flat.insert(selector.to_owned(), v.clone()));
        for (name, target, current) in NUMBERS {
            source["target"].get(name).into_iter().for_each(|v| _ = flat.insert(target.to_owned(), v.clone()));
            source["current"].get(name).into_iter().for_each(|v| _ = flat.insert(current.to_owned(), v.clone()));
        }
        out[*field] = flat.into();
    }
    out
}

fn metric_inward(metric: &Value) -> Value {
    let mut out = json!({"type": metric["type"]});
    for (_, field) in TYPES.iter().filter(|(_, field)| metric.get(*field).is_some()) {
        let flat = &metric[*field];
        let mut source = json!({});
        for key in ["name", "container"] {
            flat.get(key).into_iter().for_each(|v| source[key] = v.clone());
        }
        flat.get("target").into_iter().for_each(|v| source["describedObject"] = v.clone());
        flat.get("metricName").into_iter().for_each(|v| source["metric"]["name"] = v.clone());
        flat.get("metricSelector").or_else(|| flat.get("selector")).into_iter().for_each(|v| source["metric"]["selector"] = v.clone());
        for (name, target, current) in NUMBERS {
            if let Some(v) = flat.get(target) {
                source["target"][name] = v.clone();
                source["target"]["type"] = match name {
                    "averageUtilization" => "Utilization",
                    "averageValue" => "AverageValue",
                    _ => "Value",
                }
                .into();
            }
            flat.get(current).into_iter().for_each(|v| source["current"][name] = v.clone());
        }
        out[*field] = source;
    }
    out
}
