//! Nodes.
use super::fields::{Checks, items, keep, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

/// The rules of Nodes.
pub static STRATEGY: Node = Node;

/// The rules of Nodes.
pub struct Node;

impl Strategy for Node {
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn default(&self, node: &mut Object) {
        if let (Some(capacity), None) = (node.at(&["status", "capacity"]).cloned(), node.at(&["status", "allocatable"])) {
            node.set(&["status", "allocatable"], capacity);
        }
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, node: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut seen = Vec::new();
        for (path, taint) in items(node.at(&["spec"]).unwrap_or(&Value::Null), &"spec", "taints") {
            checks.name(format_args!("{path}.key"), text(taint, "key"), names::qualified_name);
            let value = text(taint, "value");
            checks.all(format_args!("{path}.value"), value, names::label_value(value));
            checks.one_of(format_args!("{path}.effect"), text(taint, "effect"), &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
            let id = (text(taint, "key"), text(taint, "effect"));
            if seen.contains(&id) {
                checks.add(Cause::duplicate(path, taint));
            }
            seen.push(id);
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let before = old.list_at(&["spec", "podCIDRs"]);
        if !before.is_empty() && new.list_at(&["spec", "podCIDRs"]) != before {
            checks.add(Cause::forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
        }
        let provider = old.str_at(&["spec", "providerID"]);
        if !provider.is_empty() && new.str_at(&["spec", "providerID"]) != provider {
            checks.add(Cause::forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid"));
        }
        checks.0
    }
}
