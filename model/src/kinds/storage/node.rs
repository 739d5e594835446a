//! CSINodes: which drivers of volumes a node has.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, keep, list, shown, text};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Display;

/// Most bytes of a node's name as its driver calls it.
const ID_BYTES: usize = 256;

/// The rules of CSINodes.
pub(in crate::kinds) static NODE: CsiNode = CsiNode;

/// The rules of CSINodes.
pub(in crate::kinds) struct CsiNode;

fn drivers(node: &Object) -> &[Value] {
    node.list_at(&["spec", "drivers"])
}

impl Strategy for CsiNode {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn prepare_create(&self, node: &mut Object) {
        node.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    /// The health of storage is a feature that isn't on.
    fn prepare_status(&self, new: &mut Object, old: &Object) {
        if old.list_at(&["status", "storageHealth"]).is_empty() {
            new.remove(&["status", "storageHealth"]);
        }
    }
    fn validate(&self, node: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut seen = HashSet::new();
        for (path, driver) in items(node.at(&["spec"]).unwrap_or(&Value::Null), &"spec", "drivers") {
            let (name, id) = (text(driver, "name"), text(driver, "nodeID"));
            if id.len() > ID_BYTES {
                checks.add(Cause::invalid(format_args!("{path}.nodeID"), &id.into(), format_args!("must be {ID_BYTES} characters or less")));
            }
            if !seen.insert(name) {
                checks.add(Cause::duplicate(format_args!("{path}.name"), &name.into()));
            }
            topology(&mut checks, &path, driver);
        }
        checks.0
    }
    /// A driver stays as it was registered, but for how many volumes it can take.
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for before in drivers(old) {
            for after in drivers(new).iter().filter(|after| text(after, "name") == text(before, "name")) {
                let same = text(after, "nodeID") == text(before, "nodeID") && list(after, "topologyKeys") == list(before, "topologyKeys");
                if !same {
                    checks.add(changed(after));
                }
            }
        }
        checks.0
    }
}

/// Kubernetes names these keys without their indices.
fn topology(checks: &mut Checks, path: &dyn Display, driver: &Value) {
    let mut seen = HashSet::new();
    for key in list(driver, "topologyKeys").iter().filter_map(Value::as_str) {
        checks.filled(path, key);
        if !seen.insert(key) {
            checks.add(Cause::duplicate(path, &key.into()));
        }
        checks.all(path, key, names::qualified_name(key));
    }
}

/// That a driver was changed.
fn changed(driver: &Value) -> Cause {
    let keys = driver.get("topologyKeys").cloned().unwrap_or_default();
    let value =
        shown(&[("Name", text(driver, "name").into()), ("NodeID", text(driver, "nodeID").into()), ("TopologyKeys", keys), ("Allocatable", Value::Null)]);
    Cause { message: format!("Invalid value: {value}: field is immutable"), ..Cause::invalid("spec.drivers", &Value::Null, "") }
}
