//! Between `autoscaling/v1` and the stored form.
use super::metrics::TYPES;
use crate::object::Object;
use serde_json::{Map, Value, json};

/// What the older form has no field for is in these annotations.
const ANNOTATIONS: [(&str, &[&str]); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", &["spec", "metrics"]),
    ("autoscaling.alpha.kubernetes.io/behavior", &["spec", "behavior"]),
    ("autoscaling.alpha.kubernetes.io/conditions", &["status", "conditions"]),
    ("autoscaling.alpha.kubernetes.io/current-metrics", &["status", "currentMetrics"]),
];
/// The stored form of an `autoscaling/v1` object.
pub(super) fn inward(old: &Object) -> Object {
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
pub(super) fn outward(stored: &Object) -> Object {
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
