//! Namespaces: held by `spec.finalizers` until they are empty.
use super::fields::{Checks, keep};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::{meta, names};
use serde_json::{Value, json};

/// The label that repeats the name, so that selectors can name a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The rules of Namespaces.
pub static STRATEGY: Namespace = Namespace;

/// The rules of Namespaces.
pub struct Namespace;

impl Strategy for Namespace {
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::dns_label(name)
    }
    fn default(&self, namespace: &mut Object) {
        let name = namespace.name().to_owned();
        if !name.is_empty() {
            namespace.set(&["metadata", "labels", NAME_LABEL], name);
        }
    }
    fn prepare_create(&self, namespace: &mut Object) {
        let mut finalizers = namespace.list_at(&["spec", "finalizers"]).to_vec();
        if !finalizers.contains(&"kubernetes".into()) {
            finalizers.push("kubernetes".into());
        }
        namespace.set(&["spec", "finalizers"], finalizers);
        namespace.set(&["status"], json!({"phase": "Active"}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "spec");
        keep(new, old, "status");
    }
    fn validate(&self, namespace: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for finalizer in namespace.list_at(&["spec", "finalizers"]).iter().filter_map(Value::as_str) {
            checks.all("spec.finalizers", finalizer, names::qualified_name(finalizer));
            checks.extend(meta::unqualified_finalizer("spec.finalizers", finalizer));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let (phase, why) = match new.deletion_timestamp() {
            None => ("Active", "may only be 'Active' if `deletionTimestamp` is empty"),
            Some(_) => ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty"),
        };
        let given = new.str_at(&["status", "phase"]);
        if given == phase { Vec::new() } else { vec![Cause::invalid("status.Phase", &given.into(), why)] }
    }
    fn prepare_delete(&self, namespace: &mut Object) {
        namespace.set(&["status", "phase"], "Terminating");
    }
    fn held(&self, namespace: &Object) -> bool {
        !namespace.list_at(&["spec", "finalizers"]).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{check, check_status};

    #[test]
    fn finalizers() {
        let of = |name: &str| json!({"spec": {"finalizers": ["kubernetes", name]}});
        check(
            &STRATEGY,
            vec![
                (of("a.b/c"), ""),
                (of("mine"), "spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"),
                (of("a/-"), "spec.finalizers: Invalid value: \"a/-\": name part…"),
            ],
        );
    }

    #[test]
    fn phases() {
        let living = |phase: &str| json!({"status": {"phase": phase}});
        let ending = |phase: &str| json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": phase}});
        let rows = vec![
            (living("Active"), ""),
            (ending("Terminating"), ""),
            (living("Terminating"), "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"),
            (living(""), "status.Phase: Invalid value: \"\": may only be 'Active' if `deletionTimestamp` is empty"),
            (ending("Active"), "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"),
        ];
        check_status(&STRATEGY, rows.into_iter().map(|(new, expected)| (living("Active"), new, expected)).collect());
    }
}
