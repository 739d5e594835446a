//! ReplicationControllers.
use super::fields::{Checks, keep, map, with_field};
use super::{pod, workload};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};

/// The rules of ReplicationControllers.
pub static STRATEGY: ReplicationController = ReplicationController;

/// The rules of ReplicationControllers.
pub struct ReplicationController;

impl Strategy for ReplicationController {
    fn orphans_dependents(&self) -> bool {
        true
    }
    fn default(&self, controller: &mut Object) {
        with_field(controller, "spec", |spec| spec.get_mut("template").into_iter().for_each(pod::default_template));
        // without a selector it selects its own pods, and without labels it has theirs
        let Some(labels) = controller.at(&["spec", "template", "metadata", "labels"]).cloned() else { return };
        if controller.at(&["spec", "selector"]).and_then(Value::as_object).is_none_or(Map::is_empty) {
            controller.set(&["spec", "selector"], labels.clone());
        }
        if controller.labels().is_none_or(Map::is_empty) {
            controller.set(&["metadata", "labels"], labels);
        }
    }
    fn prepare_create(&self, controller: &mut Object) {
        controller.set(&["status"], json!({"replicas": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, controller: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = controller.at(&["spec"]).unwrap_or(&Value::Null);
        let selector = map(spec, "selector").filter(|s| !s.is_empty());
        if selector.is_none() {
            checks.required("spec.selector", "");
        }
        let Some(template) = spec.get("template") else {
            checks.required("spec.template", "");
            return checks.0;
        };
        let labels = template.get("metadata").and_then(|m| map(m, "labels"));
        match selector {
            Some(selector) if !selector.iter().all(|(key, value)| labels.and_then(|l| l.get(key)) == Some(value)) => {
                let labels = labels.map_or(Value::Null, |l| Value::Object(l.clone()));
                checks.add(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"));
            }
            _ => {}
        }
        pod::validate_template(&mut checks, &"spec.template", template);
        workload::restarted(&mut checks, template.get("spec").unwrap_or(&Value::Null), "ReplicationController");
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::status(&mut checks, new, &["fullyLabeledReplicas"], &[], "readyReplicas");
        checks.0
    }
}
