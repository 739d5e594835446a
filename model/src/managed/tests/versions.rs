//! Managers of several versions.
use super::*;

/// Two versions of which the other has `amount` where the first has `replicas`, and no others.
#[derive(Debug)]
struct Renamed;
impl Forms for Renamed {
    fn form(&self, object: &Object, api_version: &str) -> Form<'_> {
        let mut out = object.clone();
        let names = match (object.api_version(), api_version) {
            ("x/v1", "x/v2") => ("replicas", "amount"),
            ("x/v2", "x/v1") => ("amount", "replicas"),
            (_, "x/v1" | "x/v2") => return Form::Is(out, free()),
            _ => return Form::Gone,
        };
        if let Some(value) = out.remove(&["spec", names.0]) {
            out.set(&["spec", names.1], value);
        }
        out.set(&["apiVersion"], api_version);
        Form::Is(out, free())
    }
}
fn free() -> &'static Node {
    static FREE: std::sync::OnceLock<Node> = std::sync::OnceLock::new();
    FREE.get_or_init(Node::default)
}
fn of_version<'a>(manager: &'a str, api_version: &'a str) -> Writer<'a> {
    Writer { api_version, forms: &Renamed, ..writer(manager) }
}
fn versioned(api_version: &str, spec: Value) -> Object {
    object(json!({"apiVersion": api_version, "kind": "X", "metadata": {"name": "x"}, "spec": spec}))
}

#[test]
fn each_manager_has_its_version() {
    let made = applied(None, &versioned("x/v1", json!({"replicas": 1, "a": "b"})), free(), &of_version("one", "x/v1"), false).unwrap();
    let Form::Is(shown, _) = Renamed.form(&made, "x/v2") else { panic!() };
    // who writes another version conflicts with what the owner calls otherwise
    let other = versioned("x/v2", json!({"amount": 2}));
    let error = applied(Some(&shown), &other, free(), &of_version("two", "x/v2"), false).unwrap_err().to_api();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas");
    let taken = applied(Some(&shown), &other, free(), &of_version("two", "x/v2"), true).unwrap();
    assert_eq!(owners(&taken), ["one*: .spec .spec.a", "two*: .spec .spec.amount"]);
    assert_eq!(Entries::of(&taken).0.iter().map(|e| e.api_version.as_str()).collect::<Vec<_>>(), ["x/v1", "x/v2"]);
    // who applies another version than before gives up what it no longer has, under the name of before
    let moved = applied(Some(&shown), &versioned("x/v2", json!({"c": "d"})), free(), &of_version("one", "x/v2"), false).unwrap();
    assert_eq!((moved.at(&["spec"]), owners(&moved)), (Some(&json!({"c": "d"})), vec!["one*: .spec .spec.c".to_owned()]));
    assert_eq!(moved.api_version(), "x/v2");
    // what is owned in another version stays
    let shared = applied(Some(&shown), &versioned("x/v2", json!({"amount": 1})), free(), &of_version("two", "x/v2"), false).unwrap();
    let Form::Is(back, _) = Renamed.form(&shared, "x/v1") else { panic!() };
    let less = applied(Some(&back), &versioned("x/v1", json!({"a": "b"})), free(), &of_version("one", "x/v1"), false).unwrap();
    assert_eq!(less.at(&["spec"]), Some(&json!({"a": "b", "replicas": 1})));
    // managers of versions that are gone own nothing
    let mut old = made.clone();
    old.0["metadata"]["managedFields"][0]["apiVersion"] = "x/v0".into();
    old.0["metadata"]["managedFields"].as_array_mut().unwrap().push(made.0["metadata"]["managedFields"][0].clone());
    old.0["metadata"]["managedFields"][1]["manager"] = "here".into();
    let mut new = old.clone();
    new.set(&["spec", "replicas"], 3);
    let owners_before = before(&mut new, Some(&old), false);
    updated(&mut new, Some(&old), owners_before, free(), &of_version("hand", "x/v1"));
    assert_eq!(owners(&new), ["here*: .spec .spec.a", "hand: .spec.replicas"]);
}

#[test]
fn versions_of_the_table() {
    let kinds = crate::kinds::builtin();
    let stored = kinds.resource("autoscaling", "horizontalpodautoscalers").unwrap();
    let rows = Rows(kinds.forms(stored).into_iter().cloned().collect());
    let v1 = kinds.served("autoscaling", "v1", "horizontalpodautoscalers").unwrap();
    let of = |manager| Writer { api_version: "autoscaling/v1", forms: &rows, ..writer(manager) };
    let autoscaler = |percentage: i64| {
        let spec = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": percentage});
        object(json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec}))
    };
    let node = v1.schema.node().unwrap();
    let made = applied(None, &autoscaler(50), node, &of("one"), false).unwrap();
    let second = Writer { api_version: "autoscaling/v2", ..of("two") };
    let Form::Is(shown, other) = rows.form(&made, "autoscaling/v2") else { panic!() };
    let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]);
    let wanted = object(json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"metrics": metrics}}));
    let error = applied(Some(&shown), &wanted, other, &second, false).unwrap_err().to_api();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.targetCPUUtilizationPercentage");
    let taken = applied(Some(&shown), &wanted, other, &second, true).unwrap();
    assert_eq!(owners(&taken), ["one*: .spec.maxReplicas .spec.scaleTargetRef", "two*: .spec.metrics"]);
}
