//! Namespaces: held by `spec.finalizers` until they are empty.
use super::fields::keep;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::json;

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
    fn prepare_delete(&self, namespace: &mut Object) {
        namespace.set(&["status", "phase"], "Terminating");
    }
    fn held(&self, namespace: &Object) -> bool {
        !namespace.list_at(&["spec", "finalizers"]).is_empty()
    }
}
