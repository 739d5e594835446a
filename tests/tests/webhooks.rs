//! Admission webhooks: who is asked, what becomes of answers, and of servers that don't answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::{Cluster, WebhookServer, eventually};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const JSON: &[&str] = &["Content-Type: application/json"];
const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn answer(review: &Value, response: Value) -> Option<String> {
    let mut response = response;
    response["uid"] = review["request"]["uid"].clone();
    Some(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string())
}

fn patch(review: &Value, operations: &Value) -> Option<String> {
    answer(review, json!({"allowed": true, "patch": STANDARD.encode(operations.to_string()), "patchType": "JSONPatch"}))
}

/// A cluster and a server that answers it at its own address and as the Service `hooks`.
struct Scene {
    cluster: Cluster,
    server: WebhookServer,
    host: String,
}

impl Scene {
    fn start(handler: impl Fn(&str, &Value) -> Option<String> + Send + Sync + 'static) -> Self {
        let cluster = Cluster::start(&["--no-node"]);
        let host = cluster.lab.address(1);
        let server = WebhookServer::start(&[&host, "hooks.default.svc"], handler);
        Self { cluster, server, host }
    }

    fn url(&self, path: &str) -> Value {
        json!({"url": format!("https://{}:{}{path}", self.host, self.server.address.port()), "caBundle": STANDARD.encode(&self.server.pem)})
    }

    /// One webhook for writes of ConfigMaps, with these fields besides or instead.
    fn webhook(&self, name: &str, path: &str, more: Value) -> Value {
        let mut webhook = json!({
            "name": format!("{name}.example.com"), "clientConfig": self.url(path), "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "objectSelector": {"matchExpressions": [{"key": "unasked", "operator": "DoesNotExist"}]},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        });
        for (key, value) in more.as_object().unwrap() {
            webhook[key] = value.clone();
        }
        webhook
    }

    /// Configures webhooks: those of the process that wrote it are asked from then on.
    fn configure(&self, kind: &str, name: &str, webhooks: &[Value]) {
        let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": webhooks});
        self.cluster.apply(&configuration.to_string());
    }

    fn create(&self, name: &str, more: Value) -> e2e::Answer {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}});
        for (key, value) in more.as_object().unwrap() {
            object[key] = value.clone();
        }
        self.cluster.http("POST", MAPS, JSON, Some(object.to_string().as_bytes()))
    }
}

/// What the server of the first test says to a path.
fn says(path: &str, review: &Value) -> Option<String> {
    let request = &review["request"];
    match path {
        "/label" if request["object"].is_null() => answer(review, json!({"allowed": true})),
        "/label" => {
            patch(review, &json!([{"op": "add", "path": "/metadata/labels", "value": {"by": "webhook"}}, {"op": "add", "path": "/data/c", "value": "d"}]))
        }
        "/deny" if request["object"]["data"]["deny"] == "yes" => {
            answer(review, json!({"allowed": false, "status": {"message": "not this one", "code": 418, "reason": "Teapot"}}))
        }
        "/deny" if request["operation"] == "DELETE" && request["oldObject"]["data"]["keep"] == "yes" => answer(review, json!({"allowed": false})),
        "/deny" => answer(review, json!({"allowed": true, "warnings": ["take care"]})),
        "/garbage" => Some("garbage".to_owned()),
        "/silent" => None,
        "/badpatch" => patch(review, &json!([{"op": "remove", "path": "/nothing/here"}])),
        "/steal" => patch(
            review,
            &json!([{"op": "replace", "path": "/metadata/uid", "value": "x"}, {"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}]),
        ),
        _ => answer(review, json!({"allowed": true})),
    }
}

#[test]
fn asked_and_answered() {
    let scene = Scene::start(says);
    scene.configure("MutatingWebhookConfiguration", "label", &[scene.webhook("label", "/label", json!({}))]);
    scene.configure("ValidatingWebhookConfiguration", "deny", &[scene.webhook("deny", "/deny", json!({}))]);

    let made = scene.create("a", json!({}));
    assert_eq!((made.code, &made.body["metadata"]["labels"]["by"], &made.body["data"]["c"]), (201, &json!("webhook"), &json!("d")), "{}", made.text);
    let asked = scene.server.asked("/deny");
    let request = &asked.last().unwrap()["request"];
    assert_eq!((&request["operation"], &request["name"], &request["namespace"]), (&json!("CREATE"), &json!("a"), &json!("default")));
    assert_eq!(request["object"]["data"]["c"], "d", "validating webhooks see what mutating ones made");
    assert_eq!((&request["userInfo"]["username"], &request["options"]["kind"]), (&json!("admin"), &json!("CreateOptions")), "{request}");

    let denied = scene.create("b", json!({"data": {"deny": "yes"}}));
    assert_eq!((denied.code, denied.body["reason"].as_str()), (418, Some("Teapot")), "{}", denied.text);
    assert_eq!(denied.body["message"], "admission webhook \"deny.example.com\" denied the request: not this one");

    let changed = scene.cluster.http("PATCH", &format!("{MAPS}/a"), MERGE, Some(br#"{"data":{"deny":"yes"}}"#));
    assert_eq!(changed.code, 418, "{}", changed.text);
    let warned = scene.cluster.kubectl(&["annotate", "configmap", "a", "x=y"]).output().unwrap();
    assert!(String::from_utf8_lossy(&warned.stderr).contains("take care"), "{warned:?}");

    assert_eq!(scene.create("kept", json!({"data": {"keep": "yes"}})).code, 201);
    let kept = scene.cluster.http("DELETE", &format!("{MAPS}/kept"), JSON, None);
    assert_eq!((kept.code, kept.body["message"].as_str()), (400, Some("admission webhook \"deny.example.com\" denied the request without explanation")));
    let all = scene.cluster.http("DELETE", MAPS, JSON, None);
    assert_eq!(all.code, 400, "{}", all.text);
    assert_eq!(scene.cluster.http("GET", &format!("{MAPS}/kept"), &[], None).code, 200);
    // a selector lets others pass unasked
    let unasked = scene.create("c", json!({"metadata": {"name": "c", "labels": {"unasked": "yes"}}}));
    assert_eq!((unasked.code, unasked.body["data"]["c"].is_null()), (201, true), "{}", unasked.text);
    assert!(!scene.server.asked("/label").iter().any(|review| review["request"]["name"] == "c"));
    conditions(&scene);
    unreliable(&scene);
}

/// Match conditions let requests pass unasked.
fn conditions(scene: &Scene) {
    let condition = |expression: &str| json!({"matchConditions": [{"name": "one", "expression": expression}]});
    let validating = "ValidatingWebhookConfiguration";
    let bad = scene.webhook("deny", "/deny", condition("object.metadata.name =="));
    let configuration =
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": validating, "metadata": {"name": "bad"}, "webhooks": [bad]}).to_string();
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let refused = scene.cluster.http("POST", path, JSON, Some(configuration.as_bytes()));
    assert!(refused.code == 422 && refused.text.contains("webhooks[0].matchConditions[0].expression"), "{}", refused.text);
    let denied = json!({"data": {"deny": "yes"}});
    for (expression, code) in [
        ("object.metadata.name.startsWith('asked-')", 418),
        ("!object.metadata.name.startsWith('asked-')", 201),
        ("request.userInfo.username == 'admin' && request.operation == 'CREATE'", 418),
        ("authorizer.group('').resource('nodes').check('delete').allowed()", 418),
        ("has(object.spec) && object.spec.nothing == 1", 201),
        ("object.data.nothing == 'x'", 403),
    ] {
        scene.configure(validating, "deny", &[scene.webhook("deny", "/deny", condition(expression))]);
        let answer = scene.create(&format!("asked-{code}"), denied.clone());
        assert_eq!(answer.code, code, "{expression}: {}", answer.text);
        scene.cluster.k(&["delete", "validatingwebhookconfiguration", "deny"]);
        scene.cluster.k(&["delete", "configmap", &format!("asked-{code}"), "--ignore-not-found"]);
    }
}

/// Webhooks that can't be asked, or whose answers can't be believed.
fn unreliable(scene: &Scene) {
    let validating = "ValidatingWebhookConfiguration";
    let nowhere = json!({"url": format!("https://{}:1/", scene.host), "caBundle": STANDARD.encode(&scene.server.pem)});
    scene.configure(validating, "deny", &[scene.webhook("nowhere", "/", json!({"clientConfig": nowhere}))]);
    let refused = scene.create("d", json!({}));
    let message = refused.body["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Internal error occurred: failed calling webhook \"nowhere.example.com\": failed to call webhook: Post"), "{message}");
    scene.configure(validating, "deny", &[scene.webhook("nowhere", "/", json!({"clientConfig": nowhere, "failurePolicy": "Ignore"}))]);
    assert_eq!(scene.create("d", json!({})).code, 201);

    scene.configure(validating, "deny", &[scene.webhook("silent", "/silent", json!({"timeoutSeconds": 1}))]);
    let began = Instant::now();
    let late = scene.create("e", json!({}));
    assert!(late.code == 500 && late.text.contains("context deadline exceeded"), "{}", late.text);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    scene.configure(validating, "deny", &[scene.webhook("garbage", "/garbage", json!({}))]);
    let garbage = scene.create("e", json!({}));
    assert!(garbage.code == 500 && garbage.text.contains("failed to call webhook: couldn't get version/kind"), "{}", garbage.text);
    scene.cluster.k(&["delete", "validatingwebhookconfiguration", "deny"]);

    for (path, code) in [("/badpatch", 500), ("/steal", 400)] {
        scene.configure("MutatingWebhookConfiguration", "label", &[scene.webhook("patch", path, json!({}))]);
        let answer = scene.create("f", json!({}));
        assert_eq!(answer.code, code, "{path}: {}", answer.text);
    }
    // who configures webhooks is stopped by none
    let all = json!([{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]);
    scene.configure(validating, "all", &[scene.webhook("all", "/garbage", json!({"rules": all, "namespaceSelector": {}, "objectSelector": {}}))]);
    scene.cluster.k(&["delete", "validatingwebhookconfiguration", "all"]);
}

/// Webhooks that ask the cluster before they answer, that want to be asked again, and that are reached by a Service.
#[test]
fn asked_again_and_by_service() {
    let pki: Arc<Mutex<Option<(String, String)>>> = Arc::default();
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let (own, seen) = (pki.clone(), order.clone());
    let scene = Scene::start(move |path, review| {
        seen.lock().unwrap().push(path.to_owned());
        let object = &review["request"]["object"];
        let (pki, api) = own.lock().unwrap().clone().unwrap();
        match path {
            // it asks the cluster for the very resource that waits for it
            "/back" => {
                let args = ["-sf", "--max-time", "5", "--cacert", &format!("{pki}/ca.crt"), "--cert", &format!("{pki}/admin.crt"), "--key"];
                let called = std::process::Command::new("curl").args(args).arg(format!("{pki}/admin.key")).arg(format!("{api}{MAPS}")).output().unwrap();
                answer(review, json!({"allowed": called.status.success()}))
            }
            "/first" => {
                let n: u32 = object["data"]["n"].as_str().unwrap_or("0").parse().unwrap();
                patch(review, &json!([{"op": "add", "path": "/data/n", "value": (n + 1).to_string()}]))
            }
            _ => patch(review, &json!([{"op": "add", "path": "/data/second", "value": "yes"}])),
        }
    });
    *pki.lock().unwrap() = Some((scene.cluster.data().join("pki").to_str().unwrap().to_owned(), format!("https://{}:6443", scene.cluster.machines[0].address)));
    let port = scene.server.address.port();
    scene.cluster.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 443}]}}).to_string());
    scene.cluster.apply(
        &json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "hooks", "labels": {"kubernetes.io/service-name": "hooks"}},
            "addressType": "IPv4", "ports": [{"name": "", "port": port}], "endpoints": [{"addresses": [scene.host]}]})
        .to_string(),
    );
    let service = json!({"service": {"namespace": "default", "name": "hooks", "path": "/second"}, "caBundle": STANDARD.encode(&scene.server.pem)});
    let first = scene.webhook("first", "/first", json!({"reinvocationPolicy": "IfNeeded"}));
    let second = scene.webhook("second", "/", json!({"clientConfig": service}));
    scene.configure("MutatingWebhookConfiguration", "m", &[first, second]);
    scene.configure("ValidatingWebhookConfiguration", "v", &[scene.webhook("back", "/back", json!({}))]);
    let made = scene.create("a", json!({}));
    assert_eq!((made.code, &made.body["data"]["n"], &made.body["data"]["second"]), (201, &json!("2"), &json!("yes")), "{}", made.text);
    assert_eq!(*order.lock().unwrap(), ["/first", "/second", "/first", "/back"]);
    // nothing of it is written when it is only tried, and none is asked that doesn't allow that
    let tried = scene.cluster.http("POST", &format!("{MAPS}?dryRun=All"), JSON, Some(br#"{"metadata":{"name":"t"},"data":{"a":"b"}}"#));
    assert_eq!((tried.code, &tried.body["data"]["n"]), (201, &json!("2")), "{}", tried.text);
    assert_eq!(scene.cluster.http("GET", &format!("{MAPS}/t"), &[], None).code, 404);
    parts(&scene);
}

/// What subresources exchange is what webhooks see of them.
fn parts(scene: &Scene) {
    let cluster = &scene.cluster;
    let rule = json!([{"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale", "deployments/status"]}]);
    scene.configure("MutatingWebhookConfiguration", "m", &[]);
    scene.configure("ValidatingWebhookConfiguration", "v", &[scene.webhook("part", "/back", json!({"rules": rule}))]);
    cluster.apply("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}");
    cluster.k(&["scale", "deployment", "d", "--replicas=2"]);
    eventually("the scale was asked about", Duration::from_secs(5), || {
        let asked = scene.server.asked("/back");
        let scale = asked.iter().rfind(|review| review["request"]["subResource"] == "scale").ok_or("not yet")?;
        let request = &scale["request"];
        assert_eq!((&request["kind"]["kind"], &request["object"]["spec"]["replicas"]), (&json!("Scale"), &json!(2)), "{request}");
        assert_eq!((&request["resource"]["resource"], &request["oldObject"]["spec"]["replicas"]), (&json!("deployments"), &json!(0)));
        Ok(())
    });
}

/// A custom resource of two versions: `v1` has `hostPort`, `v2` has `host` and `port`.
fn definition(scene: &Scene, storage: &str, path: &str) -> String {
    let version = |name: &str, properties: Value| {
        json!({"name": name, "served": true, "storage": name == storage,
            "selectableFields": if name == "v2" { json!([{"jsonPath": ".spec.host"}]) } else { json!([]) },
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "links.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "links", "kind": "Link"},
        "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": scene.url(path), "conversionReviewVersions": ["v1"]}},
        "versions": [
            version("v1", json!({"hostPort": {"type": "string", "maxLength": 12}})),
            version("v2", json!({"host": {"type": "string", "maxLength": 20}, "port": {"type": "string", "default": "80"}})),
        ],
    }})
    .to_string()
}

/// Converts between the two versions, and marks what it made.
fn converts(path: &str, review: &Value) -> Option<String> {
    let request = &review["request"];
    let desired = request["desiredAPIVersion"].as_str().unwrap();
    let convert = |object: &Value| {
        let mut new = object.clone();
        new["apiVersion"] = json!(desired);
        let spec = &object["spec"];
        new["spec"] = if desired.ends_with("v2") {
            let (host, port) = spec["hostPort"].as_str().unwrap_or_default().split_once(':').unwrap_or_default();
            json!({"host": host, "port": port})
        } else {
            json!({"hostPort": format!("{}:{}", spec["host"].as_str().unwrap_or_default(), spec["port"].as_str().unwrap_or_default())})
        };
        if path == "/rename" {
            new["metadata"]["name"] = json!("other");
        }
        new
    };
    let converted: Vec<Value> = request["objects"].as_array().unwrap().iter().map(convert).collect();
    let response = json!({"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}});
    Some(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}).to_string())
}

#[test]
fn conversions() {
    let scene = Scene::start(converts);
    let cluster = &scene.cluster;
    cluster.apply(&definition(&scene, "v1", "/convert"));
    cluster.k(&["wait", "--for=condition=Established", "crd/links.example.com", "--timeout=10s"]);
    let links = |version: &str| format!("/apis/example.com/{version}/namespaces/default/links");
    let link = |version: &str, name: &str, spec: Value| json!({"apiVersion": format!("example.com/{version}"), "kind": "Link", "metadata": {"name": name}, "spec": spec});
    let post = |version: &str, object: Value| cluster.http("POST", &links(version), JSON, Some(object.to_string().as_bytes()));
    eventually("links are served", Duration::from_secs(5), || {
        let made = post("v1", link("v1", "a", json!({"hostPort": "one:1"})));
        if made.code == 201 { Ok(()) } else { Err(made.text) }
    });
    let made = post("v2", link("v2", "b", json!({"host": "two", "port": "2", "unknown": 1})));
    assert_eq!((made.code, &made.body["spec"]), (201, &json!({"host": "two", "port": "2"})), "{}", made.text);
    // each version judges and completes what is written in it
    let long = post("v2", link("v2", "long", json!({"host": "fifteen-letters"})));
    assert_eq!((long.code, &long.body["spec"]["port"]), (201, &json!("80")), "{}", long.text);
    let longer = post("v2", link("v2", "longer", json!({"host": "twenty-one-letters-ok"})));
    assert!(longer.code == 422 && longer.text.contains("spec.host"), "{}", longer.text);
    assert_eq!(cluster.http("DELETE", &format!("{}/long", links("v2")), &[], None).code, 200);
    let get = |version: &str, name: &str| cluster.http("GET", &format!("{}/{name}", links(version)), &[], None);
    assert_eq!(get("v1", "b").body["spec"], json!({"hostPort": "two:2"}));
    assert_eq!(get("v2", "a").body["spec"], json!({"host": "one", "port": "1"}));
    let listed = cluster.http("GET", &links("v2"), &[], None);
    let hosts: Vec<&str> = listed.body["items"].as_array().unwrap().iter().map(|item| item["spec"]["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["one", "two"], "{}", listed.text);
    let selected = cluster.http("GET", &format!("{}?fieldSelector=spec.host%3Dtwo", links("v2")), &[], None);
    assert_eq!((selected.body["items"].as_array().unwrap().len(), &selected.body["items"][0]["metadata"]["name"]), (1, &json!("b")), "{}", selected.text);
    let patched = cluster.http("PATCH", &format!("{}/a", links("v2")), MERGE, Some(br#"{"spec":{"port":"9"}}"#));
    assert_eq!((patched.code, &get("v1", "a").body["spec"]), (200, &json!({"hostPort": "one:9"})), "{}", patched.text);
    let watched = cluster.http("GET", &format!("{}?watch=true&timeoutSeconds=1", links("v2")), &[], None).text;
    assert!(watched.lines().count() == 2 && watched.contains("\"port\":\"9\""), "{watched}");
    applied(&scene);
    stored_anew(&scene, &get);
}

/// Who applies in one version conflicts with who applied in the other, about the other's fields.
fn applied(scene: &Scene) {
    let apply = |version: &str, manager: &str, spec: Value| {
        let link = json!({"apiVersion": format!("example.com/{version}"), "kind": "Link", "metadata": {"name": "shared"}, "spec": spec});
        let path = format!("/apis/example.com/{version}/namespaces/default/links/shared?fieldManager={manager}");
        scene.cluster.http("PATCH", &path, &["Content-Type: application/apply-patch+yaml"], Some(link.to_string().as_bytes()))
    };
    let made = apply("v2", "two", json!({"host": "x", "port": "1"}));
    assert_eq!(made.code, 201, "{}", made.text);
    let conflict = apply("v1", "one", json!({"hostPort": "y:1"}));
    assert!(conflict.code == 409 && conflict.text.contains(r#"conflict with \"two\": .spec.host"#), "{}", conflict.text);
    let same = apply("v1", "one", json!({"hostPort": "x:1"}));
    let owned: Vec<String> = same.body["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["manager"], entry["fieldsV1"]["f:spec"]))
        .collect();
    assert_eq!(owned, [r#""one" {"f:hostPort":{}}"#, r#""two" {"f:host":{},"f:port":{}}"#], "{}", same.text);
    assert_eq!(scene.cluster.http("DELETE", "/apis/example.com/v1/namespaces/default/links/shared", &[], None).code, 200);
}

/// What was stored in one version is still read when another one is stored, and nothing is lost while the webhook can't be asked.
fn stored_anew(scene: &Scene, get: &dyn Fn(&str, &str) -> e2e::Answer) {
    let cluster = &scene.cluster;
    cluster.apply(&definition(scene, "v2", "/convert"));
    eventually("objects of both stored versions are read", Duration::from_secs(5), || {
        let (old, new) = (get("v1", "a"), get("v2", "a"));
        let right = old.body["spec"] == json!({"hostPort": "one:9"}) && new.body["spec"] == json!({"host": "one", "port": "9"});
        let versions = (&old.body["apiVersion"], &new.body["apiVersion"]) == (&json!("example.com/v1"), &json!("example.com/v2"));
        if right && versions { Ok(()) } else { Err(format!("{} {}", old.text, new.text)) }
    });
    cluster.k(&["label", "links.v2.example.com", "a", "moved=yes"]);
    assert_eq!(get("v2", "a").body["metadata"]["labels"]["moved"], "yes");
    for (path, why) in [("/rename", "must have the same name: b != other"), ("/nowhere-to-be-found", "")] {
        if why.is_empty() {
            let gone = definition(scene, "v2", path).replace(&format!(":{}", scene.server.address.port()), ":1");
            cluster.apply(&gone);
        } else {
            cluster.apply(&definition(scene, "v2", path));
        }
        eventually("the conversion fails", Duration::from_secs(5), || {
            let failed = get("v2", "b");
            let told = failed.code == 500 && failed.text.contains("conversion webhook for example.com/v") && failed.text.contains(why);
            if told { Ok(()) } else { Err(failed.text) }
        });
    }
    cluster.apply(&definition(scene, "v2", "/convert"));
    eventually("nothing was lost", Duration::from_secs(5), || {
        let b = get("v2", "b");
        if b.body["spec"] == json!({"host": "two", "port": "2"}) { Ok(()) } else { Err(b.text) }
    });
    cluster.k(&["delete", "crd", "links.example.com", "--timeout=10s"]);
}
