//! What the API answers, to good input and to bad. Kubernetes' documented behaviour is the expectation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually, output};
use serde_json::json;
use std::time::Duration;

const JSON: &[&str] = &["Content-Type: application/json"];

/// method, path, headers, body, code, reason, part of the message
type Case<'a> = (&'a str, &'a str, &'a [&'a str], Option<&'a [u8]>, u16, &'a str, &'a str);

fn check(cluster: &Cluster, cases: &[Case]) {
    for (method, path, headers, body, code, reason, part) in cases {
        let answer = cluster.http(method, path, headers, *body);
        let told = answer.body["message"].as_str().unwrap_or_default();
        assert!(
            answer.code == *code && answer.body["reason"].as_str().unwrap_or_default() == *reason && told.contains(part),
            "{method} {path}: want {code} {reason} {part:?}, got {} {}",
            answer.code,
            answer.text
        );
    }
}

#[test]
fn bad_input_gets_kubernetes_answers() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let big = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"big"}},"data":{{"x":"{}"}}}}"#, "x".repeat(4 << 20));
    let cases: &[Case] = &[
        ("POST", maps, JSON, Some(b"{\"apiVersion\":"), 400, "BadRequest", ""),
        ("POST", maps, JSON, Some(b"[1,2]"), 400, "BadRequest", ""),
        ("POST", maps, JSON, Some(b"\xff\xfe"), 400, "BadRequest", ""),
        ("POST", maps, JSON, Some(br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}"#), 400, "BadRequest", ""),
        ("POST", maps, JSON, Some(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"A_b"}}"#), 422, "Invalid", "metadata.name"),
        ("POST", maps, JSON, Some(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","labels":{"-":"y"}}}"#), 422, "Invalid", "metadata.labels"),
        ("POST", maps, JSON, Some(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"other"}}"#), 400, "BadRequest", "namespace"),
        ("POST", maps, JSON, Some(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"k":5}}"#), 400, "BadRequest", ""),
        ("POST", maps, JSON, Some(big.as_bytes()), 413, "RequestEntityTooLarge", ""),
        ("POST", maps, &["Content-Type: text/plain"], Some(b"hello"), 415, "UnsupportedMediaType", ""),
        (
            "POST",
            "/api/v1/namespaces/nowhere/configmaps",
            JSON,
            Some(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}"#),
            404,
            "NotFound",
            "nowhere",
        ),
        ("GET", "/api/v1/namespaces/default/configmaps/none", &[], None, 404, "NotFound", "configmaps \"none\" not found"),
        ("GET", "/api/v1/namespaces/default/unheardof", &[], None, 404, "NotFound", ""),
        ("GET", "/apis/none.example/v1/things", &[], None, 404, "NotFound", ""),
        ("GET", "/api/v1/namespaces/default/pods/x/unheardof", &[], None, 404, "NotFound", ""),
        ("GET", &format!("{maps}?labelSelector=a%3D%3D%3Db%2C%28"), &[], None, 400, "BadRequest", ""),
        ("GET", "/api/v1/pods?fieldSelector=spec.colour%3Dred", &[], None, 400, "BadRequest", "field label not supported"),
        ("GET", &format!("{maps}?resourceVersion=abc"), &[], None, 400, "BadRequest", ""),
        ("GET", &format!("{maps}?limit=1&continue=nonsense"), &[], None, 400, "BadRequest", ""),
        ("PUT", maps, JSON, Some(b"{}"), 405, "MethodNotAllowed", ""),
        ("PATCH", &format!("{maps}/none"), &["Content-Type: application/merge-patch+json"], Some(b"{}"), 404, "NotFound", ""),
        ("PATCH", &format!("{maps}/none"), &["Content-Type: application/json"], Some(b"{}"), 415, "UnsupportedMediaType", ""),
        ("DELETE", "/api/v1/namespaces/default", &[], None, 403, "Forbidden", "this namespace may not be deleted"),
        ("GET", maps, &["Authorization: Bearer nonsense"], None, 401, "Unauthorized", ""),
    ];
    check(&cluster, cases);
    // nothing of that stopped it, and nothing was written
    assert_eq!(
        cluster.get(&["configmaps", "-l", "!nothing"])["items"].as_array().unwrap().iter().filter(|m| m["metadata"]["name"] != "kube-root-ca.crt").count(),
        0
    );
    assert!(!cluster.log().contains("panicked"), "{}", cluster.log());
}

/// A client that still sends reads the answer, over HTTP/2 as over HTTP/1.1.
#[test]
fn answers_before_the_body_has_come_are_read() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let big = vec![b'x'; 8 << 20];
    for _ in 0..40 {
        check(
            &cluster,
            &[
                ("PUT", maps, JSON, Some(b"{}"), 405, "MethodNotAllowed", ""),
                ("PUT", maps, JSON, Some(&big), 405, "MethodNotAllowed", ""),
                ("POST", maps, JSON, Some(&big), 413, "RequestEntityTooLarge", ""),
                ("POST", "/apis/none.example/v1/things", JSON, Some(&big), 404, "NotFound", ""),
            ],
        );
    }
}

#[test]
fn writes_compare_and_swap() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": "1"}});
    let made = cluster.http("POST", maps, JSON, Some(body.to_string().as_bytes()));
    assert_eq!(made.code, 201, "{}", made.text);
    let again = cluster.http("POST", maps, JSON, Some(body.to_string().as_bytes()));
    assert_eq!((again.code, again.body["reason"].as_str()), (409, Some("AlreadyExists")));
    let mut next = made.body.clone();
    next["data"]["k"] = json!("2");
    assert_eq!(cluster.http("PUT", &format!("{maps}/x"), JSON, Some(next.to_string().as_bytes())).code, 200);
    let stale = cluster.http("PUT", &format!("{maps}/x"), JSON, Some(next.to_string().as_bytes()));
    assert_eq!((stale.code, stale.body["reason"].as_str()), (409, Some("Conflict")));
    let same = cluster.http("PATCH", &format!("{maps}/x"), &["Content-Type: application/merge-patch+json"], Some(br#"{"data":{"k":"2"}}"#));
    let current = cluster.http("GET", &format!("{maps}/x"), &[], None);
    assert_eq!(same.body["metadata"]["resourceVersion"], current.body["metadata"]["resourceVersion"]);
    let dry = cluster.http("DELETE", &format!("{maps}/x?dryRun=All"), &[], None);
    assert_eq!((dry.code, cluster.http("GET", &format!("{maps}/x"), &[], None).code), (200, 200));
    let wrong = cluster.http("DELETE", &format!("{maps}/x"), JSON, Some(br#"{"preconditions":{"uid":"other"}}"#));
    assert_eq!(wrong.code, 409, "{}", wrong.text);
    assert_eq!(cluster.http("DELETE", &format!("{maps}/x"), &[], None).code, 200);
    assert_eq!(cluster.http("GET", &format!("{maps}/x"), &[], None).code, 404);
}

#[test]
fn kubectl_knows_the_kinds() {
    let cluster = Cluster::start(&["--no-node"]);
    let resources = cluster.k(&["api-resources"]);
    for word in ["configmaps", "deployments", "replicasets", "leases", "clusterrolebindings", "endpointslices"] {
        assert!(resources.contains(word), "{word} is missing in\n{resources}");
    }
    assert!(cluster.k(&["explain", "deployment.spec.replicas"]).contains("FIELD: replicas"));
    let wrong =
        output(cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest(&cluster, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dato: {a: b}}")));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("unknown field \"dato\""), "{}", String::from_utf8_lossy(&wrong.stderr));
    assert_eq!(cluster.k(&["auth", "can-i", "delete", "nodes"]).trim(), "yes");
    cluster.k(&["create", "serviceaccount", "robot"]);
    let may = output(&mut cluster.kubectl(&["auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:robot"]));
    assert_eq!(String::from_utf8_lossy(&may.stdout).trim(), "no");
    cluster.k(&["create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot"]);
    assert_eq!(cluster.k(&["auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:robot"]).trim(), "yes");
    let token = cluster.k(&["create", "token", "robot"]);
    let bearer = format!("Authorization: Bearer {}", token.trim());
    assert_eq!(cluster.http("GET", "/api/v1/namespaces/default/pods", &[&bearer], None).code, 200);
    let refused = cluster.http("GET", "/api/v1/nodes", &[&bearer], None);
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.body["message"],
        "nodes is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    let table = cluster.k(&["get", "namespaces"]);
    assert!(table.starts_with("NAME") && table.contains("kube-system") && table.contains("Active"), "{table}");
    lists_are_applied(&cluster);
    answers_have_kubernetes_form(&cluster);
    let aggregated = |name: &str| cluster.get(&["clusterrole", name])["rules"].to_string();
    assert!(aggregated("view").contains("configmaps"));
    cluster.apply(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: more, labels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}}, \
         rules: [{apiGroups: [example.com], resources: [things], verbs: [get]}]}",
    );
    eventually("the roles that select it have its rules", Duration::from_secs(30), || {
        let lacking: Vec<_> = ["view", "edit", "admin"].into_iter().filter(|name| !aggregated(name).contains("example.com")).collect();
        if lacking.is_empty() { Ok(()) } else { Err(lacking.join(", ")) }
    });
}

/// kubectl looks up lists and what isn't served in the document of OpenAPI 2, which it takes as protobuf only.
fn lists_are_applied(cluster: &Cluster) {
    let list = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: l1}, data: {a: '1'}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: l2}}]}";
    assert!(cluster.apply(list).contains("configmap/l2 created"));
    let typed = "{apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: l3}}]}";
    assert!(cluster.apply(typed).contains("configmap/l3 created"));
    let review = "{apiVersion: authorization.k8s.io/v1, kind: SelfSubjectAccessReview, spec: {nonResourceAttributes: {path: /x, verb: get}}}";
    let reviewed = output(cluster.kubectl(&["create", "-f", "-"]).stdin(manifest(cluster, review)));
    assert!(reviewed.status.success(), "{}", String::from_utf8_lossy(&reviewed.stderr));
    let items = cluster.k(&["get", "configmaps", "l1", "l2", "-o", "yaml"]);
    let replaced = output(cluster.kubectl(&["replace", "-f", "-"]).stdin(manifest(cluster, &items)));
    assert!(replaced.status.success(), "{}", String::from_utf8_lossy(&replaced.stderr));
    let unknown = output(cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest(cluster, "{apiVersion: none.example/v1, kind: Thing, metadata: {name: x}}")));
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(told.contains("no matches for kind \"Thing\" in version \"none.example/v1\""), "{told}");
}

/// Some clients compare texts: fields come in Kubernetes' order, with a newline at the end.
fn answers_have_kubernetes_form(cluster: &Cluster) {
    let missing = cluster.http("GET", "/api/v1/namespaces/default/configmaps/none", &[], None);
    let want = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"none\" not found","reason":"NotFound","details":{"name":"none","kind":"configmaps"},"code":404}"#;
    assert_eq!(missing.text, format!("{want}\n"));
    let object = cluster.http("GET", "/api/v1/namespaces/default/configmaps/l1", &[], None).text;
    let begins = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"l1","namespace":"default","uid":""#;
    assert!(object.starts_with(begins) && object.ends_with("}\n"), "{object}");
    let list = cluster.http("GET", "/api/v1/namespaces/default/configmaps", &[], None).text;
    assert!(list.starts_with(r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":""#) && list.ends_with("]}\n"), "{list}");
    let table = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io";
    let review = br#"{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"nonResourceAttributes":{"path":"/x","verb":"get"}}}"#;
    check(
        cluster,
        &[
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &[JSON[0], table], Some(review), 406, "NotAcceptable", ""),
            ("GET", "/api/v1/namespaces?timeout=abc", &[], None, 400, "BadRequest", "invalid duration \"abc\""),
        ],
    );
    assert_eq!(cluster.http("GET", "/api/v1/namespaces?timeout=10s", &[], None).code, 200);
}

#[test]
fn a_secret_has_its_accounts_token_and_goes_with_it() {
    let cluster = Cluster::start(&["--no-node"]);
    cluster.k(&["create", "serviceaccount", "robot"]);
    cluster.k(&["create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot"]);
    let annotation = "kubernetes.io/service-account.name";
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {{name: key, annotations: {{{annotation}: robot}}}}}}"
    ));
    let key = |field: &str| cluster.k(&["get", "secret", "key", "-o", &format!("jsonpath={{.data.{field}}}")]);
    eventually("the Secret is filled", Duration::from_secs(10), || if key("token").is_empty() { Err("no token".to_owned()) } else { Ok(()) });
    let token = cluster.k(&["get", "secret", "key", "-o", "go-template={{.data.token | base64decode}}"]);
    let pods = |cluster: &Cluster| cluster.http("GET", "/api/v1/namespaces/default/pods", &[&format!("Authorization: Bearer {token}")], None).code;
    assert_eq!((pods(&cluster), key("namespace").as_str()), (200, "ZGVmYXVsdA=="));
    cluster.k(&["delete", "serviceaccount", "robot"]);
    cluster.k(&["wait", "--for=delete", "secret/key", "--timeout=10s"]);
    eventually("the token ends", Duration::from_secs(15), || if pods(&cluster) == 401 { Ok(()) } else { Err("it is still good".to_owned()) });
}

#[test]
fn a_namespace_goes_with_all_that_is_in_it() {
    let cluster = Cluster::start(&["--no-node"]);
    cluster.k(&["create", "namespace", "shop"]);
    cluster.k(&["create", "configmap", "x", "-n", "shop", "--from-literal=a=b"]);
    cluster.k(&["create", "deployment", "d", "-n", "shop", "--image=localhost/web:v1", "--replicas=2"]);
    cluster.k(&["delete", "namespace", "shop", "--timeout=30s"]);
    assert!(cluster.k_fails(&["get", "namespace", "shop"]).contains("namespaces \"shop\" not found"));
    cluster.k(&["create", "namespace", "shop"]);
    assert_eq!(cluster.get(&["pods,replicasets,deployments", "-n", "shop"])["items"], json!([]));
}

#[test]
fn the_state_survives_a_kill() {
    let mut cluster = Cluster::start(&["--no-node"]);
    cluster.k(&["create", "configmap", "kept", "--from-literal=a=b"]);
    let uid = cluster.get(&["configmap", "kept"])["metadata"]["uid"].clone();
    cluster.machines[0].pull_plug();
    cluster.control_plane().wait().unwrap();
    cluster.machines[0].power_on();
    cluster.up(&["--no-node"]);
    assert_eq!(cluster.get(&["configmap", "kept"])["metadata"]["uid"], uid);
}

fn manifest(cluster: &Cluster, text: &str) -> std::fs::File {
    let file = cluster.lab.path().join("stdin.yaml");
    std::fs::write(&file, format!("---\n{text}")).unwrap();
    std::fs::File::open(file).unwrap()
}
