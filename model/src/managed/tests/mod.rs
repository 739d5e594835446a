use super::*;
use crate::object::Object;
use crate::schema::{Node, definition};
use serde_json::{Value, json};

mod cost;
mod properties;
mod versions;

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
