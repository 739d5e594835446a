use super::*;
use crate::kind::{Kind, Kinds};
use crate::object::Object;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn labels(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn selects() {
    let l = labels(json!({"app": "web", "tier": "front", "n": "5"}));
    for (text, expected) in [
        ("", true),
        ("app", true),
        ("!app", false),
        ("app=web", true),
        ("app==web", true),
        ("app = web , tier != back", true),
        ("app!=web", false),
        ("x!=y", true),
        ("app in (web, db)", true),
        ("app notin (web)", false),
        ("x notin (a)", true),
        ("x in ()", false),
        ("n>4", true),
        ("n < 5", false),
        ("in in (a)", false),
        ("app=", false),
        ("!x,app", true),
        ("x in (,a)", false),
    ] {
        assert_eq!(LabelSelector::parse(text).unwrap().matches(Some(&l)), expected, "{text}");
    }
}

#[test]
fn refuses() {
    for (text, message) in [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or ','"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer"),
    ] {
        assert_eq!(LabelSelector::parse(text).unwrap_err().message, message, "{text}");
    }
    assert!(LabelSelector::parse("-a=b").is_err());
    assert!(LabelSelector::parse("a=-b").is_err());
}

#[test]
fn from_objects() {
    let l = labels(json!({"a": "1"}));
    let of = |v: Value| LabelSelector::from_json(&v).unwrap();
    assert!(!of(Value::Null).matches(Some(&l)) && of(json!({})).matches(None));
    assert!(of(json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]})).matches(Some(&l)));
    assert!(LabelSelector::from_json(&json!({"matchExpressions": [{"key": "b", "operator": "Is"}]})).is_err());
    assert!(LabelSelector::from_json(&json!({"matchExpressions": [{"key": "b", "operator": "In", "values": []}]})).is_err());
}

fn pods() -> Arc<Kind> {
    crate::kinds::builtin().resource("", "pods").cloned().unwrap()
}

#[test]
fn fields() {
    let kind = pods();
    let pod = Object::from_value(json!({"metadata": {"name": "p", "namespace": "d"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})).unwrap();
    for (text, expected) in [
        ("", true),
        ("metadata.name=p", true),
        ("spec.nodeName==n1,status.phase!=Running", false),
        ("spec.nodeName=", false),
        ("spec.hostNetwork=false", true),
        ("metadata.namespace!=x", true),
    ] {
        assert_eq!(FieldSelector::parse(text, &kind).unwrap().matches(&pod), expected, "{text}");
    }
    assert_eq!(FieldSelector::parse("spec.foo=1", &kind).unwrap_err().message, "field label not supported: spec.foo");
    assert_eq!(FieldSelector::parse("metadata.name", &kind).unwrap_err().message, "invalid selector: 'metadata.name'; can't understand 'metadata.name'");
    assert_eq!(FieldSelector::parse("metadata.name=a\\,b", &kind).unwrap().exact("metadata.name"), Some("a,b"));
    assert!(Kinds::default().resource("", "pods").is_none());
}

proptest! {
    #[test]
    fn never_panics(text in ".*") {
        let kind = pods();
        let shown = LabelSelector::parse(&text).map(|s| s.to_string());
        prop_assert!(shown.is_err() || LabelSelector::parse(&shown.unwrap()).is_ok());
        prop_assert!(FieldSelector::parse(&text, &kind).map_or_else(|e| e.code() == 400, |s| s == FieldSelector::parse(&s.to_string(), &kind).unwrap()));
    }

    #[test]
    fn printing_and_parsing_agree(key in "[a-z]{1,5}", values in prop::collection::btree_set("[a-z]{1,3}", 1..4), negated in any::<bool>(), label in "[a-z]{1,3}") {
        let operator = if negated { Operator::NotIn } else { Operator::In };
        let selector = LabelSelector::of(vec![Requirement::new(key.clone(), operator, values.clone()).unwrap()]);
        prop_assert_eq!(&LabelSelector::parse(&selector.to_string()).unwrap(), &selector);
        let set = labels(json!({key: label.clone()}));
        prop_assert_eq!(selector.matches(Some(&set)), values.contains(&label) != negated);
    }

    #[test]
    fn in_and_notin_are_opposites(values in prop::collection::btree_set("[a-c]{1,2}", 1..4), label in prop::option::of("[a-c]{1,2}")) {
        let set = label.map(|l| labels(json!({"k": l})));
        let of = |operator| Requirement::new("k", operator, values.clone()).unwrap().matches(set.as_ref());
        prop_assert_ne!(of(Operator::In), of(Operator::NotIn));
    }
}
