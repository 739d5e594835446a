use super::*;
use crate::object::Object;
use crate::schema::{Node, definition};
use proptest::prelude::*;
use serde_json::{Value, json};

fn node() -> &'static Node {
    definition("io.k8s.api.apps.v1.Deployment").unwrap()
}
fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, api_version: "apps/v1", subresource: "", time: "2026-01-01T00:00:00Z", covers: |field| field != "status", forms: &NoForms }
}
fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}
/// Who owns what: `manager(Apply): path path`.
fn owners(object: &Object) -> Vec<String> {
    let of = |e: &Entry| format!("{}{}: {}", e.manager, if e.applied { "*" } else { "" }, e.fields.paths().join(" "));
    Entries::of(object).0.iter().map(of).collect()
}
fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}
fn deployment(spec: Value) -> Object {
    object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": spec}))
}
fn with(containers: &[Value]) -> Object {
    deployment(json!({"template": {"spec": {"containers": containers}}}))
}
fn apply(live: Option<&Object>, configuration: &Object, manager: &str) -> Object {
    applied(live, configuration, node(), &writer(manager), false).unwrap()
}
fn update(live: &Object, change: impl FnOnce(&mut Object), manager: &str) -> Object {
    let mut new = live.clone();
    change(&mut new);
    let present = before(&mut new, Some(live), false);
    updated(&mut new, Some(live), present, node(), &writer(manager));
    new
}
fn field_set(value: Value) -> FieldSet {
    FieldSet::parse(&value).unwrap()
}

#[test]
fn sets() {
    let a = field_set(json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}));
    let b = field_set(json!({"f:a": {"f:b": {}}, "f:d": {}, "f:e": {}}));
    assert_eq!(a.paths(), [".a", ".d", ".a.b", ".a.c"]);
    assert_eq!(a.clone().difference(&b), field_set(json!({"f:a": {".": {}, "f:c": {}}})));
    assert_eq!(b.clone().difference(&a), field_set(json!({"f:e": {}})));
    assert_eq!(a.clone().intersection(&b), field_set(json!({"f:a": {"f:b": {}}, "f:d": {}})));
    assert_eq!(a.clone().union(&b).paths(), [".a", ".d", ".e", ".a.b", ".a.c"]);
    let item = field_set(json!({"f:l": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}, "v:\"x\"": {}, "i:0": {}}}));
    assert_eq!(item.paths(), [".l[name=\"c\"]", ".l[=\"x\"]", ".l[0]", ".l[name=\"c\"].name"]);
    for bad in [json!({"x": {}}), json!({"f:a": 1}), json!([])] {
        assert_eq!(FieldSet::parse(&bad), None);
    }
    // a member without anything below, and one of which only a part is known
    assert_eq!(field_set(json!({"f:a": {}})).union(&field_set(json!({"f:a": {"f:b": {}}}))).paths(), [".a", ".a.b"]);
    assert_eq!(field_set(json!({"f:a": {".": {}, "f:b": {}}})).difference(&field_set(json!({"f:a": {}}))).paths(), [".a.b"]);
    assert_eq!(field_set(json!({"f:a": {".": {}, "f:b": {}}})).difference(&field_set(json!({"f:a": {"f:b": {}}}))).paths(), [".a"]);
}

#[test]
fn what_is_applied_is_owned() {
    let made = apply(
        None,
        &deployment(json!({"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}], "args": ["x"]}], "nodeSelector": {}}}})),
        "one",
    );
    let spec = [
        ".spec.replicas",
        ".spec.selector",
        ".spec.template.metadata.labels.a",
        ".spec.template.spec.containers[name=\"c\"]",
        ".spec.template.spec.containers[name=\"c\"].args",
        ".spec.template.spec.containers[name=\"c\"].name",
        ".spec.template.spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"]",
        ".spec.template.spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
    ];
    let mut paths = Entries::of(&made).0[0].fields.paths();
    paths.retain(|p| !p.contains("nodeSelector"));
    assert_eq!(paths, spec);
    let again = apply(Some(&made), &deployment(json!({"replicas": 1})), "one");
    assert_eq!(owners(&again), ["one*: .spec.replicas"]);
    assert_eq!(again.at(&["spec"]), Some(&json!({"replicas": 1})));
}

#[test]
fn conflicts_are_named() {
    let live = apply(None, &with(&[container("c", "a")]), "one");
    let error = applied(Some(&live), &with(&[container("c", "b")]), node(), &writer("two"), false).unwrap_err().to_api();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.template.spec.containers[name=\"c\"].image");
    assert_eq!((error.code(), error.details.unwrap().causes[0].message.as_str()), (409, "conflict with \"one\""));
    let taken = applied(Some(&live), &with(&[container("c", "b")]), node(), &writer("two"), true).unwrap();
    let item = ".spec.template.spec.containers[name=\"c\"]";
    assert_eq!(owners(&taken), [format!("one*: {item} {item}.name"), format!("two*: {item} {item}.image {item}.name")]);
    // the same value is shared
    let shared = apply(Some(&live), &with(&[container("c", "a")]), "two");
    assert_eq!(owners(&shared).len(), 2);
    let left = apply(Some(&shared), &with(&[]), "one");
    assert_eq!(left.at(&["spec", "template", "spec", "containers"]), Some(&json!([container("c", "a")])));
    let updater = update(&live, |o| o.set(&["spec", "replicas"], 3), "hand");
    let error = applied(Some(&updater), &deployment(json!({"replicas": 4})), node(), &writer("one"), false).unwrap_err().to_api();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"hand\" using apps/v1: .spec.replicas");
}

#[test]
fn what_is_left_out_goes() {
    let both = with(&[container("a", "x"), json!({"name": "b", "image": "y", "env": [{"name": "E", "value": "1"}]})]);
    let live = apply(None, &both, "one");
    let less = apply(Some(&live), &with(&[container("a", "x")]), "one");
    assert_eq!(less.at(&["spec", "template", "spec", "containers"]), Some(&json!([container("a", "x")])));
    // an item goes with what others added to it, unless they own the item itself
    let more = update(&live, |o| o.0["spec"]["template"]["spec"]["containers"][1]["tty"] = json!(true), "hand");
    let kept = apply(Some(&more), &with(&[container("a", "x")]), "one");
    assert_eq!(kept.at(&["spec", "template", "spec", "containers"]), Some(&json!([container("a", "x")])));
    let item = json!({"name": "b", "tty": true});
    let shared = apply(Some(&live), &with(std::slice::from_ref(&item)), "two");
    let kept = apply(Some(&shared), &with(&[container("a", "x")]), "one");
    assert_eq!(kept.at(&["spec", "template", "spec", "containers"]), Some(&json!([container("a", "x"), item])));
    // what nobody owns stays, unless all that is around it goes
    let mut defaulted = live.clone();
    defaulted.0["spec"]["template"]["spec"]["restartPolicy"] = "Always".into();
    let next = apply(Some(&defaulted), &deployment(json!({"replicas": 1})), "one");
    assert_eq!(next.at(&["spec"]), Some(&json!({"replicas": 1})));
    let next = apply(Some(&defaulted), &deployment(json!({"replicas": 1, "template": {"spec": {"nodeName": "n"}}})), "one");
    assert_eq!(next.at(&["spec"]), Some(&json!({"replicas": 1, "template": {"spec": {"nodeName": "n", "restartPolicy": "Always"}}})));
    // a map that is left empty goes too, one that was there doesn't
    let labelled = apply(None, &object(json!({"metadata": {"labels": {"a": "b"}}})), "one");
    assert_eq!(apply(Some(&labelled), &object(json!({"metadata": {}})), "one").0["metadata"].get("labels"), None);
}

#[test]
fn lists_keep_their_order() {
    let names = |o: &Object| o.list_at(&["spec", "template", "spec", "containers"]).iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect::<String>();
    let of = |names: &str| with(&names.chars().map(|c| container(&c.to_string(), "i")).collect::<Vec<_>>());
    for (live, applied, want) in [("abc", "abc", "abc"), ("abc", "cb", "acb"), ("ab", "ca", "cab"), ("abc", "bd", "abcd"), ("", "ab", "ab")] {
        let before = apply(None, &of(live), "one");
        assert_eq!(names(&apply(Some(&before), &of(applied), "two")), want, "{live} {applied}");
    }
    let twice = applied(None, &of("aa"), node(), &writer("one"), false).unwrap_err();
    let why = "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]";
    assert_eq!((twice.to_api().code(), twice.to_api().message.as_str()), (500, why));
}

#[test]
fn ordinary_writes() {
    let mut made = deployment(json!({"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}}}));
    made.set(&["status"], json!({"replicas": 1}));
    updated(&mut made, None, None, node(), &writer("create"));
    assert_eq!(owners(&made), ["create: .spec.replicas .spec.template.metadata.labels .spec.template.metadata.labels.a"]);
    let scaled = update(&made, |o| o.set(&["spec", "replicas"], 2), "scale");
    assert_eq!(owners(&scaled), ["create: .spec.template.metadata.labels .spec.template.metadata.labels.a", "scale: .spec.replicas"]);
    let removed = update(&scaled, |o| _ = o.remove(&["spec", "replicas"]), "hand");
    assert_eq!(owners(&removed), ["create: .spec.template.metadata.labels .spec.template.metadata.labels.a"]);
    let same = update(&removed, |_| {}, "other");
    assert_eq!(same, removed);
    // who only says again what is there keeps his time, and others get nothing
    let later = Writer { time: "2026-02-01T00:00:00Z", ..writer("create") };
    let mut again = removed.clone();
    let present = before(&mut again, Some(&removed), false);
    updated(&mut again, Some(&removed), present, node(), &later);
    assert_eq!(again, removed);
    // a client's own entries replace those that are stored
    let mut reset = removed.clone();
    reset.set(&["metadata", "managedFields"], json!([{}]));
    let present = before(&mut reset, Some(&removed), false);
    updated(&mut reset, Some(&removed), present, node(), &writer("hand"));
    assert_eq!(owners(&reset), Vec::<String>::new());
    let mut bad = removed.clone();
    bad.set(&["metadata", "managedFields"], json!([{"operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {"x": {}}}]));
    assert_eq!(before(&mut bad, Some(&removed), false).as_ref(), removed.at(&["metadata", "managedFields"]));
}

#[test]
fn many_managers_become_one() {
    let mut object = deployment(json!({"replicas": 1}));
    updated(&mut object, None, None, node(), &writer("m00"));
    for n in 0..14 {
        object = update(&object, |o| o.set(&["metadata", "labels", &format!("l{n}")], "x"), &format!("m{n:02}"));
    }
    let entries = Entries::of(&object).0;
    assert_eq!((entries.len(), entries.iter().filter(|e| e.manager == "ancient-changes").count()), (10, 1));
    let all: usize = entries.iter().map(|e| e.fields.paths().iter().filter(|p| p.contains(".labels.l")).count()).sum();
    assert_eq!(all, 14);
}

#[test]
fn objects_that_nobody_owned() {
    let live = deployment(json!({"replicas": 1}));
    let error = applied(Some(&live), &deployment(json!({"replicas": 2})), node(), &writer("one"), false).unwrap_err().to_api();
    assert!(error.message.starts_with("Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1"), "{}", error.message);
    let same = apply(Some(&live), &deployment(json!({"replicas": 1})), "one");
    assert_eq!(owners(&same), ["one*: .spec.replicas", "before-first-apply: .spec.replicas"]);
    // what kubectl applied by itself before is no conflict with what it applies now
    let mut mine = live.clone();
    mine.set(
        &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
        r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1}}"#,
    );
    let next = apply(Some(&mine), &deployment(json!({"replicas": 2})), "kubectl");
    assert_eq!(next.int_at(&["spec", "replicas"]), Some(2));
    assert!(next.str_at(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]).contains("\"replicas\":2"));
}

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
    let rows = Rows(kinds.forms(stored));
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

/// What a client may write for `fieldsV1`: mostly what could be, of a deployment or not.
fn any_fields() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "f:spec",
            "f:template",
            "f:containers",
            "f:metadata",
            "f:labels",
            "f:replicas",
            "f:name",
            "f:status",
            "k:{\"name\":\"a\"}",
            "k:{\"name\":1.0}",
            "k:{}",
            "v:1",
            "v:\"a\"",
            "i:0",
            ".",
            "q:x",
            "f:",
            "k:",
            "v:",
            "i:",
            "",
        ])
        .prop_map(str::to_owned),
        "[fkvi]:[\"{}:a-c0-9]{0,5}",
    ];
    let leaf = prop_oneof![4 => Just(json!({})), 1 => Just(Value::Null), 1 => Just(json!([1]))];
    leaf.prop_recursive(6, 40, 4, move |inner| prop::collection::hash_map(key.clone(), inner, 0..4).prop_map(|map| json!(map)))
}

/// A deployment as people write them.
fn typical() -> Object {
    deployment(
        json!({"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {
        "containers": [{"name": "web", "image": "nginx:1", "args": ["-g", "daemon off;"], "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 443}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            {"name": "side", "image": "x", "ports": [{"containerPort": 9090}]}],
        "volumes": [{"name": "v", "configMap": {"name": "c"}}], "nodeSelector": {"os": "linux"}}}}),
    )
}

/// What one apply costs. Run with `cargo test --release -p model cost_of_an_apply -- --ignored --nocapture`.
#[test]
#[ignore = "prints what it measures"]
fn cost_of_an_apply() {
    let (made, mut changed) = (typical(), typical());
    changed.0["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2".into();
    let mut less = typical();
    less.0["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().pop();
    let live = update(&apply(None, &made, "one"), |o| o.set(&["metadata", "annotations"], json!({"deployment.kubernetes.io/revision": "1"})), "controller");
    let live = update(&live, |o| o.set(&["spec", "replicas"], 4), "scaler");
    let mut made = made;
    made.remove(&["spec", "replicas"]);
    for (what, live, configuration) in
        [("create", None, &made), ("nothing", Some(&live), &made), ("one field", Some(&live), &changed), ("one item less", Some(&live), &less)]
    {
        let begun = std::time::Instant::now();
        for _ in 0..2000 {
            std::hint::black_box(applied(live, configuration, node(), &writer("one"), true).unwrap());
        }
        println!("apply, {what}: {:?}", begun.elapsed() / 2000);
    }
    let begun = std::time::Instant::now();
    for n in 0..2000 {
        std::hint::black_box(update(&live, |o| o.set(&["spec", "replicas"], n), "scaler"));
    }
    println!("update: {:?}", begun.elapsed() / 2000);
}

/// Entries and lists of a client that is hostile take a bounded time.
#[test]
fn large_and_deep() {
    let begun = std::time::Instant::now();
    let mut live = apply(None, &with(&[container("c", "a")]), "one");
    let entry = |n: usize| json!({"manager": format!("m{n}"), "operation": "Update", "apiVersion": format!("v{n}"), "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}});
    let mut new = live.clone();
    new.set(&["metadata", "managedFields"], (0..10_000).map(entry).collect::<Vec<_>>());
    let owners = before(&mut new, Some(&live), false);
    new.set(&["spec", "replicas"], 2);
    updated(&mut new, Some(&live), owners, node(), &writer("two"));
    let env = |from: usize| (from..from + 10_000).map(|n| json!({"name": format!("e{n}"), "value": "x"})).collect::<Vec<_>>();
    live.0["spec"]["template"]["spec"]["containers"][0]["env"] = env(0).into();
    let next = apply(Some(&live), &with(&[json!({"name": "c", "env": env(5_000)})]), "two");
    apply(Some(&next), &with(&[json!({"name": "c", "env": env(9_000)})]), "two");
    let mut fields = json!({});
    (0..1_000).for_each(|_| fields = json!({"f:a": fields.take()}));
    assert_eq!(FieldSet::parse(&fields), None);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

/// Configurations of a deployment, small enough to meet.
fn configuration() -> impl Strategy<Value = Object> {
    let containers = prop::collection::btree_map("[a-c]", ("[x-z]", any::<bool>()), 0..3);
    let labels = prop::collection::btree_map("[a-c]", "[x-z]", 0..3);
    (prop::option::of(0..3_i64), containers, labels, prop::option::of("[p-q]")).prop_map(|(replicas, containers, labels, policy)| {
        let containers: Vec<Value> = containers
            .into_iter()
            .map(|(name, (image, port))| if port { json!({"name": name, "image": image, "ports": [{"containerPort": 80}]}) } else { container(&name, &image) })
            .collect();
        let mut spec = json!({});
        replicas.into_iter().for_each(|n: i64| spec["replicas"] = n.into());
        policy.into_iter().for_each(|p: String| spec["template"]["spec"]["restartPolicy"] = p.into());
        if !containers.is_empty() {
            spec["template"]["spec"]["containers"] = containers.into();
        }
        let mut object = deployment(spec);
        if !labels.is_empty() {
            object.set(&["metadata", "labels"], json!(labels));
        }
        object
    })
}

fn forced(live: Option<&Object>, configuration: &Object, manager: &str) -> Object {
    applied(live, configuration, node(), &writer(manager), true).unwrap()
}
/// Without the fields that `other` has: two managers of these don't meet.
fn disjoint(mut object: Object, labels: bool) -> Object {
    if labels {
        object.remove(&["spec"]);
    } else {
        object.remove(&["metadata", "labels"]);
    }
    object
}

proptest! {
    /// Applying twice is applying once.
    #[test]
    fn applying_is_idempotent(a in configuration(), b in configuration()) {
        let live = forced(Some(&forced(None, &a, "one")), &b, "two");
        let later = Writer { time: "2027-01-01T00:00:00Z", ..writer("two") };
        prop_assert_eq!(applied(Some(&live), &b, node(), &later, true).unwrap(), live);
    }

    /// Managers of different fields don't depend on who comes first.
    #[test]
    fn managers_of_disjoint_fields_commute(a in configuration(), b in configuration()) {
        let (a, b) = (disjoint(a, true), disjoint(b, false));
        let first = apply(Some(&apply(None, &a, "one")), &b, "two");
        let second = apply(Some(&apply(None, &b, "two")), &a, "one");
        prop_assert_eq!(first, second);
    }

    /// What nobody owns stays, whatever is applied and left out.
    #[test]
    fn what_nobody_owns_stays(a in configuration(), b in configuration()) {
        let mut live = forced(None, &a, "one");
        live.set(&["spec", "paused"], true);
        live.set(&["metadata", "annotations", "x"], "y");
        let next = forced(Some(&live), &b, "one");
        prop_assert_eq!(next.at(&["spec", "paused"]), Some(&json!(true)));
        prop_assert_eq!(next.str_at(&["metadata", "annotations", "x"]), "y");
    }

    /// A sole applier gets what it applies, and nothing else.
    #[test]
    fn a_sole_applier_gets_what_it_applies(a in configuration(), b in configuration()) {
        let mut next = forced(Some(&forced(None, &a, "one")), &b, "one");
        let mut want = forced(None, &b, "one");
        for object in [&mut next, &mut want] {
            // an empty spec is left of what went
            if object.at(&["spec"]) == Some(&json!({})) {
                object.remove(&["spec"]);
            }
        }
        prop_assert_eq!(next, want);
    }

    /// No field has an owner that isn't there.
    #[test]
    fn owned_fields_exist(a in configuration(), b in configuration(), c in configuration()) {
        let mut object = forced(Some(&forced(None, &a, "one")), &b, "two");
        let live = object.clone();
        object.0.insert("spec".into(), c.at(&["spec"]).cloned().unwrap_or_default());
        let present = before(&mut object, Some(&live), false);
        updated(&mut object, Some(&live), present, node(), &writer("three"));
        let all = super::of_object::of_object(&object.0, node());
        for entry in Entries::of(&object).0 {
            let strays: Vec<String> = entry.fields.clone().difference(&all).paths();
            // maps are members where their maker says so, which the set of an object doesn't
            prop_assert!(strays.iter().all(|p| p.ends_with("labels") || p.ends_with(']') || p.ends_with("spec") || p.ends_with("template") || p.ends_with("ports") || p.ends_with("resources")), "{strays:?}");
        }
    }

    /// Whatever fields a client says that somebody owns: no panic, and an object that can be applied to again.
    #[test]
    fn hostile_fields(fields in any_fields(), config in configuration(), operation in prop::sample::select(vec!["Apply", "Update", "x"])) {
        let mut live = forced(None, &config, "one");
        live.set(&["metadata", "managedFields"], json!([{"manager": "one", "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields}]));
        let mut new = live.clone();
        let present = before(&mut new, None, false);
        updated(&mut new, Some(&live), present, node(), &writer("one"));
        for live in [&live, &new] {
            let next = forced(Some(live), &config, "one");
            prop_assert_eq!(forced(Some(&next), &config, "one"), next);
        }
    }

    /// Whatever a client calls its entries: no panic.
    #[test]
    fn hostile_entries(text in "[fkvi:.{}\"a-c]{0,8}", config in configuration()) {
        let mut live = forced(None, &config, "one");
        live.set(&["metadata", "managedFields"], json!([{"manager": text, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": {text: {}}}]));
        forced(Some(&live), &config, "one");
        before(&mut live, None, false);
    }
}
