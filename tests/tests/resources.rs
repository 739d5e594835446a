//! Custom resources and server-side apply, as `kubectl` and HTTP clients use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const APPLY: &[&str] = &["Content-Type: application/apply-patch+yaml"];
const JSON: &[&str] = &["Content-Type: application/json"];
const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.image}]
    additionalPrinterColumns: [{name: Spec, type: string, jsonPath: .spec.cronSpec}, {name: Replicas, type: integer, jsonPath: .spec.replicas}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^[^ ]+( [^ ]+){4}$', description: When it runs}
              image: {type: string, default: busybox}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
              steps:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, run: {type: string}}}
          status: {type: object, properties: {replicas: {type: integer}, selector: {type: string}}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn cron_tab(spec: &Value) -> String {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"}, "spec": spec}).to_string()
}

#[test]
fn custom_resources() {
    let cluster = Cluster::start(&["--no-node"]);
    cluster.apply(DEFINITION);
    cluster.k(&["wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=10s"]);
    let tabs = "/apis/stable.example.com/v1/namespaces/default/crontabs";
    let mut made = Value::Null;
    eventually("the resource is served", Duration::from_secs(5), || {
        let answer = cluster.http("POST", tabs, JSON, Some(cron_tab(&json!({"cronSpec": "* * * * *", "unknown": 1})).as_bytes()));
        made = answer.body.clone();
        if answer.code == 201 { Ok(()) } else { Err(answer.text) }
    });
    assert_eq!(made["spec"], json!({"cronSpec": "* * * * *", "image": "busybox", "replicas": 1}));
    let bad = cluster.http("PATCH", &format!("{tabs}/a"), MERGE, Some(br#"{"spec":{"replicas":99,"cronSpec":"x"}}"#));
    let told = bad.body["message"].as_str().unwrap();
    assert!(bad.code == 422 && told.contains("spec.replicas in body should be less than or equal to 10") && told.contains("should match"), "{}", bad.text);
    let strategic = &["Content-Type: application/strategic-merge-patch+json"];
    assert_eq!(cluster.http("PATCH", &format!("{tabs}/a"), strategic, Some(b"{}")).code, 415);
    let strict = cluster.http("POST", &format!("{tabs}?fieldValidation=Strict"), JSON, Some(cron_tab(&json!({"cronSpec": "* * * * *", "x": 1})).as_bytes()));
    assert!(strict.code == 400 && strict.text.contains("unknown field \\\"spec.x\\\""), "{}", strict.text);
    let old = cluster.kubectl(&["get", "crontabs.v1beta1.stable.example.com"]).output().unwrap();
    assert!(String::from_utf8_lossy(&old.stderr).contains("stable.example.com/v1beta1 CronTab is deprecated"), "{old:?}");
    shown_by_kubectl(&cluster);
    versions_and_parts(&cluster, tabs);
    ended(&cluster, tabs);
}

fn shown_by_kubectl(cluster: &Cluster) {
    let table = cluster.k(&["get", "ct"]);
    assert!(table.contains("SPEC") && table.contains("* * * * *"), "{table}");
    assert!(cluster.k(&["explain", "crontab.spec"]).contains("When it runs"));
    assert!(cluster.k(&["get", "ct", "--field-selector", "spec.image=other", "-o", "name"]).is_empty());
    assert!(cluster.k(&["get", "ct", "--field-selector", "spec.image=busybox", "-o", "name"]).contains("/a"));
    assert!(cluster.k(&["get", "all"]).contains("crontab.stable.example.com/a"));
    cluster.k(&["scale", "ct", "a", "--replicas=3"]);
    assert_eq!(cluster.get(&["ct", "a"])["spec"]["replicas"], 3);
}

fn versions_and_parts(cluster: &Cluster, tabs: &str) {
    let beta = cluster.http("GET", "/apis/stable.example.com/v1beta1/namespaces/default/crontabs/a", &[], None);
    assert_eq!((beta.code, beta.body["apiVersion"].as_str()), (200, Some("stable.example.com/v1beta1")));
    let generation = cluster.get(&["ct", "a"])["metadata"]["generation"].clone();
    let status = cluster.http("PATCH", &format!("{tabs}/a/status"), MERGE, Some(br#"{"spec":{"image":"z"},"status":{"replicas":2}}"#));
    assert_eq!((status.code, &status.body["status"]["replicas"], &status.body["spec"]["image"]), (200, &json!(2), &json!("busybox")));
    assert_eq!(status.body["metadata"]["generation"], generation);
    // lists merge by key, as the schema says
    let steps = |name: &str| cron_tab(&json!({"cronSpec": "* * * * *", "steps": [{"name": name, "run": "x"}]}));
    for (manager, name) in [("one", "a"), ("two", "b")] {
        let applied = cluster.http("PATCH", &format!("{tabs}/a?fieldManager={manager}&force=true"), APPLY, Some(steps(name).as_bytes()));
        assert_eq!(applied.code, 200, "{}", applied.text);
    }
    let names: Vec<Value> = cluster.get(&["ct", "a"])["spec"]["steps"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// A deleted definition takes its objects with it; what has a finalizer is waited for.
fn ended(cluster: &Cluster, tabs: &str) {
    cluster.k(&["patch", "ct", "a", "--type=merge", "-p", r#"{"metadata":{"finalizers":["example.com/wait"]}}"#]);
    cluster.k(&["delete", "crd", "crontabs.stable.example.com", "--wait=false"]);
    eventually("the object is being deleted", Duration::from_secs(10), || {
        let object = cluster.http("GET", &format!("{tabs}/a"), &[], None);
        if object.body["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(object.text) }
    });
    assert_eq!(cluster.http("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/crontabs.stable.example.com", &[], None).code, 200);
    let free = cluster.http("PATCH", &format!("{tabs}/a"), MERGE, Some(br#"{"metadata":{"finalizers":null}}"#));
    assert_eq!(free.code, 200, "{}", free.text);
    eventually("the resource is gone", Duration::from_secs(10), || {
        let answer = cluster.http("GET", tabs, &[], None);
        if answer.code == 404 { Ok(()) } else { Err(answer.text) }
    });
    assert!(!cluster.log().contains("panicked"), "{}", cluster.log());
}

/// The definition of something with this schema, of which `kind` says what it is.
fn definition(schema: &Value) -> String {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.a.example"},
        "spec": {"group": "a.example", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}})
    .to_string()
}

#[test]
fn bad_definitions_are_refused() {
    let cluster = Cluster::start(&["--no-node"]);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let deep = (0..120).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    let cases = [
        (json!({"properties": {}}), "must not be empty at the root"),
        (json!({"type": "object", "properties": {"a": {}}}), "must not be empty for specified object fields"),
        (json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}), "must be a valid regular expression"),
        (json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "(a{1,1000}){1,1000}"}}}), "must be a valid regular expression"),
        (json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}), "must be of type integer"),
        (json!({"type": "object", "properties": {"a": {"type": "array"}}}), "items: Required value: must be specified"),
        (json!({"type": "object", "anyOf": [{"type": "object"}]}), "must be empty to be structural"),
        (json!({"type": "object", "properties": {"a": {"$ref": "#"}}}), "is not supported"),
        (json!({"type": "object", "properties": {"a": deep}}), "nests too deep"),
    ];
    for (schema, part) in cases {
        let answer = cluster.http("POST", path, JSON, Some(definition(&schema).as_bytes()));
        assert!(answer.code == 422 && answer.text.contains(part) || answer.code == 400 && part == "nests too deep", "{part}: {} {}", answer.code, answer.text);
    }
    assert!(!cluster.log().contains("panicked"), "{}", cluster.log());
}

#[test]
fn server_side_apply() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}).to_string();
    let apply = |manager: &str, data: Value, force: bool| {
        cluster.http("PATCH", &format!("{maps}/a?fieldManager={manager}&force={force}"), APPLY, Some(map(data).as_bytes()))
    };
    let made = apply("one", json!({"a": "1", "b": "1"}), false);
    assert_eq!((made.code, made.body["metadata"]["managedFields"][0]["manager"].as_str()), (201, Some("one")));
    let same = apply("one", json!({"a": "1", "b": "1"}), false);
    assert_eq!((same.code, &same.body["metadata"]), (200, &made.body["metadata"]));
    let conflict = apply("two", json!({"a": "2"}), false);
    assert_eq!((conflict.code, conflict.body["message"].as_str()), (409, Some("Apply failed with 1 conflict: conflict with \"one\": .data.a")));
    assert_eq!(conflict.body["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(apply("two", json!({"a": "2"}), true).code, 200);
    let less = apply("one", json!({}), false);
    assert_eq!(less.body["data"], json!({"a": "2"}));
    let updated = cluster.http("PATCH", &format!("{maps}/a"), MERGE, Some(br#"{"data":{"a":"3"}}"#));
    let owners: Vec<&str> = updated.body["metadata"]["managedFields"].as_array().unwrap().iter().map(|m| m["manager"].as_str().unwrap()).collect();
    assert!(!owners.contains(&"two") && owners.contains(&"curl"), "{owners:?}");
    for (query, body, code, part) in [
        ("", map(json!({})), 422, "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=x", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [{}]}}).to_string(), 400, "must be nil"),
        ("?fieldManager=x", json!({"metadata": {"name": "a"}}).to_string(), 400, "apiVersion"),
        ("?fieldManager=x", json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}).to_string(), 400, "Secret"),
    ] {
        let answer = cluster.http("PATCH", &format!("{maps}/a{query}"), APPLY, Some(body.as_bytes()));
        assert!(answer.code == code && answer.text.contains(part), "{query} {body}: {} {}", answer.code, answer.text);
    }
    with_kubectl(&cluster);
}

fn with_kubectl(cluster: &Cluster) {
    let file = cluster.data().join("web.yaml");
    let manifest = |replicas: u32| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec: {{containers: [{{name: c, image: i}}]}}\n"
        )
    };
    std::fs::write(&file, manifest(1)).unwrap();
    let path = file.to_str().unwrap();
    // from client-side to server-side apply: who applied before is no conflict with himself
    cluster.k(&["apply", "-f", path]);
    cluster.k(&["apply", "--server-side", "-f", path]);
    cluster.k(&["scale", "deploy/web", "--replicas=5"]);
    std::fs::write(&file, manifest(2)).unwrap();
    let conflict = cluster.k_fails(&["apply", "--server-side", "-f", path]);
    assert!(conflict.contains("with subresource \"scale\"") && conflict.contains(".spec.replicas"), "{conflict}");
    cluster.k(&["apply", "--server-side", "--force-conflicts", "-f", path]);
    assert_eq!(cluster.get(&["deploy", "web"])["spec"]["replicas"], 2);
    let difference = cluster.k(&["diff", "--server-side", "-f", path]);
    assert!(difference.is_empty(), "{difference}");
}

/// What an older definition let be written gets the defaults of the newer one when it is read, and the version that is stored now.
#[test]
fn definitions_change() {
    let cluster = Cluster::start(&["--no-node"]);
    let definition = |storage: &str, properties: &str| {
        let version = |name: &str| {
            format!(
                "{{name: {name}, served: true, storage: {}, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, default: {{}}, properties: {properties}}}}}}}}}}}",
                name == storage
            )
        };
        format!(
            "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: things.example.com}}, spec: {{group: example.com, scope: Cluster, names: {{plural: things, kind: Thing}}, versions: [{}, {}]}}}}",
            version("v1"),
            version("v2")
        )
    };
    cluster.apply(&definition("v1", "{a: {type: string}}"));
    cluster.k(&["wait", "--for=condition=Established", "crd/things.example.com", "--timeout=10s"]);
    eventually("things are served", Duration::from_secs(5), || {
        let made = cluster.http(
            "POST",
            "/apis/example.com/v1/things",
            JSON,
            Some(br#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"a":"x"}}"#),
        );
        if made.code == 201 { Ok(()) } else { Err(made.text) }
    });
    cluster.apply(&definition("v2", "{a: {type: string}, b: {type: string, default: why}}"));
    eventually("it is read as it would be stored now", Duration::from_secs(5), || {
        let (thing, list) = (cluster.http("GET", "/apis/example.com/v2/things/t", &[], None), cluster.http("GET", "/apis/example.com/v1/things", &[], None));
        let right = thing.body["spec"] == json!({"a": "x", "b": "why"}) && list.body["items"][0]["spec"]["b"] == "why";
        let versions = thing.body["apiVersion"] == "example.com/v2" && list.body["items"][0]["apiVersion"] == "example.com/v1";
        if right && versions { Ok(()) } else { Err(format!("{} {}", thing.text, list.text)) }
    });
    let watched = cluster.http("GET", "/apis/example.com/v2/things?watch=true&timeoutSeconds=1", &[], None).text;
    assert!(watched.contains("\"b\":\"why\"") && watched.contains("\"apiVersion\":\"example.com/v2\""), "{watched}");
    // a write of it as it is brings it into the form that is stored now
    let before = cluster.get(&["things.v2.example.com", "t"]);
    let written = cluster.http("PUT", "/apis/example.com/v2/things/t", JSON, Some(before.to_string().as_bytes()));
    assert!(written.code == 200 && written.body["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"], "{}", written.text);
}

/// Rules in CEL hold for what is written, and for how it changes.
#[test]
fn rules_of_definitions() {
    let cluster = Cluster::start(&["--no-node"]);
    let definition = |rule: &str| {
        let rules = json!([
            {"rule": "self.min <= self.max", "messageExpression": "self.max == 2 ? 'min is above a max of 2' : 'min is above max'"},
            {"rule": "self.max >= oldSelf.max", "message": "max never falls", "fieldPath": ".max", "reason": "FieldValueForbidden"},
            {"rule": rule},
        ]);
        let spec = json!({"type": "object", "required": ["min", "max"], "x-kubernetes-validations": rules,
            "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}, "names": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}}}});
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ranges.example.com"}, "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "ranges", "kind": "Range"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}})
        .to_string()
    };
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for (bad, why) in [("self.min <=", "compilation failed"), ("self.nothing", "undefined field"), ("self.min + 1", "must evaluate to a bool")] {
        let refused = cluster.http("POST", definitions, JSON, Some(definition(bad).as_bytes()));
        assert!(refused.code == 422 && refused.text.contains(why) && refused.text.contains("x-kubernetes-validations[2].rule"), "{bad}: {}", refused.text);
    }
    cluster.apply(&definition("!has(self.names) || self.names.all(n, n.startsWith('r-'))"));
    cluster.k(&["wait", "--for=condition=Established", "crd/ranges.example.com", "--timeout=10s"]);
    let range = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Range", "metadata": {"name": "r"}, "spec": spec}).to_string();
    let ranges = "/apis/example.com/v1/ranges";
    eventually("ranges are served", Duration::from_secs(5), || {
        let refused = cluster.http("POST", ranges, JSON, Some(range(json!({"min": 3, "max": 2, "names": ["x"]})).as_bytes()));
        if refused.code == 404 {
            return Err(refused.text);
        }
        let told = refused.body["message"].as_str().unwrap();
        assert!(refused.code == 422 && told.contains("spec: Invalid value") && told.contains("min is above a max of 2"), "{told}");
        assert!(told.contains("failed rule: !has(self.names) || self.names.all(n, n.startsWith('r-'))"), "{told}");
        Ok(())
    });
    assert_eq!(cluster.http("POST", ranges, JSON, Some(range(json!({"min": 1, "max": 5, "names": ["r-a"]})).as_bytes())).code, 201);
    let falls = cluster.http("PATCH", &format!("{ranges}/r"), MERGE, Some(br#"{"spec":{"max":4}}"#));
    assert!(falls.code == 422 && falls.text.contains("spec.max: Forbidden: max never falls"), "{}", falls.text);
    assert_eq!(cluster.http("PATCH", &format!("{ranges}/r"), MERGE, Some(br#"{"spec":{"max":6}}"#)).code, 200);
}

/// Who owns which field is kept in the version in which it was written, and said in it.
#[test]
fn owners_by_version() {
    let cluster = Cluster::start(&["--no-node"]);
    let scalers = |version: &str| format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers/h");
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}});
    let made = cluster.http("PATCH", &format!("{}?fieldManager=old", scalers("v1")), APPLY, Some(old.to_string().as_bytes()));
    assert_eq!(made.code, 201, "{}", made.text);
    let owned = &made.body["metadata"]["managedFields"][0];
    assert_eq!((&owned["apiVersion"], &owned["manager"]), (&json!("autoscaling/v1"), &json!("old")), "{owned}");
    assert!(owned["fieldsV1"]["f:spec"]["f:targetCPUUtilizationPercentage"].is_object(), "{owned}");
    let again = cluster.http("PATCH", &format!("{}?fieldManager=old", scalers("v1")), APPLY, Some(old.to_string().as_bytes()));
    let same = |field: &str| assert_eq!(again.body["metadata"][field], made.body["metadata"][field], "applying the same thing twice writes nothing");
    // the autoscaler's controller writes its status meanwhile
    same("generation");
    assert_eq!(&again.body["metadata"]["managedFields"][0], owned);
    let new = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 4}});
    let conflict = cluster.http("PATCH", &format!("{}?fieldManager=new", scalers("v2")), APPLY, Some(new.to_string().as_bytes()));
    assert!(conflict.code == 409 && conflict.text.contains("conflict with \\\"old\\\": .spec.maxReplicas"), "{}", conflict.text);
    let forced = cluster.http("PATCH", &format!("{}?fieldManager=new&force=true", scalers("v2")), APPLY, Some(new.to_string().as_bytes()));
    let status = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "status": {"currentReplicas": 1, "desiredReplicas": 1}});
    let applied = cluster.http("PATCH", &format!("{}/status?fieldManager=watcher&force=true", scalers("v2")), APPLY, Some(status.to_string().as_bytes()));
    let owners = applied.body["metadata"]["managedFields"].as_array().unwrap();
    assert!(owners.iter().any(|o| o["manager"] == "watcher" && o["operation"] == "Apply" && o["subresource"] == "status"), "{}", applied.text);
    assert_eq!((forced.code, &forced.body["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]), (200, &json!(70)), "{}", forced.text);
}

/// What was being deleted when the cluster went down is deleted when it is back: a definition with its objects, and a namespace at the same time.
#[test]
fn ends_go_on_after_a_restart() {
    let mut cluster = Cluster::start(&["--no-node"]);
    let definition = |plural: &str, kind: &str| {
        format!(
            "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: {plural}.example.com}}, spec: {{group: example.com, scope: Namespaced, names: {{plural: {plural}, kind: {kind}}}, versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}]}}}}"
        )
    };
    for (plural, kind) in [("ones", "One"), ("twos", "Two"), ("threes", "Three")] {
        cluster.apply(&definition(plural, kind));
        cluster.k(&["wait", "--for=condition=Established", &format!("crd/{plural}.example.com"), "--timeout=10s"]);
        let object = json!({"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "a"}, "spec": {"text": "x".repeat(500_000)}}).to_string();
        if plural == "ones" {
            cluster.k(&["create", "namespace", "n"]);
        }
        eventually("it is served", Duration::from_secs(5), || {
            let made = cluster.http("POST", &format!("/apis/example.com/v1/namespaces/n/{plural}"), JSON, Some(object.as_bytes()));
            if made.code == 201 { Ok(()) } else { Err(made.text) }
        });
    }
    cluster.control_plane().kill().unwrap();
    cluster.control_plane().wait().unwrap();
    cluster.up(&["--no-node"]);
    cluster.k(&["delete", "namespace", "n", "--wait=false"]);
    cluster.k(&["delete", "crd", "ones.example.com", "--wait=false"]);
    cluster.k(&["delete", "crd", "twos.example.com", "--timeout=25s"]);
    cluster.k(&["wait", "--for=delete", "crd/ones.example.com", "namespace/n", "--timeout=25s"]);
    cluster.k(&["delete", "crd", "threes.example.com", "--timeout=10s"]);
}
