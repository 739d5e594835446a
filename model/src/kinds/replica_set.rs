//! ReplicaSets.
use super::fields::{Checks, fill, keep, map_mut, with_field};
use super::{pod, workload};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

/// The rules of ReplicaSets.
pub static STRATEGY: ReplicaSet = ReplicaSet;

/// The rules of ReplicaSets.
pub struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn default(&self, set: &mut Object) {
        with_field(set, "spec", |spec| {
            fill(spec, "replicas", 1);
            if let Some(template) = map_mut(spec, "template") {
                pod::default_template(template);
            }
        });
    }
    fn prepare_create(&self, set: &mut Object) {
        set.set(&["status"], json!({"replicas": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, set: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::validate(&mut checks, set.at(&["spec"]).unwrap_or(&Value::Null), workload::REPLICATED);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        workload::validate_update(new, old)
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::status(&mut checks, new, &["fullyLabeledReplicas"], &[], "readyReplicas");
        checks.0
    }
}
