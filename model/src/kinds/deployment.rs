//! Deployments.
use super::fields::{Checks, fill, keep, map_mut, text, with_field};
use super::{amounts, pod, workload};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

const TYPES: [&str; 2] = ["Recreate", "RollingUpdate"];

/// The rules of Deployments.
pub static STRATEGY: Deployment = Deployment;

/// The rules of Deployments.
pub struct Deployment;

impl Strategy for Deployment {
    fn default(&self, deployment: &mut Object) {
        with_field(deployment, "spec", |spec| {
            fill(spec, "replicas", 1);
            fill(spec, "revisionHistoryLimit", 10);
            fill(spec, "progressDeadlineSeconds", 600);
            if let Some(strategy) = map_mut(spec, "strategy") {
                fill(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate"
                    && let Some(rolling) = map_mut(strategy, "rollingUpdate")
                {
                    fill(rolling, "maxUnavailable", "25%");
                    fill(rolling, "maxSurge", "25%");
                }
            }
            if let Some(template) = map_mut(spec, "template") {
                pod::default_template(template);
            }
        });
    }
    fn prepare_create(&self, deployment: &mut Object) {
        deployment.set(&["status"], Value::Object(serde_json::Map::new()));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        match old.at(&["metadata", "labels"]) {
            Some(labels) => new.set(&["metadata", "labels"], labels.clone()),
            None => _ = new.remove(&["metadata", "labels"]),
        }
    }
    fn validate(&self, deployment: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = deployment.at(&["spec"]).unwrap_or(&Value::Null);
        workload::validate(&mut checks, spec, workload::REPLICATED);
        strategy(&mut checks, spec.get("strategy").unwrap_or(&Value::Null));
        let number = |key| deployment.int_at(&["spec", key]);
        checks.not_negative("spec.revisionHistoryLimit", number("revisionHistoryLimit"));
        checks.not_negative("spec.progressDeadlineSeconds", number("progressDeadlineSeconds"));
        if let Some(deadline) = number("progressDeadlineSeconds").filter(|d| *d <= number("minReadySeconds").unwrap_or_default()) {
            checks.add(Cause::invalid("spec.progressDeadlineSeconds", &deadline.into(), "must be greater than minReadySeconds"));
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        workload::validate_update(new, old)
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::status(&mut checks, new, &["updatedReplicas"], &["unavailableReplicas"], "readyReplicas");
        workload::collisions(&mut checks, new, old);
        checks.0
    }
}

fn strategy(checks: &mut Checks, strategy: &Value) {
    let rolling = strategy.get("rollingUpdate");
    match (text(strategy, "type"), rolling) {
        ("Recreate", Some(_)) => checks.add(Cause::forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")),
        ("Recreate", None) => {}
        ("RollingUpdate", Some(rolling)) => rolling_update(checks, rolling),
        ("RollingUpdate", None) => checks.required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil"),
        (other, rolling) => checks.add(amounts::unsupported("spec.strategy", other, rolling, &TYPES)),
    }
}

fn rolling_update(checks: &mut Checks, rolling: &Value) {
    let amounts = ["maxUnavailable", "maxSurge"].map(|key| amounts::pods(checks, &format_args!("spec.strategy.rollingUpdate.{key}"), rolling.get(key)));
    if amounts == [Some(0), Some(0)] {
        let given = rolling.get("maxUnavailable").unwrap_or(&Value::Null);
        checks.add(Cause::invalid("spec.strategy.rollingUpdate.maxUnavailable", given, "may not be 0 when `maxSurge` is 0"));
    }
    if let Some(Value::String(percent)) = rolling.get("maxUnavailable")
        && amounts.first().copied().flatten().is_some_and(|n| n > 100)
    {
        checks.add(Cause::invalid("spec.strategy.rollingUpdate.maxUnavailable", &percent.as_str().into(), "must not be greater than 100%"));
    }
}
