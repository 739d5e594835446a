use super::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status};
use super::*;
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::validate_and_prune;
use serde_json::{Value, json};

#[test]
fn every_row_is_whole() {
    let kinds = builtin();
    for kind in kinds.rows() {
        assert!(kind.schema.node().is_some(), "{kind:?}: no schema {}", kind.schema.name());
        assert!(kinds.of(&kind.api_version(), &kind.kind).is_some_and(|k| k.resource == kind.resource));
        assert!(kinds.resource(&kind.group, &kind.resource).is_some());
        if let Some(other) = &kind.stored_as {
            assert!(kinds.resource(&other.group, &other.resource).is_some_and(|row| row.stored_as.is_none()), "{kind:?}");
        }
        for field in &kind.selectable {
            let mut node = kind.schema.node().unwrap();
            for step in &field.path {
                node = node.properties.get(step).unwrap_or_else(|| panic!("{kind:?}: {}", field.label)).resolve().1;
            }
        }
    }
}

#[test]
fn a_table_is_a_value() {
    let kinds = builtin();
    let mut row = Kind::clone(kinds.resource("", "pods").unwrap());
    (row.kind, row.resource) = ("Whale".into(), "whales".into());
    let mut second = row.clone();
    second.version = "v2".into();
    let (before, changed) = (kinds.rows().len(), kinds.clone().with(row).with(second));
    assert_eq!((changed.rows().len(), changed.kind("", "Pod").is_some(), changed.kind("", "Whale").is_some()), (before + 2, true, true));
    let version = |k: &std::sync::Arc<Kind>| k.version.to_string();
    assert_eq!(changed.resource("", "whales").map(version), Some("v1".to_owned()));
    assert_eq!(changed.served("", "v2", "whales").map(version), Some("v2".to_owned()));
    assert_eq!((changed.of("v2", "Whale").map(version), changed.of("v3", "Whale").map(version)), (Some("v2".to_owned()), None));
    let without = changed.without("", "whales");
    assert_eq!((without.rows().len(), without.resource("", "whales").is_none(), without.kind("", "Whale").is_none()), (before, true, true));
    assert!(kinds.of("v1", "Pod").is_some() && kinds.of("v2", "Pod").is_none());
}

/// What a create makes of an object: the object as stored, and what is refused.
fn create(group: &str, resource: &str, object: Value) -> (Object, Vec<String>) {
    let kinds = builtin();
    let kind = kinds.resource(group, resource).unwrap();
    let mut object = Object::from_value(object).unwrap();
    object.set(&["metadata", "name"], "x");
    if kind.namespaced() {
        object.set(&["metadata", "namespace"], "default");
    }
    assert_eq!(validate_and_prune(kind, &mut object), Ok(vec![]));
    kind.strategy.default(&mut object);
    kind.strategy.prepare_create(&mut object);
    let causes = crate::meta::validate(kind, &object).into_iter().chain(kind.strategy.validate(&object)).chain(kind.strategy.validate_create(&object));
    let causes = causes.map(|c| format!("{}: {}", c.field, c.message)).collect();
    let mut again = object.clone();
    assert_eq!(validate_and_prune(kind, &mut again), Ok(vec![]), "defaults obey the schema");
    (object, causes)
}

fn update(group: &str, resource: &str, old: Value, new: Value) -> Vec<String> {
    let (old, _) = create(group, resource, old);
    let kinds = builtin();
    let kind = kinds.resource(group, resource).unwrap();
    let mut new = Object::from_value(new).unwrap();
    kind.strategy.default(&mut new);
    kind.strategy.prepare_update(&mut new, &old);
    kind.strategy.validate_update(&new, &old).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

fn deployment(spec: Value) -> Value {
    let mut all = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}});
    all.as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
    json!({ "spec": all })
}

#[test]
fn deployments() {
    let (made, causes) = create("apps", "deployments", deployment(json!({})));
    assert_eq!(causes, Vec::<String>::new());
    assert_eq!(made.at(&["spec", "strategy"]), Some(&json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})));
    assert_eq!(["replicas", "revisionHistoryLimit", "progressDeadlineSeconds"].map(|f| made.int_at(&["spec", f])), [Some(1), Some(10), Some(600)]);
    assert_eq!(made.str_at(&["spec", "template", "spec", "dnsPolicy"]), "ClusterFirst");
    assert_eq!(made.at(&["spec", "template", "spec", "enableServiceLinks"]), None);
    for (spec, expected) in [
        (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            json!({"selector": null}),
            r#"spec.selector: Required value | spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
        ),
        (json!({"selector": {}}), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (
            json!({"selector": {"matchLabels": {"a": "c"}}}),
            r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
        ),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            json!({"strategy": {"type": "X"}}),
            r#"spec.strategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate""#,
        ),
        (
            json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            json!({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ),
        (json!({"minReadySeconds": 600}), "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"),
    ] {
        assert_eq!(create("apps", "deployments", deployment(spec)).1.join(" | "), expected);
    }
    let other = deployment(json!({"selector": {"matchLabels": {"a": "c"}}}));
    assert_eq!(update("apps", "deployments", deployment(json!({})), other), [r#"spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable"#]);
    assert_eq!(update("apps", "replicasets", deployment(json!({})), deployment(json!({"replicas": 3}))), Vec::<String>::new());
}

#[test]
fn services() {
    let (made, causes) = create("", "services", json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}));
    assert_eq!(causes, Vec::<String>::new());
    assert_eq!(
        made.at(&["spec"]),
        Some(
            &json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}], "selector": {"a": "b"}})
        )
    );
    for (spec, expected) in [
        (json!({}), "spec.ports: Required value"),
        (json!({"ports": [{"port": 0}]}), "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        (json!({"ports": [{"port": 1, "name": "a"}, {"port": 2}]}), "spec.ports[1].name: Required value"),
        (json!({"ports": [{"port": 1, "nodePort": 30000}]}), "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
        (
            json!({"ports": [{"port": 1}], "type": "X"}),
            "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            json!({"ports": [{"port": 1}], "clusterIP": "x"}),
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
    ] {
        let causes = create("", "services", json!({ "spec": spec })).1;
        assert!(causes.contains(&expected.to_owned()), "{causes:?}");
    }
    let with = |ip: &str, kind: &str| json!({"spec": {"ports": [{"port": 80, "nodePort": 30001}], "clusterIP": ip, "type": kind}});
    assert_eq!(update("", "services", with("10.0.0.1", "NodePort"), with("", "NodePort")), Vec::<String>::new(), "what is left out is kept");
    assert_eq!(
        update("", "services", with("10.0.0.1", "NodePort"), with("10.0.0.2", "NodePort")),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]
    );
    let kinds = builtin();
    let strategy = kinds.resource("", "services").unwrap().strategy;
    let old = Object::from_value(with("10.0.0.1", "NodePort")).unwrap();
    let mut new = Object::from_value(json!({"spec": {"ports": [{"port": 80}], "type": "NodePort"}})).unwrap();
    strategy.default(&mut new);
    let mut before = old.clone();
    strategy.default(&mut before);
    strategy.prepare_update(&mut new, &before);
    assert_eq!((new.str_at(&["spec", "clusterIP"]), new.at(&["spec", "ports"]).unwrap()[0]["nodePort"].as_i64()), ("10.0.0.1", Some(30001)));
}

#[test]
fn a_service_leaves_its_type_with_what_is_the_types_own() {
    let kinds = builtin();
    let strategy = kinds.resource("", "services").unwrap().strategy;
    let service = |spec: serde_json::Value| {
        let mut object = Object::from_value(
            json!({"metadata": {"name": "x", "namespace": "a"}, "spec": spec, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}),
        )
        .unwrap();
        strategy.default(&mut object);
        object
    };
    let base = json!({"clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30001}], "externalName": "a.b"});
    let with = |kind: &str, more: serde_json::Value| {
        let mut spec = base.clone();
        spec["type"] = json!(kind);
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let load = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 30005, "loadBalancerClass": "a/b", "allocateLoadBalancerNodePorts": true});
    let changed = |from: (&str, serde_json::Value), to: (&str, serde_json::Value)| {
        let (old, mut new) = (service(with(from.0, from.1)), service(with(to.0, to.1)));
        strategy.prepare_update(&mut new, &old);
        let causes: Vec<String> = strategy.validate(&new).into_iter().map(|c| c.field).collect();
        (new, causes)
    };
    let own = ["healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass", "externalTrafficPolicy"];
    for to in ["ClusterIP", "ExternalName"] {
        for from in [("NodePort", json!({"externalTrafficPolicy": "Cluster"})), ("LoadBalancer", load.clone())] {
            let (new, causes) = changed(from.clone(), (to, from.1.clone()));
            assert_eq!(causes, Vec::<String>::new(), "{} to {to}", from.0);
            assert!(new.at(&["spec", "ports"]).unwrap()[0].get("nodePort").is_none() && own.iter().all(|f| new.at(&["spec", f]).is_none()), "{new:?}");
            assert_eq!(new.at(&["status", "loadBalancer"]), Some(&if from.0 == "LoadBalancer" { json!({}) } else { json!({"ingress": [{"ip": "1.2.3.4"}]}) }));
        }
    }
    let other = json!({"ports": [{"port": 80, "nodePort": 30002}]});
    assert_eq!(changed(("NodePort", json!({})), ("ClusterIP", other)).1, ["spec.ports[0].nodePort"], "what the client changed isn't dropped");
    let (kept, _) = changed(("LoadBalancer", load.clone()), ("NodePort", load));
    assert_eq!((kept.at(&["spec", "ports"]).unwrap()[0]["nodePort"].as_i64(), kept.str_at(&["spec", "externalTrafficPolicy"])), (Some(30001), "Local"));
    assert!(kept.at(&["spec", "healthCheckNodePort"]).is_none());
}

#[test]
fn config() {
    let (secret, causes) = create("", "secrets", json!({"stringData": {"a": "hi"}, "data": {"b": "aGk="}}));
    assert_eq!((secret.str_at(&["type"]), secret.at(&["data"]), causes.len()), ("Opaque", Some(&json!({"a": "aGk=", "b": "aGk="})), 0));
    for (resource, object, expected) in [
        ("configmaps", json!({"data": {"a/b": ""}}), "data[a/b]: Invalid value: \"a/b\": a valid config key must"),
        ("configmaps", json!({"data": {"a": ""}, "binaryData": {"a": ""}}), "data[a]: Invalid value: \"a\": duplicate of key"),
        ("configmaps", json!({"data": {"a": "x".repeat(1_048_577)}}), ": Too long: may not be more than 1048576 bytes"),
        ("secrets", json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}), "data[tls.key]: Required value"),
        (
            "secrets",
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{"}}),
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\"",
        ),
        ("secrets", json!({"type": "kubernetes.io/service-account-token"}), "metadata.annotations[kubernetes.io/service-account.name]: Required value"),
    ] {
        let causes = create("", resource, object).1;
        assert!(causes.len() == 1 && causes[0].starts_with(expected), "{causes:?}");
    }
    let fixed = json!({"immutable": true, "data": {"a": "1"}});
    assert_eq!(
        update("", "configmaps", fixed.clone(), json!({"immutable": true, "data": {"a": "2"}})),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    assert_eq!(update("", "configmaps", fixed, json!({"data": {"a": "1"}})), ["immutable: Forbidden: field is immutable when `immutable` is set"]);
    assert_eq!(update("", "secrets", json!({}), json!({"type": "a/b"})), ["type: Invalid value: \"a/b\": field is immutable"]);
}

#[test]
fn namespaces() {
    let (mut made, causes) = create("", "namespaces", json!({}));
    assert_eq!(causes, Vec::<String>::new());
    assert_eq!(
        (made.at(&["spec"]), made.str_at(&["status", "phase"]), made.label("kubernetes.io/metadata.name")),
        (Some(&json!({"finalizers": ["kubernetes"]})), "Active", Some("x"))
    );
    let kinds = builtin();
    let strategy = kinds.resource("", "namespaces").unwrap().strategy;
    assert!(strategy.held(&made));
    strategy.prepare_delete(&mut made);
    assert_eq!(made.str_at(&["status", "phase"]), "Terminating");
    made.set(&["spec"], json!({}));
    assert!(!strategy.held(&made));
    assert!(!strategy.name_errors("a.b").is_empty());
}

#[test]
fn access() {
    let rbac = "rbac.authorization.k8s.io";
    let binding = |kind: &str, subject: Value| json!({"roleRef": {"kind": kind, "name": "r"}, "subjects": [subject]});
    let (made, causes) = create(rbac, "rolebindings", binding("ClusterRole", json!({"kind": "User", "name": "u"})));
    assert_eq!((causes.len(), made.str_at(&["roleRef", "apiGroup"]), &made.list_at(&["subjects"])[0]["apiGroup"]), (0, rbac, &json!(rbac)));
    for (resource, object, expected) in [
        (
            "clusterrolebindings",
            binding("Role", json!({"kind": "User", "name": "u"})),
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
        ),
        ("clusterrolebindings", binding("ClusterRole", json!({"kind": "ServiceAccount", "name": "u"})), "subjects[0].namespace: Required value"),
        (
            "rolebindings",
            binding("Role", json!({"kind": "Dog", "name": "u"})),
            "subjects[0].kind: Unsupported value: \"Dog\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
        ),
        ("roles", json!({"rules": [{"apiGroups": [""], "resources": ["pods"]}]}), "rules[0].verbs: Required value: verbs must contain at least one value"),
        (
            "roles",
            json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
        ),
        (
            "clusterroles",
            json!({"rules": [{"verbs": ["get"], "resources": ["pods"]}]}),
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        ),
    ] {
        assert_eq!(create(rbac, resource, object).1, [expected]);
    }
    let user = json!({"kind": "User", "name": "u"});
    assert_eq!(
        update(rbac, "rolebindings", binding("Role", user.clone()), binding("ClusterRole", user)),
        [r#"roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"r"}: field is immutable"#]
    );
}

#[test]
fn others() {
    for (group, resource, object, expected) in [
        ("coordination.k8s.io", "leases", json!({"spec": {"leaseDurationSeconds": 0}}), "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
        (
            "",
            "nodes",
            json!({"spec": {"taints": [{"key": "a", "effect": "No"}]}}),
            "metadata.taints[0].effect: Unsupported value: \"No\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
        ),
        ("", "endpoints", json!({"subsets": [{}]}), "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["2001:db8::1"]}]}),
            "endpoints[0].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address",
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"value": 1_000_000_001}),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        ("apps", "controllerrevisions", json!({"revision": 1}), "data: Required value: data is mandatory"),
        (
            "",
            "events",
            json!({"involvedObject": {"kind": "Pod", "namespace": "other"}}),
            "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace",
        ),
    ] {
        assert_eq!(create(group, resource, object).1, [expected]);
    }
}

#[test]
fn a_pod_template_is_a_pod_that_is_kept() {
    let kinds = builtin();
    let kind = kinds.kind("", "PodTemplate").unwrap();
    let template = |spec: serde_json::Value| {
        let json = serde_json::json!({"metadata": {"name": "x", "namespace": "a"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}});
        let mut object = crate::Object(json.as_object().unwrap().clone());
        kind.strategy.default(&mut object);
        let errors: Vec<String> = kind.strategy.validate(&object).into_iter().map(|c| c.field).collect();
        (object, errors)
    };
    let (object, errors) = template(serde_json::json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}));
    assert_eq!((object.str_at(&["template", "spec", "dnsPolicy"]), errors), ("ClusterFirst", vec![]), "pods that end are fine");
    assert_eq!(template(serde_json::json!({})).1, ["template.spec.containers"]);
    let cells: Vec<String> = kind.columns.iter().map(|c| c.cell.of(&object, jiff::Timestamp::UNIX_EPOCH).to_string()).collect();
    assert_eq!(cells, ["\"x\"", "\"c\"", "\"i\"", "\"a=b\""]);
}

#[test]
fn what_is_declared_holds_for_a_row_without_rules_of_its_own() {
    let class = |handler: &str| json!({ "handler": handler });
    check_kind(
        "node.k8s.io",
        "runtimeclasses",
        vec![(class("crun"), ""), (class(""), "handler: Required value"), (class("A"), "handler: Invalid value: \"A\": a lowercase…")],
    );
    check_kind_change("node.k8s.io", "runtimeclasses", vec![(class("a"), class("b"), "handler: Invalid value: \"b\": field is immutable")]);
    check_kind_status("node.k8s.io", "runtimeclasses", vec![(class("a"), class("a"), "")]);
    check_defaults("node.k8s.io", "runtimeclasses", class("a"), class("a"));
}
