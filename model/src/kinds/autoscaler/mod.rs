//! HorizontalPodAutoscalers, and their older form `autoscaling/v1`.
mod conversion;
mod metrics;

use super::fields::{Checks, fill, int, items, keep, list, map_mut, put, text, with_field};
use crate::error::Cause;
use crate::kind::Conversion;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

/// Most seconds that a window or a period has.
const WINDOW_MAX: i64 = 3_600;
const PERIOD_MAX: i64 = 1_800;
/// Between `autoscaling/v1` and the stored form.
pub const CONVERSION: Conversion = Conversion::Functions { inward: conversion::inward, outward: conversion::outward };

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
        if let Some(target) = spec.get("scaleTargetRef") {
            // the one scalable kind of the core group is older than groups
            metrics::api_version(&mut checks, &"spec.scaleTargetRef", target, text(target, "kind") == "ReplicationController");
        }
        metrics::validate(&mut checks, spec);
        for direction in ["scaleUp", "scaleDown"] {
            let rules = spec.get("behavior").and_then(|b| b.get(direction));
            rules.into_iter().for_each(|rules| scaling(&mut checks, &format_args!("spec.behavior.{direction}"), rules));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        for (path, condition) in items(status, &"status", "conditions") {
            checks.not_negative(format_args!("{path}.observedGeneration"), int(condition, "observedGeneration"));
        }
        for key in ["currentReplicas", "desiredReplicas"] {
            checks.not_negative(format_args!("status.{key}"), int(status, key));
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
        if rules.get("policies").is_none() {
            put(rules, "policies", policies);
        }
    }
}

fn scaling(checks: &mut Checks, path: &dyn Display, rules: &Value) {
    let mut outside = |path: &dyn Display, number: i64, why: &dyn Display| checks.add(Cause::invalid(path, &number.into(), why));
    let window = format_args!("{path}.stabilizationWindowSeconds");
    match int(rules, "stabilizationWindowSeconds") {
        Some(n) if n < 0 => outside(&window, n, &"must be greater than or equal to zero"),
        Some(n) if n > WINDOW_MAX => outside(&window, n, &format_args!("must be less than or equal to {WINDOW_MAX}")),
        _ => {}
    }
    checks.choice(format_args!("{path}.selectPolicy"), rules.get("selectPolicy"), &["Disabled", "Max", "Min"]);
    if list(rules, "policies").is_empty() {
        checks.required(format_args!("{path}.policies"), "must specify at least one Policy");
    }
    for (path, policy) in items(rules, path, "policies") {
        checks.choice(format_args!("{path}.type"), Some(&text(policy, "type").into()), &["Percent", "Pods"]);
        let [value, period] = ["value", "periodSeconds"].map(|key| int(policy, key).unwrap_or_default());
        for (key, n, most) in [("value", value, i64::MAX), ("periodSeconds", period, PERIOD_MAX)] {
            let path = format_args!("{path}.{key}");
            if n <= 0 {
                checks.add(Cause::invalid(path, &n.into(), "must be greater than zero"));
            } else if n > most {
                checks.add(Cause::invalid(path, &n.into(), format_args!("must be less than or equal to {most}")));
            }
        }
    }
    if let Some(tolerance) = rules.get("tolerance") {
        checks.amount(format_args!("{path}.tolerance"), tolerance);
    }
}
