//! Events have two forms: core `v1`, in which they are kept, and `events.k8s.io/v1`. Both name the same data differently.
use super::fields::Checks;
use crate::error::Cause;
use crate::kind::SelectableField;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

/// What field selectors may name in the core form.
pub const CORE_FIELDS: &[SelectableField] = &[
    ("involvedObject.kind", &["involvedObject", "kind"]),
    ("involvedObject.namespace", &["involvedObject", "namespace"]),
    ("involvedObject.name", &["involvedObject", "name"]),
    ("involvedObject.uid", &["involvedObject", "uid"]),
    ("involvedObject.apiVersion", &["involvedObject", "apiVersion"]),
    ("involvedObject.resourceVersion", &["involvedObject", "resourceVersion"]),
    ("involvedObject.fieldPath", &["involvedObject", "fieldPath"]),
    ("reason", &["reason"]),
    ("reportingComponent", &["reportingComponent"]),
    ("source", &["source", "component"]),
    ("type", &["type"]),
];

/// What field selectors may name in the form of `events.k8s.io`.
pub const FIELDS: &[SelectableField] = &[
    ("regarding.kind", &["regarding", "kind"]),
    ("regarding.namespace", &["regarding", "namespace"]),
    ("regarding.name", &["regarding", "name"]),
    ("regarding.uid", &["regarding", "uid"]),
    ("regarding.apiVersion", &["regarding", "apiVersion"]),
    ("regarding.resourceVersion", &["regarding", "resourceVersion"]),
    ("regarding.fieldPath", &["regarding", "fieldPath"]),
    ("reason", &["reason"]),
    ("reportingController", &["reportingController"]),
    ("type", &["type"]),
];

/// Core name and name in `events.k8s.io`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// From the core form to `events.k8s.io/v1`.
pub fn from_core(event: &Object) -> Object {
    renamed(event, "events.k8s.io/v1", |name| RENAMED.iter().find(|(core, _)| *core == name).map(|(_, new)| *new))
}

/// From `events.k8s.io/v1` to the core form.
pub fn to_core(event: &Object) -> Object {
    let mut core = renamed(event, "v1", |name| RENAMED.iter().find(|(_, new)| *new == name).map(|(core, _)| *core));
    for (key, empty) in [("source", json!({})), ("involvedObject", json!({})), ("firstTimestamp", Value::Null), ("lastTimestamp", Value::Null)] {
        core.0.entry(key).or_insert(empty);
    }
    core
}

/// The rules of events, in the core form.
pub static STRATEGY: Event = Event;

/// The rules of events, in the core form.
pub struct Event;

impl Strategy for Event {
    fn create_on_update(&self) -> bool {
        true
    }
    fn validate(&self, event: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let about = event.str_at(&["involvedObject", "namespace"]);
        // an event about a cluster-scoped object lives in the namespace "default"
        let home = if about.is_empty() { "default" } else { about };
        if event.at(&["involvedObject"]).is_some() && event.namespace() != home && !(about.is_empty() && event.namespace() == "kube-system") {
            checks.add(Cause::invalid("involvedObject.namespace", &about.into(), "does not match event.namespace"));
        }
        checks.0
    }
}

fn renamed(event: &Object, api_version: &str, name: impl Fn(&str) -> Option<&'static str>) -> Object {
    let mut out = Object(event.0.iter().map(|(key, value)| (name(key).map_or_else(|| key.clone(), str::to_owned), value.clone())).collect());
    out.set(&["apiVersion"], api_version);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let core = Object::from_value(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "m", "reason": "r", "type": "Normal",
            "source": {"component": "c"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 2, "reportingComponent": "c",
        }))
        .unwrap();
        let new = from_core(&core);
        assert_eq!((new.api_version(), new.str_at(&["note"]), new.str_at(&["regarding", "kind"])), ("events.k8s.io/v1", "m", "Pod"));
        assert_eq!(to_core(&new), core);
    }
}
