use super::*;
use proptest::prelude::*;
use serde_json::json;

/// An encoded field with a number.
fn n(tag: u32, number: i64) -> Vec<u8> {
    [varint(u64::from(tag) << 3), varint(number.cast_unsigned())].concat()
}

/// An encoded field with bytes.
fn b(tag: u32, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(u64::from(tag) << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// An encoded field with a message.
fn m(tag: u32, fields: &[Vec<u8>]) -> Vec<u8> {
    b(tag, fields.concat())
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn entry(tag: u32, key: &str, value: &[u8]) -> Vec<u8> {
    m(tag, &[b(1, key), value.to_vec()])
}

fn body(version: &str, kind: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    [PREFIX.to_vec(), m(1, &[b(1, version), b(2, kind)]), m(2, fields), b(3, ""), b(4, "")].concat()
}

fn check(version: &str, kind: &str, fields: &[Vec<u8>], want: Value) {
    let mut got = decode(&body(version, kind, fields)).unwrap();
    assert_eq!((got.remove("apiVersion"), got.remove("kind")), (Some(version.into()), Some(kind.into())));
    assert_eq!(Value::Object(got), want);
}

/// Metadata as Go writes it: with its zeros.
fn meta(name: &str) -> Vec<u8> {
    m(1, &[b(1, name), b(2, ""), b(3, ""), b(4, ""), b(5, ""), b(6, ""), n(7, 0), b(8, "")])
}

#[test]
fn maps_and_bytes() {
    let fields = [meta("a"), entry(2, "k", &b(2, "v")), entry(2, "none", &[]), entry(3, "raw", &b(2, [0xff, 0]))];
    check("v1", "ConfigMap", &fields, json!({"metadata": {"name": "a"}, "data": {"k": "v", "none": ""}, "binaryData": {"raw": "/wA="}}));
    check("v1", "Secret", &[meta("s"), entry(2, "k", &b(2, "v")), b(3, "Opaque"), n(5, 0)], {
        json!({"metadata": {"name": "s"}, "data": {"k": "dg=="}, "type": "Opaque", "immutable": false})
    });
}

#[test]
fn zeros() {
    // replicas is a pointer, minReadySeconds and paused aren't
    let spec = m(2, &[n(1, 0), n(5, 0), n(7, 0)]);
    check("apps/v1", "Deployment", &[meta("d"), spec, m(3, &[])], json!({"metadata": {"name": "d"}, "spec": {"replicas": 0}, "status": {}}));
    check("v1", "DeleteOptions", &[n(1, 0), b(4, "Background")], json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"}));
    check("apps/v1", "DeleteOptions", &[m(2, &[b(1, "u")])], json!({"preconditions": {"uid": "u"}}));
    // a class of no name asks for no class
    check("v1", "PersistentVolumeClaim", &[m(2, &[b(3, ""), b(5, "")])], json!({"spec": {"storageClassName": ""}}));
    check("scheduling.k8s.io/v1", "PriorityClass", &[n(2, 0), n(3, 0)], json!({"value": 0}));
}

#[test]
fn embedded_messages() {
    let probe = m(10, &[m(1, &[m(2, &[b(1, "/"), m(2, &[n(1, 0), n(2, 80), b(3, "")])])]), n(2, 0), n(3, 5)]);
    let resources = m(8, &[entry(2, "cpu", &m(2, &[b(1, "100m")]))]);
    let container = m(2, &[b(1, "c"), probe, resources]);
    let volume = m(1, &[b(1, "v"), m(2, &[m(2, &[b(1, "")])])]);
    let pod = m(2, &[volume, container, n(4, 0), n(11, 0)]);
    let want = json!({"spec": {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{
            "name": "c",
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "timeoutSeconds": 5},
            "resources": {"requests": {"cpu": "100m"}},
        }],
        "terminationGracePeriodSeconds": 0,
    }});
    check("v1", "Pod", &[pod], want);
}

#[test]
fn special_types() {
    let time = |seconds| m(8, &[n(1, seconds), n(2, 0)]);
    check("v1", "Namespace", &[m(1, &[b(1, "n"), time(1_767_225_600)])], json!({"metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}}));
    check("v1", "Namespace", &[m(1, &[b(1, "n"), time(0)])], json!({"metadata": {"name": "n"}}));
    let lease = m(2, &[m(3, &[n(1, 1_767_225_600), n(2, 5_000)]), n(5, 0)]);
    check("coordination.k8s.io/v1", "Lease", &[lease], json!({"spec": {"acquireTime": "2026-01-01T00:00:00.000005Z", "leaseTransitions": 0}}));
    let port = |value: &[Vec<u8>]| m(2, &[m(1, &[n(3, 80), m(4, value), n(5, 0)])]);
    check("v1", "Service", &[port(&[n(1, 1), n(2, 0), b(3, "http")])], json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}));
    check("v1", "Service", &[port(&[n(1, 0), n(2, -1), b(3, "")])], json!({"spec": {"ports": [{"port": 80, "targetPort": -1}]}}));
    check("apps/v1", "ControllerRevision", &[m(2, &[b(1, r#"{"a":[1]}"#)]), n(3, 0)], json!({"data": {"a": [1]}, "revision": 0}));
    let review = m(2, &[b(3, "u"), entry(5, "scopes", &m(2, &[b(1, "x"), b(1, "")]))]);
    check("authorization.k8s.io/v1", "SubjectAccessReview", &[review], json!({"spec": {"user": "u", "extra": {"scopes": ["x", ""]}}}));
}

#[test]
fn alternatives() {
    let schema = m(
        1,
        &[vec![9 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0], vec![11 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f], m(30, &[n(1, 0)]), m(24, &[m(1, &[b(5, "string")])])],
    );
    let schema_version = m(7, &[b(1, "v1"), n(2, 1), n(3, 0), m(4, &[schema])]);
    let want = json!({"spec": {"versions": [{"name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {
        "maximum": 0, "minimum": 1.5, "additionalProperties": false, "items": {"type": "string"},
    }}}]}});
    check("apiextensions.k8s.io/v1", "CustomResourceDefinition", &[m(2, &[schema_version])], want);
}

#[test]
fn unknown_fields_are_left_out_and_parts_are_merged() {
    let fields = [m(1, &[b(1, "a")]), m(1, &[b(3, "ns"), b(900, "x"), n(901, 7)])];
    check("v1", "ConfigMap", &fields, json!({"metadata": {"name": "a", "namespace": "ns"}}));
}

#[test]
fn errors() {
    let cases = [
        (b"{}".to_vec(), Error::Prefix),
        (PREFIX.to_vec(), Error::Kind { version: "".into(), kind: "".into() }),
        (body("v1", "Nothing", &[]), Error::Kind { version: "v1".into(), kind: "Nothing".into() }),
        (body("v1", "ConfigMap", &[n(1, 3)]), Error::Type("metadata".into())),
        (body("v1", "ConfigMap", &[m(1, &[b(1, [0xff])])]), Error::Utf8("name".into())),
        (body("v1", "ConfigMap", &[vec![0x0a, 9]]), Error::Truncated),
        (body("apps/v1", "ControllerRevision", &[m(2, &[b(1, "{")])]), Error::Json("raw".into())),
        (body("v1", "Namespace", &[m(1, &[m(8, &[n(1, i64::MAX)])])]), Error::Time("creationTimestamp".into())),
        ([PREFIX.to_vec(), b(3, "gzip")].concat(), Error::Content { encoding: "gzip".into(), media: "".into() }),
    ];
    for (bytes, want) in cases {
        assert_eq!(decode(&bytes), Err(want));
    }
}

#[test]
fn depth_is_bounded() {
    let mut schema = Vec::new();
    for _ in 0..10_000 {
        schema = b(28, &schema);
    }
    let crd = m(2, &[m(7, &[m(4, &[b(1, &schema)])])]);
    assert_eq!(decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &[crd])), Err(Error::Depth));
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(&[PREFIX.to_vec(), bytes.clone()].concat()).ok();
        decode(&body("v1", "Pod", std::slice::from_ref(&bytes))).ok();
        decode(&body("v1", "Pod", &[b(2, &bytes)])).ok();
        decode(&body("v1", "ConfigMap", &[b(1, &bytes)])).ok();
        decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &[b(2, bytes)])).ok();
    }
}
