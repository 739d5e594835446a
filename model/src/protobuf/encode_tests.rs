use super::super::decode;
use super::*;
use proptest::prelude::*;
use serde_json::{Map, json};

fn object(value: &Value) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode(&serde_json::to_vec(value).unwrap(), &mut out).map(|()| out)
}

/// An object survives being written and read.
fn same(value: Value) {
    let got = decode(&object(&value).unwrap()).unwrap();
    assert_eq!(Value::Object(got), value);
}

#[test]
fn objects_come_back() {
    let meta = json!({
        "name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3, "labels": {"a": "", "b": "x"}, "finalizers": ["f"],
        "managedFields": [{"manager": "m", "fieldsV1": {"f:a": {".": {}}}, "time": "2026-01-01T00:00:00Z"}],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u", "controller": false}],
    });
    same(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "v", "e": ""}, "binaryData": {"b": "AAH/"}, "immutable": false}));
    same(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/", "type": ""}}],
        "containers": [{
            "name": "c", "resources": {"limits": {"cpu": "100m"}}, "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}],
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "timeoutSeconds": 5}, "readinessProbe": {"tcpSocket": {"port": 80}},
        }],
    }}));
    same(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"acquireTime": "2026-01-01T00:00:00.000005Z"}}));
    same(json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {"a": [1, null, 1.5]}, "revision": 0}));
    same(json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404}));
    let rules = json!([{"resourceNames": ["r"], "operations": ["*"], "apiGroups": [""], "resources": ["pods"]}]);
    same(json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "spec": {"matchConstraints": {"resourceRules": rules}}}));
}

#[test]
fn schemas_come_back() {
    let schema = json!({
        "maximum": 0, "minimum": 1.5, "additionalProperties": false, "items": {"type": "string"}, "default": {"a": 1}, "$ref": "x",
        "properties": {"a": {"additionalProperties": {"type": "string"}, "enum": [1, "a"]}}, "dependencies": {"a": ["b"], "c": {"type": "object"}},
        "anyOf": [{}], "x-kubernetes-preserve-unknown-fields": true,
    });
    let version = json!({"name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": schema}});
    let spec = json!({"group": "g", "versions": [version], "names": {"plural": "p", "kind": "K"}, "scope": "Cluster"});
    same(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "n"}, "spec": spec}));
}

#[test]
fn what_has_no_place_is_left_out() {
    let given = json!({"kind": "Pod", "apiVersion": "v1", "": 1, "metadata": {"name": "p", "labels": null}, "more": [1], "spec": {
        "containers": [{"name": "c", "args": null, "resources": {"limits": {"cpu": 2}}}], "nodeSelector": {"a": null}, "tolerations": [],
    }});
    let want = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}], "nodeSelector": {"a": ""},
    }});
    assert_eq!(Value::Object(decode(&object(&given).unwrap()).unwrap()), want);
}

#[test]
fn errors() {
    let cases = [
        (json!({"kind": "Nothing", "apiVersion": "v1"}), "no kind \"Nothing\" is registered for version \"v1\" in protobuf"),
        (json!({}), "no kind \"\" is registered for version \"\" in protobuf"),
        (json!({"kind": "Pod", "apiVersion": "v1", "spec": 1}), "spec can't be a number"),
        (json!({"kind": "Pod", "apiVersion": "v1", "spec": {"containers": {}}}), "containers can't be a map"),
        (json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"creationTimestamp": "x"}}), "creationTimestamp can't be a text that is no time"),
        (json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": "%"}}), "data can't be a text that isn't base64"),
    ];
    for (value, want) in cases {
        let got = object(&value).unwrap_err().to_string();
        assert!(got.contains(want), "{got}");
    }
    let mut out = Vec::new();
    assert!(encode(b"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",", &mut out).is_err());
}

#[test]
fn lists() {
    let items = [json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}), json!({"metadata": {"name": "b"}})];
    let items: Vec<Vec<u8>> = items.iter().map(|i| serde_json::to_vec(i).unwrap()).collect();
    let mut out = Vec::new();
    let meta = json!({"resourceVersion": "7", "remainingItemCount": 3});
    list("v1", "PodList", &meta, items.iter().map(Vec::as_slice), &mut out).unwrap();
    let want = json!({"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]});
    assert_eq!(Value::Object(decode(&out).unwrap()), want);
    assert!(list("v1", "Pod", &meta, std::iter::empty(), &mut out).is_err());
}

#[test]
fn events() {
    let mut out = b"before".to_vec();
    event(&mut out, "ADDED", |out| {
        out.extend_from_slice(b"xyz");
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(out, b"before\0\0\0\x0e\x0a\x05ADDED\x12\x05\x0a\x03xyz");
    let before = out.clone();
    assert!(event(&mut out, "ADDED", |_| Err(())).is_err());
    assert_eq!(out, before);
}

/// Every kind's own samples, where Go's modules are at hand: `k8s.io/api` has each kind in JSON and protobuf.
#[test]
fn samples_of_every_kind() {
    let modules = std::env::var("GOMODCACHE").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/go/pkg/mod"))).unwrap_or_default();
    let samples = std::path::Path::new(&modules).join("k8s.io/api@v0.37.2/testdata/HEAD");
    let Ok(directory) = std::fs::read_dir(&samples) else { return println!("skipped: {} isn't there", samples.display()) };
    let mut seen = 0;
    for path in directory.map(|entry| entry.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "pb")) {
        let json: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        // a WatchEvent says no kind
        if text("kind").is_empty() || ["alpha", "beta"].iter().any(|stage| text("apiVersion").contains(stage)) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let decoded = decode(&bytes).unwrap();
        assert_eq!(Value::Object(decoded.clone()), present(&json), "{}", path.display());
        let encoded = object(&json).unwrap();
        assert_eq!(decode(&encoded), Ok(decoded), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 80, "{seen} samples");
}

/// The same without nulls, which mean the same as nothing.
fn present(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), present(v))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(present).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Any JSON, with names that messages have.
fn any_json() -> impl Strategy<Value = Value> {
    let names = ["metadata", "spec", "name", "labels", "containers", "ports", "targetPort", "data", "creationTimestamp", "items", "limits", "resources"];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Into::into), any::<i64>().prop_map(Into::into), "[a-z0-9=:-]{0,8}".prop_map(Into::into)];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let map = proptest::collection::hash_map(proptest::sample::select(names.to_vec()), inner.clone(), 0..6);
        let map = map.prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()));
        prop_oneof![map, proptest::collection::vec(inner, 0..4).prop_map(Value::Array)]
    })
}

proptest! {
    #[test]
    fn what_is_written_comes_back(spec in any_json(), data in any_json(), kind in proptest::sample::select(vec!["Pod", "Service", "ConfigMap", "Secret"])) {
        let value = json!({"kind": kind, "apiVersion": "v1", "metadata": data, "spec": spec, "data": data});
        if let Ok(bytes) = object(&value) {
            let decoded = Value::Object(decode(&bytes).unwrap());
            let again = object(&decoded).unwrap();
            prop_assert_eq!(Value::Object(decode(&again).unwrap()), decoded);
        }
    }
}
