use super::rule::{Definition, Rule};
use super::table::Table;
use super::*;
use crate::object::Object;
use crate::schema;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}
fn said(causes: &[crate::error::Cause]) -> String {
    causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect::<Vec<_>>().join(" | ")
}

/// A rule for a field that doesn't exist would silently do nothing.
#[test]
fn rules_name_real_fields() {
    fn below(place: &str, node: &schema::Node, rule: &Rule) {
        let node = node.resolve().1;
        for field in rule.one_of.iter().chain(&rule.at_most_one_of).chain(rule.fields.keys()) {
            assert!(node.properties.contains_key(field), "{place}.{field}");
        }
        rule.fields.iter().for_each(|(field, rule)| below(&format!("{place}.{field}"), &node.properties[field], rule));
        for key in &rule.unique_by {
            assert!(node.items.as_ref().unwrap().resolve().1.properties.contains_key(key), "{place}[].{key}");
        }
        if let Some(each) = &rule.each {
            below(&format!("{place}[]"), node.items.as_deref().or(node.values.as_deref()).unwrap_or_else(|| panic!("{place} has no items")), each);
        }
    }
    for (name, definition) in Table::get().all() {
        let node = schema::definition(name).unwrap_or_else(|| panic!("{name}"));
        for (field, rule) in definition {
            let place = if field.is_empty() { Some(node) } else { node.properties.get(field) };
            below(&format!("{name}.{field}"), place.unwrap_or_else(|| panic!("{name}.{field}")), rule);
            for other in &rule.requires {
                assert!(node.properties.contains_key(other), "{name}.{other}");
            }
        }
    }
}

/// What is written by hand is in the packed table: it was packed after the last change.
#[test]
fn the_table_is_packed_anew() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/rules.yaml")).unwrap();
    let by_hand: BTreeMap<Box<str>, Definition> = serde_saphyr::from_str(&text).unwrap();
    for (name, definition) in &by_hand {
        let full = if name.starts_with("io.") { name.to_string() } else { format!("io.k8s.api.{name}") };
        for (field, rule) in definition {
            let packed = Table::get().rule(&full, field).unwrap_or_else(|| panic!("{name}.{field} isn't packed: cargo run -p xtask -- rules"));
            assert_eq!(
                (&rule.default, rule.required.max(packed.required), rule.minimum.or(packed.minimum), rule.choices.is_empty() || rule.choices == packed.choices),
                (&packed.default, packed.required, packed.minimum, true),
                "{name}.{field} isn't packed: cargo run -p xtask -- rules"
            );
        }
    }
}

#[test]
fn what_kubernetes_declares() {
    let spec = |spec: Value| json!({ "spec": spec });
    let cases = [
        ("autoscaling.v2.HorizontalPodAutoscaler", spec(json!({"maxReplicas": 0, "scaleTargetRef": {"kind": "A"}})), {
            "spec.maxReplicas: Required value | spec.scaleTargetRef.name: Required value"
        }),
        ("node.v1.RuntimeClass", json!({"handler": ""}), "handler: Required value"),
        (
            "resource.v1.ResourceClaim",
            spec(json!({"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "d"}}, {"name": "a", "exactly": {"deviceClassName": "d"}}]}})),
            { "spec.devices.requests[1]: Duplicate value: \"a\"" },
        ),
        (
            "resource.v1.DeviceTaintRule",
            spec(json!({"taint": {"key": "a/b", "effect": "Never"}})),
            "spec.taint.effect: Unsupported value: \"Never\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
        ),
        ("core.v1.Pod", spec(json!({"containers": []})), ""),
    ];
    for (name, given, want) in cases {
        assert_eq!(said(&validate(&format!("io.k8s.api.{name}"), &object(given))), want, "{name}");
    }
}

#[test]
fn changes() {
    let class = |handler: &str| object(json!({ "handler": handler }));
    let name = "io.k8s.api.node.v1.RuntimeClass";
    assert_eq!(said(&validate_update(name, &class("a"), &class("a"))), "");
    assert_eq!(said(&validate_update(name, &class("b"), &class("a"))), "handler: Invalid value: \"b\": field is immutable");
    let claim = |allocation: Value| object(json!({"status": {"allocation": allocation}}));
    let name = "io.k8s.api.resource.v1.ResourceClaim";
    let (some, other) = (json!({"allocationTimestamp": "a"}), json!({"allocationTimestamp": "b"}));
    assert_eq!(said(&validate_status(name, &claim(some.clone()), &claim(Value::Null))), "");
    assert_eq!(
        said(&validate_status(name, &claim(other), &claim(some))),
        "status.allocation: Invalid value: {\"allocationTimestamp\":\"b\"}: field cannot be modified once set"
    );
}

#[test]
fn defaults() {
    let mut scaler = object(json!({"spec": {"maxReplicas": 3}}));
    default("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", &mut scaler);
    assert_eq!(scaler.int_at(&["spec", "minReplicas"]), Some(1));
    let mut bare = object(json!({}));
    default("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", &mut bare);
    assert_eq!(bare, object(json!({})));
}
