//! Events have two forms: core `v1`, in which they are kept, and `events.k8s.io/v1`. Both name the same data differently.
use super::fields::{Checks, int, text};
use crate::error::Cause;
use crate::kind::{Conversion, SelectableField};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Map, Value, json};

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

/// Between the two forms of Events.
pub const CONVERSION: Conversion = Conversion::Functions { inward: to_core, outward: from_core };

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

/// The rules of events that a client writes in the core form.
pub static STRATEGY: Event = Event { strict: false };
/// The stricter rules of events that a client writes as `events.k8s.io/v1`; they too are asked of the core form.
pub static STRICT: Event = Event { strict: true };

/// The rules of events, in the core form.
pub struct Event {
    strict: bool,
}

/// Most bytes of an event's short texts, and of its message.
const SHORT: usize = 128;
const NOTE: usize = 1024;
/// What `events.k8s.io/v1` lets nobody change.
const FIXED: [&str; 13] = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
];

impl Strategy for Event {
    fn create_on_update(&self) -> bool {
        true
    }
    fn validate(&self, event: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if given(event, "eventTime").is_none() {
            old_form(&mut checks, event);
        } else {
            new_form(&mut checks, event, if self.strict { "reportingController" } else { "reportingComponent" });
        }
        if self.strict {
            series(&mut checks, event);
            strict(&mut checks, event);
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for field in FIXED.iter().filter(|_| self.strict) {
            // in `events.k8s.io/v1` this one has another name
            let path = if *field == "reportingComponent" { "reportingController" } else { *field };
            checks.immutable(path, given(new, field), given(old, field));
        }
        checks.0
    }
}

/// A field's value, unless it is one that means nothing.
fn given<'a>(event: &'a Object, field: &str) -> Option<&'a Value> {
    let empty = |v: &Value| v.is_null() || *v == 0 || v.as_str() == Some("") || v.as_object().is_some_and(Map::is_empty);
    event.at(&[field]).filter(|v| !empty(v))
}

fn home(checks: &mut Checks, event: &Object, right: bool) {
    if !right {
        let about = event.str_at(&["involvedObject", "namespace"]);
        checks.add(Cause::invalid("involvedObject.namespace", &about.into(), "does not match event.namespace"));
    }
}

/// An event about an object without a namespace lives in the namespace "default".
fn old_form(checks: &mut Checks, event: &Object) {
    let (about, namespace) = (event.str_at(&["involvedObject", "namespace"]), event.namespace());
    home(checks, event, if about.is_empty() { matches!(namespace, "" | "default") } else { namespace == about });
}

fn new_form(checks: &mut Checks, event: &Object, reporter: &str) {
    let about = event.str_at(&["involvedObject", "namespace"]);
    home(checks, event, !about.is_empty() || matches!(event.namespace(), "default" | "kube-system"));
    let name = event.str_at(&["reportingComponent"]);
    checks.filled(reporter, name);
    checks.all(reporter, name, names::qualified_name(name));
    for field in ["reportingInstance", "action", "reason"] {
        checks.filled(field, event.str_at(&[field]));
        length(checks, event, field, SHORT);
    }
    length(checks, event, "message", NOTE);
}

fn length(checks: &mut Checks, event: &Object, field: &str, max: usize) {
    if event.str_at(&[field]).len() > max {
        checks.add(Cause::invalid(field, &"".into(), format!("can have at most {max} characters")));
    }
}

fn series(checks: &mut Checks, event: &Object) {
    let Some(series) = event.at(&["series"]) else { return };
    if int(series, "count").unwrap_or_default() < 2 {
        checks.add(Cause::invalid("series.count", &"".into(), "should be at least 2"));
    }
    checks.filled("series.lastObservedTime", text(series, "lastObservedTime"));
}

fn strict(checks: &mut Checks, event: &Object) {
    if given(event, "eventTime").is_none() {
        checks.required("eventTime", "");
    }
    let kind = event.str_at(&["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        checks.add(Cause::invalid("type", &"".into(), format!("has invalid value: {kind}")));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"].into_iter().filter(|field| given(event, field).is_some()) {
        checks.add(Cause::invalid(field, &"".into(), "needs to be unset"));
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
    use crate::kinds::fixture::{check, check_change, merge};

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

    fn base() -> Value {
        json!({"metadata": {"name": "e", "namespace": "a"}, "involvedObject": {"namespace": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "c",
            "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal"})
    }
    fn with(change: Value) -> Value {
        let mut event = base();
        merge(&mut event, change);
        event
    }

    #[test]
    fn both_forms() {
        let old = |namespace: &str, about: &str| json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": about}});
        let elsewhere = |about: &str| format!("involvedObject.namespace: Invalid value: \"{about}\": does not match event.namespace");
        check(
            &STRATEGY,
            vec![
                (old("a", "a"), ""),
                (old("default", ""), ""),
                (old("a", ""), &elsewhere("")),
                (old("kube-system", ""), &elsewhere("")),
                (old("a", "b"), &elsewhere("b")),
                (with(json!({"count": 3, "type": "X"})), ""),
                (with(json!({"metadata": {"namespace": "kube-system"}, "involvedObject": null})), ""),
                (with(json!({"involvedObject": null})), &elsewhere("")),
                (with(json!({"reportingComponent": "a b"})), "reportingComponent: Invalid value: \"a b\": name part…"),
                (with(json!({"reportingInstance": ""})), "reportingInstance: Required value"),
                (with(json!({"reportingInstance": "x".repeat(129)})), "reportingInstance: Invalid value: \"\": can have at most 128 characters"),
                (with(json!({"action": ""})), "action: Required value"),
                (with(json!({"action": "x".repeat(129)})), "action: Invalid value: \"\": can have at most 128 characters"),
                (with(json!({"reason": ""})), "reason: Required value"),
                (with(json!({"reason": "x".repeat(129)})), "reason: Invalid value: \"\": can have at most 128 characters"),
                (with(json!({"message": "x".repeat(1024)})), ""),
                (with(json!({"message": "x".repeat(1025)})), "message: Invalid value: \"\": can have at most 1024 characters"),
            ],
        );
    }

    #[test]
    fn the_new_form() {
        let unset = |field: &str| format!("{field}: Invalid value: \"\": needs to be unset");
        let time = "2026-01-01T00:00:00Z";
        check(
            &STRICT,
            vec![
                (with(json!({"source": {}, "firstTimestamp": null, "count": 0})), ""),
                (with(json!({"series": {"count": 2, "lastObservedTime": time}})), ""),
                (with(json!({"reportingComponent": "a b"})), "reportingController: Invalid value: \"a b\": name part…"),
                (with(json!({"eventTime": null})), "eventTime: Required value"),
                (with(json!({"type": "X"})), "type: Invalid value: \"\": has invalid value: X"),
                (with(json!({ "firstTimestamp": time })), &unset("firstTimestamp")),
                (with(json!({ "lastTimestamp": time })), &unset("lastTimestamp")),
                (with(json!({"count": 1})), &unset("count")),
                (with(json!({"source": {"component": "c"}})), &unset("source")),
                (with(json!({"series": {"count": 1, "lastObservedTime": time}})), "series.count: Invalid value: \"\": should be at least 2"),
                (with(json!({"series": {"count": 2}})), "series.lastObservedTime: Required value"),
            ],
        );
    }

    #[test]
    fn what_stays() {
        for field in FIXED {
            let other = if matches!(field, "involvedObject" | "related" | "source") { json!({"name": "o"}) } else { json!("o") };
            let after = with(json!({ field: other }));
            let refused = |strategy: &Event| {
                let of = |v: &Value| Object::from_value(v.clone()).unwrap();
                strategy.validate_update(&of(&after), &of(&base())).len()
            };
            assert_eq!((refused(&STRICT), refused(&STRATEGY)), (1, 0), "{field}");
        }
        let renamed = with(json!({"reportingComponent": "d", "series": {"count": 9}}));
        check_change(
            &STRICT,
            vec![(base(), renamed, "reportingController: Invalid value: \"d\": field is immutable"), (base(), with(json!({"source": {}})), "")],
        );
    }
}
