use super::*;
use crate::kinds::builtin;
use serde_json::json;

fn defaulted(spec: Value) -> Object {
    let mut pod = Object::from_value(json!({ "spec": spec })).unwrap();
    STRATEGY.default(&mut pod);
    pod
}
fn causes(spec: Value) -> Vec<String> {
    STRATEGY.validate(&defaulted(spec)).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

#[test]
fn defaults() {
    let pod = defaulted(json!({
        "containers": [
            {"name": "a", "image": "nginx", "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 0},
             "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}], "resources": {"limits": {"cpu": "1"}}},
            {"name": "b", "image": "reg:5000/x:1.2"},
        ],
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
        "serviceAccountName": "sa",
    }));
    let at = |pointer: &str| Value::Object(pod.0.clone()).pointer(pointer).cloned().unwrap_or_default();
    for (pointer, expected) in [
        ("/spec/restartPolicy", json!("Always")),
        ("/spec/dnsPolicy", json!("ClusterFirst")),
        ("/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/schedulerName", json!("default-scheduler")),
        ("/spec/securityContext", json!({})),
        ("/spec/enableServiceLinks", json!(true)),
        ("/spec/serviceAccount", json!("sa")),
        ("/spec/containers/0/imagePullPolicy", json!("Always")),
        ("/spec/containers/1/imagePullPolicy", json!("IfNotPresent")),
        ("/spec/containers/0/terminationMessagePath", json!("/dev/termination-log")),
        (
            "/spec/containers/0/livenessProbe",
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}),
        ),
        ("/spec/containers/0/ports/0/protocol", json!("TCP")),
        ("/spec/containers/0/env/0/valueFrom/fieldRef/apiVersion", json!("v1")),
        ("/spec/containers/0/resources/requests", json!({"cpu": "1"})),
        ("/spec/containers/1/resources", json!({})),
        ("/spec/volumes/0/emptyDir", json!({})),
        ("/spec/volumes/1/secret/defaultMode", json!(420)),
    ] {
        assert_eq!(at(pointer), expected, "{pointer}");
    }
    assert_eq!(defaulted(json!({"terminationGracePeriodSeconds": -7})).int_at(&["spec", "terminationGracePeriodSeconds"]), Some(1));
    let mut again = pod.clone();
    STRATEGY.default(&mut again);
    assert_eq!(again, pod, "defaults are stable");
}

#[test]
fn accepted() {
    let spec = json!({
        "containers": [{"name": "a", "image": "i", "ports": [{"name": "http", "containerPort": 80}], "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a/b"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}], "envFrom": [{"configMapRef": {"name": "c"}}],
            "readinessProbe": {"tcpSocket": {"port": "http"}, "successThreshold": 2}, "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1Gi", "example.com/gpu": 1}}}],
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}}],
        "serviceAccountName": "sa",
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}]}}],
        "tolerations": [{"operator": "Exists"}, {"key": "k", "effect": "NoExecute", "tolerationSeconds": 3}], "nodeSelector": {"a": "b"},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}]}},
    });
    assert_eq!(causes(spec), Vec::<String>::new());
}

/// A pod of one container that has these fields.
fn with(container: Value) -> Value {
    let mut c = json!({"name": "a", "image": "i"});
    c.as_object_mut().unwrap().extend(container.as_object().cloned().unwrap());
    json!({ "containers": [c] })
}

#[test]
fn refused_containers() {
    for (spec, expected) in [
        (json!({}), "spec.containers: Required value"),
        (with(json!({"image": ""})), "spec.containers[0].image: Required value"),
        (with(json!({"image": " i"})), "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace"),
        (json!({"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]}), "spec.containers[1].name: Duplicate value: \"a\""),
        (
            with(json!({"imagePullPolicy": "Maybe"})),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            with(json!({"ports": [{"containerPort": 70000}]})),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (with(json!({"ports": [{"containerPort": 0}]})), "spec.containers[0].ports[0].containerPort: Required value"),
        (
            with(json!({"ports": [{"containerPort": 80, "protocol": "X"}]})),
            "spec.containers[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (with(json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]})), "spec.containers[0].volumeMounts[0].name: Not found: \"x\""),
        (
            with(json!({"env": [{"name": "A", "valueFrom": {}}]})),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        (with(json!({"livenessProbe": {}})), "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            with(json!({"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}})),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            with(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            with(json!({"resources": {"requests": {"cpu": "-1"}}})),
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
    ] {
        assert_eq!(causes(spec), [expected]);
    }
}

#[test]
fn refused_pods() {
    let pod = |rest: Value| {
        let mut spec = with(json!({}));
        spec.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
        spec
    };
    for (spec, expected) in [
        (
            pod(json!({"restartPolicy": "Sometimes"})),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            pod(json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]})),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            pod(json!({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]})),
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ),
        (
            pod(json!({"tolerations": [{"key": "a", "operator": "Is"}]})),
            "spec.tolerations[0].operator: Unsupported value: \"Is\": supported values: \"Equal\", \"Exists\"",
        ),
        (
            pod(json!({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]})),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (pod(json!({"dnsPolicy": "None"})), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        (pod(json!({"shareProcessNamespace": true})), "spec.shareProcessNamespace: Forbidden: not supported by this version"),
        (pod(json!({"hostUsers": false})), "spec.hostUsers: Forbidden: not supported by this version"),
    ] {
        assert_eq!(causes(spec), [expected]);
    }
}

#[test]
fn updates() {
    let old = defaulted(json!({"containers": [{"name": "a", "image": "i:1"}], "tolerations": [{"key": "a"}]}));
    let changed = |path: &[&str], value: Value| {
        let mut new = old.clone();
        new.set(path, value);
        STRATEGY.validate_update(&new, &old).into_iter().map(|c| c.field).collect::<Vec<_>>()
    };
    let mut containers = old.list_at(&["spec", "containers"]).to_vec();
    containers[0]["image"] = "i:2".into();
    assert!(changed(&["spec", "containers"], containers.clone().into()).is_empty());
    containers[0]["command"] = json!(["x"]);
    assert_eq!(changed(&["spec", "containers"], containers.clone().into()), ["spec"]);
    containers.push(json!({"name": "b", "image": "j"}));
    assert_eq!(changed(&["spec", "containers"], containers.into()), ["spec.containers"]);
    assert!(changed(&["spec", "tolerations"], json!([{"key": "b"}, {"key": "a", "tolerationSeconds": 1}])).is_empty());
    assert_eq!(changed(&["spec", "tolerations"], json!([])), ["spec.tolerations"]);
    assert!(changed(&["spec", "activeDeadlineSeconds"], json!(5)).is_empty());
    assert_eq!(changed(&["spec", "nodeName"], json!("n")), ["spec"]);
    assert!(changed(&["metadata", "labels"], json!({"a": "b"})).is_empty());
}

#[test]
fn classes() {
    let class = |resources: Value| qos_class(&defaulted(json!({"containers": [{"name": "a", "resources": resources}]})));
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})), "Burstable");
}

#[test]
fn grace() {
    let pod = |node: &str, phase: &str| {
        Object::from_value(json!({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": phase}})).unwrap()
    };
    assert_eq!(STRATEGY.grace_seconds(&pod("n", "Running"), None), Some(30));
    assert_eq!(STRATEGY.grace_seconds(&pod("n", "Running"), Some(5)), Some(5));
    assert_eq!(STRATEGY.grace_seconds(&pod("n", "Running"), Some(0)), None);
    assert_eq!(STRATEGY.grace_seconds(&pod("", "Pending"), None), None);
    assert_eq!(STRATEGY.grace_seconds(&pod("n", "Succeeded"), None), None);
}

/// No strategy panics, whatever an object looks like.
#[test]
fn strategies_never_panic() {
    use proptest::prelude::*;
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), "[a-z=%/.]{0,4}".prop_map(Value::from)];
    let keys = prop::sample::select(vec![
        "spec",
        "template",
        "containers",
        "ports",
        "env",
        "valueFrom",
        "volumes",
        "name",
        "resources",
        "limits",
        "cpu",
        "strategy",
        "rollingUpdate",
        "maxSurge",
        "type",
        "data",
        "selector",
        "subsets",
        "endpoints",
        "addresses",
        "rules",
        "subjects",
        "roleRef",
        "metadata",
        "status",
        "httpGet",
        "livenessProbe",
        "affinity",
        "tolerations",
        "secret",
        "projected",
        "sources",
        "stringData",
        "matchLabels",
    ]);
    let value = leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..8).prop_map(|m| json!(m))
        ]
    });
    let kinds = builtin();
    proptest!(|(value in prop::collection::hash_map("(spec|metadata|status|data|type|rules|subjects|roleRef|subsets|endpoints|ports|stringData)", value, 0..6))| {
        let object = Object::from_value(json!(value)).unwrap();
        for kind in kinds.rows() {
            let mut new = object.clone();
            kind.strategy.default(&mut new);
            kind.strategy.prepare_create(&mut new);
            kind.strategy.prepare_update(&mut new, &object);
            let count = kind.strategy.validate(&new).len() + kind.strategy.validate_update(&new, &object).len() + crate::meta::validate(kind, &object).len();
            prop_assert!(count < 10_000);
            prop_assert!(!crate::table::cells(kind, &object, jiff::Timestamp::UNIX_EPOCH).is_empty());
            kind.strategy.grace_seconds(&object, None);
        }
    });
}
