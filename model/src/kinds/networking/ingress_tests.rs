use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use serde_json::{Value, json};

const GROUP: &str = "networking.k8s.io";
const LABEL: &str = "a lowercase RFC 1123 label must consist…";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist…";

/// An Ingress with this spec.
fn of(spec: Value) -> Value {
    json!({ "spec": spec })
}
fn service(name: &str, port: Value) -> Value {
    json!({"service": {"name": name, "port": port}})
}
/// An Ingress with one path that is changed.
fn path(change: Value) -> Value {
    let mut path = json!({"path": "/", "pathType": "Prefix", "backend": service("s", json!({"number": 80}))});
    merge(&mut path, change);
    of(json!({"rules": [{"host": "a.b", "http": {"paths": [path]}}]}))
}
fn host(name: &str) -> Value {
    of(json!({"defaultBackend": service("s", json!({"name": "p"})), "rules": [{"host": name}]}))
}
fn backend(backend: Value) -> Value {
    of(json!({ "defaultBackend": backend }))
}
fn at(place: &str, why: &str) -> String {
    format!("spec.rules[0].http.paths[0].{place}: {why}")
}

#[test]
fn hosts_and_certificates() {
    let tls = |tls: Value| of(json!({"defaultBackend": service("s", json!({"number": 80})), "tls": [tls]}));
    let wildcard = "a wildcard DNS-1123 subdomain must start with '*.'…";
    check_kind(
        GROUP,
        "ingresses",
        vec![
            (host("a.b"), ""),
            (host(""), ""),
            (host("*.a.b"), ""),
            (json!({}), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
            (of(json!({"rules": []})), "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"),
            (host("A"), &format!("spec.rules[0].host: Invalid value: \"A\": {SUBDOMAIN}")),
            (host("a.*"), &format!("spec.rules[0].host: Invalid value: \"a.*\": {wildcard}")),
            (host("*"), &format!("spec.rules[0].host: Invalid value: \"*\": {wildcard}")),
            (host("1.2.3.4"), "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"),
            (tls(json!({"hosts": ["a.b", "*.c"], "secretName": "s.t"})), ""),
            (tls(json!({"hosts": ["*.*.c"]})), &format!("spec.tls[0].hosts[0]: Invalid value: \"*.*.c\": {wildcard}")),
            (tls(json!({"hosts": ["a", "B"]})), &format!("spec.tls[0].hosts[1]: Invalid value: \"B\": {SUBDOMAIN}")),
            (tls(json!({"hosts": [""]})), &format!("spec.tls[0].hosts[0]: Invalid value: \"\": {SUBDOMAIN}")),
            (tls(json!({"secretName": "a_b"})), &format!("spec.tls[0].secretName: Invalid value: \"a_b\": {SUBDOMAIN}")),
        ],
    );
}

#[test]
fn paths_by_their_type() {
    let prefix = |path_: &str| path(json!({ "path": path_ }));
    let own = |path_: &str| path(json!({"path": path_, "pathType": "ImplementationSpecific"}));
    let wrong = |value: &str, why: &str| at("path", &format!("Invalid value: \"{value}\": {why}"));
    check_kind(
        GROUP,
        "ingresses",
        vec![
            (prefix("/a/b"), ""),
            (prefix(""), &wrong("", "must be an absolute path")),
            (prefix("a"), &wrong("a", "must be an absolute path")),
            (prefix("/a//b"), &wrong("/a//b", "must not contain '//'")),
            (prefix("/./b"), &wrong("/./b", "must not contain '/./'")),
            (prefix("/../b"), &wrong("/../b", "must not contain '/../'")),
            (prefix("/a%2fb"), &wrong("/a%2fb", "must not contain '%2f'")),
            (prefix("/a%2Fb"), &wrong("/a%2Fb", "must not contain '%2F'")),
            (prefix("/a/.."), &wrong("/a/..", "cannot end with '/..'")),
            (prefix("/a/."), &wrong("/a/.", "cannot end with '/.'")),
            (path(json!({"pathType": "Exact", "path": "a"})), &wrong("a", "must be an absolute path")),
            (own(""), ""),
            (own("/a//b"), ""),
            (own("a"), &wrong("a", "must be an absolute path")),
            (path(json!({"pathType": null})), &at("pathType", "Required value: pathType must be specified")),
            (path(json!({"pathType": "X"})), &at("pathType", "Unsupported value: \"X\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"")),
            (of(json!({"rules": [{"http": {"paths": []}}]})), "spec.rules[0].http.paths: Required value"),
        ],
    );
}

#[test]
fn backends() {
    let resource = |change: Value| {
        let mut resource = json!({"apiGroup": "a.b", "kind": "K", "name": "n"});
        merge(&mut resource, change);
        backend(json!({ "resource": resource }))
    };
    let both = json!({"service": {"name": "s", "port": {"number": 1}}, "resource": {"kind": "K", "name": "n"}});
    let dotted = "spec.defaultBackend.service.name: Invalid value: \"a.b\": must not contain dots";
    check_kind(
        GROUP,
        "ingresses",
        vec![
            (backend(service("1s", json!({"number": 80}))), ""),
            (backend(service("", json!({"number": 80}))), "spec.defaultBackend.service.name: Required value"),
            (backend(service("a.b", json!({"number": 80}))), dotted),
            (backend(service("A", json!({"number": 80}))), &format!("spec.defaultBackend.service.name: Invalid value: \"A\": {LABEL}")),
            (backend(service("s", json!({}))), "spec.defaultBackend: Required value: port name or number is required"),
            (backend(service("s", json!({"number": 80, "name": "p"}))), "spec.defaultBackend: Invalid value: \"\": cannot set both port name & port number"),
            (
                backend(service("s", json!({"number": 65_536}))),
                "spec.defaultBackend.service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive",
            ),
            (backend(service("s", json!({"name": "-a"}))), "spec.defaultBackend.service.port.name: Invalid value: \"-a\": must not begin or end with a hyphen"),
            (backend(both), "spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends"),
            (backend(json!({})), "spec.defaultBackend: Invalid value: \"\": resource or service backend is required"),
            (path(json!({"backend": null})), &at("backend", "Invalid value: \"\": resource or service backend is required")),
            (resource(json!({})), ""),
            (resource(json!({"apiGroup": null})), ""),
            (resource(json!({"apiGroup": "A"})), &format!("spec.defaultBackend.resource.apiGroup: Invalid value: \"A\": {SUBDOMAIN}")),
            (resource(json!({"kind": ""})), "spec.defaultBackend.resource.kind: Required value"),
            (resource(json!({"name": ""})), "spec.defaultBackend.resource.name: Required value"),
            (resource(json!({"kind": "a/b"})), "spec.defaultBackend.resource.kind: Invalid value: \"a/b\": may not contain '/'"),
            (resource(json!({"name": ".."})), "spec.defaultBackend.resource.name: Invalid value: \"..\": may not be '..'"),
        ],
    );
}

#[test]
fn classes() {
    let class = |class: Value, annotation: Value| {
        let mut ingress = host("a");
        merge(&mut ingress, json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": annotation}}, "spec": {"ingressClassName": class}}));
        ingress
    };
    let other = "annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both are specified";
    check_kind(
        GROUP,
        "ingresses",
        vec![
            (class(json!("a"), json!("a")), ""),
            (class(Value::Null, json!("b")), ""),
            (class(json!("a"), json!("b")), other),
            (class(json!("A"), Value::Null), &format!("spec.ingressClassName: Invalid value: \"A\": {SUBDOMAIN}")),
            (class(json!(""), Value::Null), &format!("spec.ingressClassName: Invalid value: \"\": {SUBDOMAIN}")),
        ],
    );
    check_kind_change(GROUP, "ingresses", vec![(class(json!("a"), json!("a")), class(json!("a"), json!("b")), "")]);
}

#[test]
fn where_they_are_reached() {
    let status = |points: Value| json!({"status": {"loadBalancer": {"ingress": points}}});
    let place = "status.loadBalancer.ingress[0]";
    check_kind_status(
        GROUP,
        "ingresses",
        vec![
            (json!({}), status(json!([{"ip": "1.2.3.4"}, {"hostname": "a.b"}])), ""),
            (json!({}), status(json!([{"ip": "1.2.3"}])), &format!("{place}.ip: Invalid value: \"1.2.3\": must be a valid IP address…")),
            (json!({}), status(json!([{"ip": "01.2.3.4"}])), &format!("{place}.ip: Invalid value: \"01.2.3.4\": must not have leading 0s")),
            (status(json!([{"ip": "01.2.3.4"}])), status(json!([{"ip": "01.2.3.4"}])), ""),
            (json!({}), status(json!([{"hostname": "A"}])), &format!("{place}.hostname: Invalid value: \"A\": {SUBDOMAIN}")),
            (
                json!({}),
                status(json!([{"hostname": "1.2.3.4"}])),
                &format!("{place}.hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"),
            ),
        ],
    );
    check_defaults(GROUP, "ingresses", host("a"), host("a"));
}
