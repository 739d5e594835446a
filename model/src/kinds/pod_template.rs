//! PodTemplates: stored pod templates. No controller acts on them.
use super::fields::{Checks, with_field};
use super::pod;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

/// The rules of PodTemplates.
pub static STRATEGY: PodTemplate = PodTemplate;

/// The rules of PodTemplates.
pub struct PodTemplate;

impl Strategy for PodTemplate {
    fn default(&self, template: &mut Object) {
        with_field(template, "template", pod::default_template);
    }
    fn validate(&self, template: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        pod::validate_template(&mut checks, &"template", template.at(&["template"]).unwrap_or(&Value::Null));
        checks.0
    }
}
