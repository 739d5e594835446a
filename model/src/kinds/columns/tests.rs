use crate::kinds::builtin;
use crate::object::Object;
use crate::table;
use serde_json::{Value, json};

fn row(group: &str, resource: &str, object: Value) -> Vec<String> {
    let kinds = builtin();
    let cells = table::cells(kinds.resource(group, resource).unwrap(), &Object::from_value(object).unwrap(), "2026-01-01T01:00:00Z".parse().unwrap());
    cells.into_iter().map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned)).collect()
}

fn pod(spec: Value, status: Value) -> Vec<String> {
    let mut cells = row("", "pods", json!({"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec, "status": status}));
    cells.drain(1..4).collect()
}

#[test]
fn pods() {
    let one = json!({"containers": [{"name": "c"}]});
    let state = |state: Value| json!({"phase": "Running", "containerStatuses": [{"name": "c", "ready": false, "restartCount": 0, "state": state}]});
    let cases = [
        (one.clone(), json!({"phase": "Pending"}), ["0/1", "Pending", "0"]),
        (
            one.clone(),
            json!({"phase": "Running", "containerStatuses": [{"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}}]}),
            ["1/1", "Running", "0"],
        ),
        (one.clone(), state(json!({"waiting": {"reason": "CrashLoopBackOff"}})), ["0/1", "CrashLoopBackOff", "0"]),
        (one.clone(), state(json!({"terminated": {"reason": "Completed", "exitCode": 0}})), ["0/1", "Completed", "0"]),
        (one.clone(), state(json!({"terminated": {"exitCode": 3}})), ["0/1", "ExitCode:3", "0"]),
        (one.clone(), state(json!({"terminated": {"exitCode": 137, "signal": 9}})), ["0/1", "Signal:9", "0"]),
        (one.clone(), json!({"phase": "Failed", "reason": "Evicted"}), ["0/1", "Evicted", "0"]),
        (
            one.clone(),
            json!({"phase": "Running", "containerStatuses": [{"name": "c", "ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}}]}),
            ["1/1", "Running", "2 (5m ago)"],
        ),
        (
            json!({"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "j"}]}),
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]}),
            ["0/1", "Init:1/2", "0"],
        ),
        (
            json!({"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}),
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 3, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
            ["0/1", "Init:Error", "3"],
        ),
        (
            json!({"containers": [{"name": "c"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}),
            json!({"phase": "Running", "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
                   "containerStatuses": [{"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}}]}),
            ["2/2", "Running", "1"],
        ),
        (
            one,
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
            ["0/1", "SchedulingGated", "0"],
        ),
    ];
    for (spec, status, expected) in cases {
        assert_eq!(pod(spec, status.clone()), expected, "{status}");
    }
    let going =
        row("", "pods", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": [{}]}, "status": {"phase": "Running"}}));
    assert_eq!(going.get(2).map(String::as_str), Some("Terminating"));
}

/// An object with metadata and what is given.
fn with(rest: Value) -> Value {
    let meta =
        json!({"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z", "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "a"}});
    let mut all = json!({ "metadata": meta });
    all.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
    all
}

#[test]
fn others() {
    let cases: Vec<(&str, &str, Value, &[&str])> = vec![
        (
            "",
            "services",
            json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}),
            &["x", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "65m", "<none>"],
        ),
        (
            "",
            "services",
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "None"}}),
            &["x", "LoadBalancer", "None", "<pending>", "<none>", "65m", "<none>"],
        ),
        (
            "",
            "nodes",
            json!({"spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"}}}),
            &["x", "Ready,SchedulingDisabled", "a,control-plane", "65m", "v1", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
        ),
        (
            "apps",
            "deployments",
            json!({"spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}, "status": {"readyReplicas": 1}}),
            &["x", "1/3", "0", "0", "65m", "c", "i", "a=b"],
        ),
        (
            "",
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "1"}, {"ip": "2"}], "ports": [{"port": 80}, {"port": 81}]}]}),
            &["x", "1:80,2:80,1:81 + 1 more...", "65m"],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [], "ports": [{"port": 80}]}),
            &["x", "IPv4", "80", "<unset>", "65m"],
        ),
        ("", "configmaps", json!({"data": {"a": "", "b": ""}, "binaryData": {"c": ""}}), &["x", "3", "65m"]),
        (
            "",
            "events",
            json!({"involvedObject": {"kind": "Pod", "name": "p"}, "lastTimestamp": "2026-01-01T00:59:00Z", "firstTimestamp": "2026-01-01T00:58:00Z", "type": "Normal", "reason": "R", "message": " m\n", "source": {"component": "c", "host": "h"}, "count": 4}),
            &["60s", "Normal", "R", "pod/p", "", "c, h", "m", "2m", "4", "x"],
        ),
        (
            "rbac.authorization.k8s.io",
            "rolebindings",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]}),
            &["x", "Role/r", "65m", "u", "", "n/s"],
        ),
        ("rbac.authorization.k8s.io", "roles", json!({}), &["x", "2025-12-31T23:55:00Z"]),
    ];
    for (group, resource, object, expected) in cases {
        assert_eq!(row(group, resource, with(object)), expected, "{resource}");
    }
}

#[test]
fn a_table() {
    let kinds = builtin();
    let kind = kinds.resource("", "pods").unwrap();
    let rendered = table::render(kind, [&Object::default()], "2026-01-01T01:00:00Z".parse().unwrap());
    assert_eq!(rendered["columnDefinitions"].as_array().unwrap().len(), rendered["rows"][0]["cells"].as_array().unwrap().len());
    for kind in kinds.rows() {
        assert_eq!(table::cells(kind, &Object::default(), "2026-01-01T01:00:00Z".parse().unwrap()).len(), table::definitions(kind).len(), "{kind:?}");
    }
}
