//! Pods, and the pod templates of workloads.
mod annotations;
mod containers;
mod context;
mod create;
mod defaults;
mod env;
mod ephemeral;
mod mirror;
mod mounts;
mod network;
mod os;
mod placement;
mod probes;
mod qos;
mod resize;
mod resources;
mod security;
mod selectors;
mod spread;
mod status;
mod sysctls;
mod unsupported;
mod update;
mod validate;
mod volumes;

pub(super) use defaults::template as default_template;
pub use mirror::ANNOTATION as MIRROR;
pub(super) use placement::{node_selector, tolerations};
pub use qos::{Amounts, class as qos_class_of, qos_class};
pub(super) use resources::{COUNTED, container_name, is_native, may_overcommit, standard_name, validate as validate_resources};
pub(crate) use resources::{is_extended, is_huge};
pub(crate) use selectors::selector_causes;
pub(super) use selectors::selector_rules;
pub(super) use validate::template as validate_template;
pub(super) use volumes::{host_path, no_backsteps};

use super::fields::{Checks, keep, with_field};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::subresource::Subresource;
use serde_json::Value;

/// The rules of pods.
pub static STRATEGY: Pod = Pod;

/// The rules of pods.
pub struct Pod;

impl Strategy for Pod {
    fn default(&self, pod: &mut Object) {
        with_field(pod, "spec", defaults::pod);
    }
    fn prepare_create(&self, pod: &mut Object) {
        create::label_keys(pod);
        let status = create::status(pod, qos_class(pod));
        pod.set(&["status"], status);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        status::settle_addresses(new);
        // agents of older versions leave the class out
        if new.str_at(&["status", "qosClass"]).is_empty()
            && let Some(class) = old.at(&["status", "qosClass"]).cloned()
        {
            new.set(&["status", "qosClass"], class);
        }
    }
    fn validate(&self, pod: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        validate::pod(&mut checks, pod);
        checks.0
    }
    fn validate_create(&self, pod: &Object) -> Vec<Cause> {
        let given = !pod.list_at(&["spec", "ephemeralContainers"]).is_empty();
        given.then(|| Cause::forbidden("spec.ephemeralContainers", "cannot be set on create")).into_iter().collect()
    }
    fn narrow(&self, part: Subresource, new: Object, old: Object) -> Object {
        match part {
            Subresource::RESIZE => resize::narrow(new, old),
            _ => new,
        }
    }
    fn validate_part(&self, part: Subresource, new: &Object, old: &Object) -> Vec<Cause> {
        match part {
            Subresource::EPHEMERAL_CONTAINERS => ephemeral::validate_update(new, old),
            Subresource::RESIZE => resize::validate(new, old),
            _ => self.validate_update(new, old),
        }
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let nothing = Value::Null;
        let mut checks = Checks::default();
        mirror::validate_update(&mut checks, new, old);
        checks.0.extend(update::validate(new.at(&["spec"]).unwrap_or(&nothing), old.at(&["spec"]).unwrap_or(&nothing)));
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        status::validate(new, old)
    }
    fn grace_seconds(&self, pod: &Object, requested: Option<i64>) -> Option<i64> {
        let ended = matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed");
        if ended || pod.str_at(&["spec", "nodeName"]).is_empty() {
            return None;
        }
        match requested.or_else(|| pod.int_at(&["spec", "terminationGracePeriodSeconds"])).unwrap_or_default() {
            0 => None,
            negative @ i64::MIN..0 => Some(negative.signum().abs()),
            seconds => Some(seconds),
        }
    }
}

#[cfg(test)]
mod hostile_tables;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;
