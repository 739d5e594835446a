use super::*;
use crate::object::Object;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const POD: &str = "io.k8s.api.core.v1.Pod";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}
fn strategic(object_json: Value, patch: Value, schema: &str) -> Value {
    Value::Object(apply_strategic(&object(object_json), patch.to_string().as_bytes(), schema).unwrap().0)
}
fn spec(value: Value) -> Value {
    json!({"spec": value})
}

#[test]
fn strategic_lists_merge_by_key() {
    let pod = spec(
        json!({"containers": [{"name": "a", "image": "1", "args": ["x"], "ports": [{"containerPort": 80}]}, {"name": "b", "image": "1"}], "tolerations": [{"key": "t"}]}),
    );
    let cases = [
        (
            json!({"containers": [{"name": "a", "image": "2"}]}),
            "/spec/containers/0",
            json!({"name": "a", "image": "2", "args": ["x"], "ports": [{"containerPort": 80}]}),
        ),
        (json!({"containers": [{"name": "a", "args": ["y"]}]}), "/spec/containers/0/args", json!(["y"])),
        (
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 81, "name": null}]}]}),
            "/spec/containers/0/ports",
            json!([{"containerPort": 81}, {"containerPort": 80}]),
        ),
        (json!({"containers": [{"name": "c"}]}), "/spec/containers/0", json!({"name": "c"})),
        (json!({"containers": [{"name": "c"}, {"name": "b"}]}), "/spec/containers/1/name", json!("a")),
        (json!({"containers": [{"name": "b"}, {"name": "a"}]}), "/spec/containers/0/name", json!("b")),
        (json!({"containers": [{"name": "a", "$patch": "delete"}]}), "/spec/containers", json!([{"name": "b", "image": "1"}])),
        (json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}), "/spec/containers", json!([{"name": "c"}])),
        (json!({"containers": [{"name": "b", "$patch": "replace", "image": "3"}]}), "/spec/containers", json!([])),
        (json!({"tolerations": [{"key": "u"}]}), "/spec/tolerations", json!([{"key": "u"}])),
        (json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}), "/spec/containers/0/name", json!("b")),
        (json!({"$patch": "replace", "nodeName": "n"}), "/spec", json!({"nodeName": "n"})),
        (json!({"$patch": "delete"}), "/spec", json!({})),
        (json!({"$retainKeys": ["tolerations"]}), "/spec", json!({"tolerations": [{"key": "t"}]})),
    ];
    for (patch, pointer, expected) in cases {
        let result = strategic(pod.clone(), spec(patch.clone()), POD);
        assert_eq!(result.pointer(pointer), Some(&expected), "{patch}");
    }
}

#[test]
fn strategic_sets_of_scalars() {
    let old = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c", "b"], "$setElementOrder/finalizers": ["c", "b"]}});
    assert_eq!(strategic(old.clone(), patch, POD), json!({"metadata": {"finalizers": ["c", "b"]}}));
    assert_eq!(strategic(old, json!({"metadata": {"finalizers": ["c", "b"]}}), POD), json!({"metadata": {"finalizers": ["c", "a", "b"]}}));
}

#[test]
fn strategic_order_keeps_what_others_added() {
    let old = spec(json!({"containers": [{"name": "a"}, {"name": "injected"}, {"name": "b"}]}));
    let patch = spec(json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "containers": [{"name": "c"}]}));
    let result = strategic(old, patch, POD);
    let names: Vec<&str> = result["spec"]["containers"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "injected", "b", "c"]);
}

#[test]
fn strategic_retain_keys_switches_a_union() {
    let old = spec(json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}));
    let patch = spec(json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}));
    assert_eq!(strategic(old, patch, DEPLOYMENT), spec(json!({"strategy": {"type": "Recreate"}})));
}

#[test]
fn strategic_refusals() {
    let pod = object(spec(json!({"containers": [{"name": "a"}]})));
    for (patch, code) in [
        ("[]", 400),
        ("{", 400),
        (r#"{"spec":{"$patch":"x"}}"#, 400),
        (r#"{"spec":{"containers":[{"image":"i"}]}}"#, 422),
        (r#"{"spec":{"containers":["i"]}}"#, 422),
        (r#"{"spec":{"$retainKeys":["a"],"b":1}}"#, 400),
        (r#"{"spec":{"$setElementOrder/containers":1}}"#, 400),
    ] {
        assert_eq!(apply_strategic(&pod, patch.as_bytes(), POD).unwrap_err().code(), code, "{patch}");
    }
    assert_eq!(apply_strategic(&pod, b"{}", "none").unwrap_err().code(), 500);
}

#[test]
fn json_patches_apply() {
    let old = object(json!({"a": {"b": 1, "n": null, "x/y~z": 5}, "l": [1, 2, 3]}));
    let cases = [
        (json!([{"op": "add", "path": "/l/-", "value": 4}]), "/l", json!([1, 2, 3, 4])),
        (json!([{"op": "add", "path": "/l/1", "value": 4}]), "/l", json!([1, 4, 2, 3])),
        (json!([{"op": "add", "path": "/l/-1", "value": 4}]), "/l", json!([1, 2, 3, 4])),
        (json!([{"op": "add", "path": "/l/3", "value": 4}]), "/l", json!([1, 2, 3, 4])),
        (json!([{"op": "remove", "path": "/l/-1"}]), "/l", json!([1, 2])),
        (json!([{"op": "remove", "path": "/a/x~1y~0z"}]), "/a", json!({"b": 1, "n": null})),
        (json!([{"op": "replace", "path": "/a/new", "value": 4}]), "/a/new", json!(4)),
        (json!([{"op": "replace", "path": "/l/0"}]), "/l/0", json!(null)),
        (json!([{"op": "replace", "path": "", "value": {"c": 1}}]), "", json!({"c": 1})),
        (json!([{"op": "test", "path": "/a/absent", "value": null}, {"op": "test", "path": "/a/n"}]), "/a/b", json!(1)),
        (json!([{"op": "test", "path": "", "value": {"a": {"b": 1, "n": null, "x/y~z": 5}, "l": [1, 2, 3]}}]), "/a/b", json!(1)),
        (json!([{"op": "move", "from": "/l/0", "path": "/a/moved"}]), "", json!({"a": {"b": 1, "n": null, "x/y~z": 5, "moved": 1}, "l": [2, 3]})),
        (json!([{"op": "copy", "from": "/a/b", "path": "/l/0"}]), "/l", json!([1, 1, 2, 3])),
        (json!([{"op": "copy", "from": "/a/absent", "path": "/c"}]), "/c", json!(null)),
    ];
    for (patch, at, want) in cases {
        let new = Value::Object(apply_json(&old, patch.to_string().as_bytes()).unwrap().0);
        assert_eq!(new.pointer(at), Some(&want), "{patch}");
    }
}

#[test]
fn json_patches_are_refused() {
    let old = object(json!({"a": {"b": 1}, "l": [1]}));
    let cases = [
        (json!([{"op": "test", "path": "/a/b", "value": 2}]), 422, "testing value /a/b failed"),
        (json!([{"op": "test", "path": "/a/b", "value": 1.0}]), 422, "testing value /a/b failed"),
        (json!([{"op": "remove", "path": "/x"}]), 422, "Unable to remove nonexistent key: x"),
        (json!([{"op": "remove", "path": "/l/1"}]), 422, "invalid index: 1"),
        (json!([{"op": "remove", "path": "/l/-2"}]), 422, "invalid index: -2"),
        (json!([{"op": "add", "path": "/l/x", "value": 2}]), 422, "not a proper array index: 'x'"),
        (json!([{"op": "add", "path": "/l/3", "value": 2}]), 422, "invalid index: 3"),
        (json!([{"op": "add", "path": "/x/y", "value": 2}]), 422, "add operation does not apply: doc is missing path: \"/x/y\""),
        (json!([{"op": "add", "path": "/a/b/c", "value": 2}]), 422, "add operation does not apply"),
        (json!([{"op": "add", "path": "", "value": {}}]), 422, "add operation does not apply"),
        (json!([{"op": "replace", "path": "/l/1", "value": 2}]), 422, "replace operation does not apply: doc is missing key: /l/1"),
        (json!([{"op": "replace", "path": "", "value": 1}]), 422, "must be object or array"),
        (json!([{"op": "move", "path": "/c"}]), 422, "move operation failed to decode from"),
        (json!([{"op": "move", "from": "/a/absent", "path": "/c"}]), 422, "error in move"),
        (json!([{"op": "remove", "path": 5}]), 422, "remove operation failed to decode path"),
        (json!([{"op": "fly", "path": "/x"}]), 422, "Unexpected kind: fly"),
        (json!([{"op": "replace", "path": "", "value": []}]), 400, ""),
        (json!({}), 400, ""),
        (json!([1]), 400, ""),
        (Value::Array(vec![json!({"op": "remove", "path": "/x"}); 10_001]), 413, ""),
    ];
    for (patch, code, why) in cases {
        let error = apply_json(&old, patch.to_string().as_bytes()).unwrap_err();
        let causes = error.details.as_ref().map(|d| d.causes.clone()).unwrap_or_default();
        assert_eq!(error.code(), code, "{patch}");
        assert!(why.is_empty() || causes[0].message.contains(why), "{patch}: {causes:?}");
        assert!(code != 422 || error.message == "the server rejected our request due to an error in our request");
    }
}

#[test]
fn json_patches_stay_small() {
    let old = object(json!({"d": {"a": "x".repeat(1000)}}));
    let why = |patch: Vec<Value>| apply_json(&old, Value::Array(patch).to_string().as_bytes()).unwrap_err().details.unwrap().causes[0].message.clone();
    let double = (0..40).map(|i| json!({"op": "copy", "from": "/d", "path": format!("/d/c{i}")})).collect();
    assert_eq!(why(double), "the copy operations of this patch exceed the size limit");
    let deep = (1..200).map(|n| json!({"op": "add", "path": format!("{}/d", "/d".repeat(n)), "value": {}})).collect();
    assert_eq!(why(deep), "the patch nests too deep");
}

/// JSON without nulls, which a merge patch can't express.
fn value(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..5i64).prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
    leaf.prop_recursive(depth, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from), prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|m| json!(m))]
    })
}
fn map(depth: u32) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-e]", value(depth), 0..5).prop_map(|m| m.into_iter().collect())
}

/// A pod's containers with distinct names.
fn pod() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-C]", "[a-b]", 0..3).prop_map(|m| m.into_iter().map(|(n, v)| json!({"name": n, "value": v})).collect::<Vec<_>>());
    prop::collection::btree_map("[a-e]", ("[a-c]", env), 1..4)
        .prop_map(|m| spec(json!({"containers": m.into_iter().map(|(n, (i, e))| json!({"name": n, "image": i, "env": e})).collect::<Vec<_>>()})))
}

proptest! {
    #[test]
    fn merge_of_a_diff_gives_the_other(a in map(3), b in map(3)) {
        let patch = Value::Object(diff(&a, &b)).to_string();
        prop_assert_eq!(apply_merge(&Object(a), patch.as_bytes()).unwrap(), Object(b));
    }

    #[test]
    fn merge_is_idempotent(a in map(3), patch in map(3)) {
        let patch = Value::Object(patch).to_string();
        let once = apply_merge(&Object(a), patch.as_bytes()).unwrap();
        prop_assert_eq!(apply_merge(&once, patch.as_bytes()).unwrap(), once);
    }

    #[test]
    fn strategic_is_idempotent(a in pod(), patch in pod()) {
        let once = strategic(a, patch.clone(), POD);
        prop_assert_eq!(strategic(once.clone(), patch, POD), once);
    }

    #[test]
    fn strategic_keeps_what_the_patch_does_not_name(a in pod(), patch in pod()) {
        let result = strategic(a.clone(), patch.clone(), POD);
        let named: Vec<&Value> = patch["spec"]["containers"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        for old in a["spec"]["containers"].as_array().unwrap().iter().filter(|c| !named.contains(&&c["name"])) {
            prop_assert!(result["spec"]["containers"].as_array().unwrap().contains(old));
        }
    }

    #[test]
    fn strategic_without_lists_is_merge(a in map(3), patch in map(3)) {
        let text = Value::Object(patch).to_string();
        let labels = |m: Map<String, Value>| object(json!({"metadata": {"annotations": m}}));
        let wrapped = format!(r#"{{"metadata":{{"annotations":{text}}}}}"#);
        prop_assert_eq!(apply_strategic(&labels(a.clone()), wrapped.as_bytes(), POD).unwrap(), apply_merge(&labels(a), wrapped.as_bytes()).unwrap());
    }

    #[test]
    fn nothing_panics(a in map(3), patch in value(4), text in ".*") {
        let a = Object(a);
        for bytes in [patch.to_string(), text] {
            let all = [apply_json(&a, bytes.as_bytes()), apply_merge(&a, bytes.as_bytes()), apply_strategic(&a, bytes.as_bytes(), POD)];
            prop_assert!(all.iter().all(|r| r.as_ref().map_or_else(|e| e.code() >= 400, |_| true)));
        }
    }
}
