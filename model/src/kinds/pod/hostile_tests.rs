//! Tests every text and number field of a pod's spec with harmful values.
//!
//! The list of fields comes from the schema, so a field that a new version of Kubernetes adds fails this test until it has an entry. Values are accepted
//! exactly where Kubernetes accepts them; the node must then handle them safely.
use super::hostile_tables::*;
use super::*;
use crate::kind::Kind;
use crate::kinds::builtin;
use crate::schema::{Node, Shape, definition, validate_and_prune};
use serde_json::{Map, json};
use std::sync::Arc;

/// One step from a spec to a field.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Item,
    Key,
    Value,
}

fn name(steps: &[Step]) -> String {
    let mut all = String::new();
    for step in steps {
        match step {
            Step::Field(field) if all.is_empty() => all.push_str(field),
            Step::Field(field) => all = format!("{all}.{field}"),
            Step::Item => all.push_str("[]"),
            Step::Key => all.push_str("{key}"),
            Step::Value => all.push_str("{}"),
        }
    }
    all
}

/// Every text or number below `node`.
fn leaves(node: &Node, at: &mut Vec<Step>, wanted: Shape, found: &mut Vec<Vec<Step>>) {
    let node = node.resolve().1;
    let below = |step: Step, child: &Node, at: &mut Vec<Step>, found: &mut Vec<Vec<Step>>| {
        at.push(step);
        leaves(child, at, wanted, found);
        at.pop();
    };
    for (field, child) in &node.properties {
        below(Step::Field(field.to_string()), child, at, found);
    }
    if let Some(child) = &node.items {
        below(Step::Item, child, at, found);
    }
    if let Some(child) = &node.values {
        if wanted == Shape::String {
            found.push([at.as_slice(), &[Step::Key]].concat());
        }
        below(Step::Value, child, at, found);
    }
    if node.shape == Some(wanted) || (node.int_or_string && wanted == Shape::String) {
        found.push(at.clone());
    }
}

fn all(wanted: Shape) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    leaves(definition("io.k8s.api.core.v1.PodSpec").unwrap(), &mut Vec::new(), wanted, &mut found);
    found
}

/// Puts `value` where `steps` lead, in the first place that has something there. `make` makes what is missing on the way.
fn put(at: &mut Value, steps: &[Step], value: &Value, make: bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        *at = value.clone();
        return true;
    };
    match step {
        Step::Field(field) => {
            if make && !at.is_object() {
                *at = json!({});
            }
            let Some(map) = at.as_object_mut() else { return false };
            if make {
                map.entry(field.as_str()).or_insert(Value::Null);
            }
            map.get_mut(field).is_some_and(|inner| put(inner, rest, value, make))
        }
        Step::Item => {
            if make && at.as_array().is_none_or(Vec::is_empty) {
                *at = json!([null]);
            }
            at.as_array_mut().is_some_and(|items| items.iter_mut().any(|item| put(item, rest, value, make)))
        }
        Step::Key | Step::Value => {
            if make && !at.is_object() {
                *at = json!({"x": "1"});
            }
            let Some(map) = at.as_object_mut() else { return false };
            let Some(key) = map.keys().next().cloned() else { return false };
            if *step == Step::Key {
                let inner = map.remove(&key).unwrap();
                return map.insert(value.as_str().unwrap_or("x").to_owned(), inner).is_none();
            }
            put(&mut map[&key], rest, value, make)
        }
    }
}

fn kind() -> Arc<Kind> {
    builtin().resource("", "pods").unwrap().clone()
}

/// What is refused of a pod with this spec, on its way in.
fn refused(spec: Value) -> Vec<String> {
    let mut pod = Object::from_value(json!({"metadata": {"name": "x", "namespace": "default"}, "spec": spec})).unwrap();
    match validate_and_prune(&kind(), &mut pod) {
        Err(e) => return vec![e.message],
        Ok(unknown) if !unknown.is_empty() => return unknown,
        Ok(_) => {}
    }
    STRATEGY.default(&mut pod);
    STRATEGY.prepare_create(&mut pod);
    STRATEGY.validate(&pod).into_iter().chain(STRATEGY.validate_create(&pod)).map(|c| format!("{}: {}", c.field, c.message)).collect()
}

/// Containers with each kind of probe and hook, which exclude each other.
fn containers(prefix: &str, restart: Option<&str>) -> Vec<Value> {
    let http = json!({"path": "/", "port": "http", "host": "h", "scheme": "HTTP", "protocol": "HTTP1", "httpHeaders": [{"name": "X", "value": "y"}]});
    let probes = [
        json!({"exec": {"command": ["a"]}}),
        json!({"httpGet": http}),
        json!({"tcpSocket": {"port": "http", "host": "h"}}),
        json!({"grpc": {"port": 1, "service": "s", "mode": "Plaintext"}}),
    ];
    let hooks =
        [json!({"exec": {"command": ["a"]}}), json!({"httpGet": http}), json!({"tcpSocket": {"port": "http", "host": "h"}}), json!({"sleep": {"seconds": 1}})];
    let numbers = json!({"initialDelaySeconds": 1, "timeoutSeconds": 1, "periodSeconds": 1, "successThreshold": 1, "failureThreshold": 1});
    let made = probes.into_iter().zip(hooks).enumerate().map(|(i, (mut probe, hook))| {
        probe.as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
        let mut slow = probe.clone();
        slow["terminationGracePeriodSeconds"] = json!(1);
        json!({"name": format!("{prefix}{i}"), "image": "i", "livenessProbe": slow, "readinessProbe": probe, "startupProbe": slow, "lifecycle": {"postStart": hook, "preStop": hook}})
    });
    let mut all: Vec<Value> = made.collect();
    let first = all[0].as_object_mut().unwrap();
    first.extend(serde_json::from_str::<Map<String, Value>>(FULL).unwrap());
    first.insert("ports".to_owned(), json!([{"name": "http", "containerPort": 80, "hostPort": 80, "hostIP": "1.2.3.4", "protocol": "TCP"}]));
    all.iter_mut().for_each(|c| c["restartPolicy"] = json!(restart));
    all
}

/// All else that a container has and nodes act on.
const FULL: &str = r#"{
    "command": ["a"], "args": ["a"], "workingDir": "/", "imagePullPolicy": "Always", "terminationMessagePath": "/x", "terminationMessagePolicy": "File",
    "env": [{"name": "A", "value": "v"}, {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}},
        {"name": "D", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}, {"name": "E", "valueFrom": {"resourceFieldRef": {"containerName": "c0", "resource": "limits.cpu", "divisor": "1"}}}],
    "envFrom": [{"prefix": "P", "configMapRef": {"name": "n"}}, {"secretRef": {"name": "n"}}],
    "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": "a", "mountPropagation": "None", "recursiveReadOnly": "Disabled"}, {"name": "e", "mountPath": "/f", "subPathExpr": "a"}],
    "securityContext": {"runAsUser": 1, "runAsGroup": 1, "procMount": "Default", "capabilities": {"add": ["X"], "drop": ["Y"]}, "appArmorProfile": {"type": "RuntimeDefault"},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "a"}, "seLinuxOptions": {"user": "a", "role": "a", "type": "a", "level": "a"}}
}"#;

/// All that a pod has and nodes act on, but for its containers.
const POD: &str = r#"{
    "activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 30, "priority": 1, "restartPolicy": "Always", "dnsPolicy": "Default", "preemptionPolicy": "Never",
    "hostname": "a", "subdomain": "a", "nodeName": "a", "priorityClassName": "a", "runtimeClassName": "a", "schedulerName": "a", "serviceAccountName": "a", "imagePullSecrets": [{"name": "a"}],
    "os": {"name": "linux"}, "nodeSelector": {"a": "b"}, "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}], "readinessGates": [{"conditionType": "a"}],
    "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": ["a"], "options": [{"name": "a", "value": "b"}]},
    "securityContext": {"runAsUser": 1, "runAsGroup": 1, "fsGroup": 1, "supplementalGroups": [1], "supplementalGroupsPolicy": "Merge", "fsGroupChangePolicy": "Always", "seLinuxChangePolicy": "Recursive",
        "seccompProfile": {"type": "Localhost", "localhostProfile": "a"}, "appArmorProfile": {"type": "RuntimeDefault"}, "sysctls": [{"name": "net.a", "value": "1"}],
        "seLinuxOptions": {"user": "a", "role": "a", "type": "a", "level": "a"}},
    "tolerations": [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 1}],
    "topologySpreadConstraints": [{"maxSkew": 1, "minDomains": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Honor", "matchLabelKeys": ["x"],
        "labelSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}],
    "volumes": [
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1"}}, {"name": "h", "hostPath": {"path": "/a", "type": "Directory"}},
        {"name": "l", "persistentVolumeClaim": {"claimName": "a"}}, {"name": "n", "nfs": {"server": "a", "path": "/a"}}, {"name": "i", "image": {"reference": "a", "pullPolicy": "Always"}},
        {"name": "o", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"limits": {"storage": "1"}, "requests": {"storage": "1"}}, "storageClassName": "a", "volumeAttributesClassName": "a", "volumeMode": "Filesystem",
            "volumeName": "a", "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
            "dataSource": {"apiGroup": "a", "kind": "b", "name": "c"}, "dataSourceRef": {"apiGroup": "a", "kind": "b", "name": "c", "namespace": ""}}}}},
        {"name": "c", "configMap": {"name": "n", "defaultMode": 1, "items": [{"key": "k", "path": "p", "mode": 1}]}}, {"name": "s", "secret": {"secretName": "n", "defaultMode": 1, "items": [{"key": "k", "path": "p", "mode": 1}]}},
        {"name": "d", "downwardAPI": {"defaultMode": 1, "items": [{"path": "a", "mode": 1, "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}, {"path": "b", "resourceFieldRef": {"containerName": "c0", "resource": "limits.cpu", "divisor": "1"}}]}},
        {"name": "p", "projected": {"defaultMode": 1, "sources": [{"configMap": {"name": "n", "items": [{"key": "k", "path": "c", "mode": 1}]}}, {"secret": {"name": "n", "items": [{"key": "k", "path": "s", "mode": 1}]}},
            {"serviceAccountToken": {"path": "t", "audience": "a", "expirationSeconds": 600}},
            {"downwardAPI": {"items": [{"path": "a", "mode": 1, "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}, {"path": "b", "resourceFieldRef": {"containerName": "c0", "resource": "limits.cpu", "divisor": "1"}}]}}]}}
    ]
}"#;

/// A selector, and the affinities that have it.
fn affinity() -> Value {
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]});
    let term = json!({"labelSelector": selector, "namespaceSelector": selector, "namespaces": ["a"], "topologyKey": "a", "matchLabelKeys": ["x"], "mismatchLabelKeys": ["y"]});
    let pods = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term], "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]});
    let node = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}], "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]});
    let nodes = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [node]}, "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": node}]});
    json!({"nodeAffinity": nodes, "podAffinity": pods, "podAntiAffinity": pods})
}

/// Pods that are right, and together have every field that nodes act on.
fn bases() -> [Value; 2] {
    let mut full: Value = serde_json::from_str(POD).unwrap();
    full["containers"] = containers("c", None).into();
    full["initContainers"] = containers("i", Some("Always")).into();
    full["affinity"] = affinity();
    let gated = json!({"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}], "serviceAccount": "a", "schedulingGates": [{"name": "a"}]});
    [full, gated]
}

/// The longest row that fits.
fn row<'a, T>(table: &'a [(&str, T)], path: &str) -> Option<&'a T> {
    let fits = |end: &str| path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.') || !end.starts_with(char::is_lowercase));
    table.iter().filter(|(end, _)| fits(end)).max_by_key(|(end, _)| end.len()).map(|(_, value)| value)
}

/// Whether all of a path's surroundings are refused.
fn is_refused(path: &str) -> bool {
    let at = format!(".{path}.");
    let within = |part: &str| at.contains(&format!(".{part}.")) || at.contains(&format!(".{part}{{"));
    match path {
        p if p.starts_with("containers[].resources.") || p.starts_with("initContainers[].resources.") => p.contains(".claims[]"),
        "containers[].image" | "initContainers[].image" => false,
        _ => REFUSED.iter().any(|part| within(part)),
    }
}

/// Puts each of `values` into each of `fields` and compares what is accepted with the table.
fn check<T: PartialEq + Copy + std::fmt::Debug>(fields: Vec<Vec<Step>>, table: &[(&str, &[T])], values: &[T], json: impl Fn(T) -> Value, nothing: T) {
    let bases = bases();
    let mut wrong = Vec::new();
    for steps in fields {
        let path = name(&steps);
        let base = bases.iter().find(|base| put(&mut (*base).clone(), &steps, &Value::Null, false));
        let (Some(base), Some(accepted)) = (base, row(table, &path)) else {
            wrong.extend(whole(&bases[1], &steps, &path, values.iter().filter(|v| **v != nothing).map(|v| json(*v))));
            continue;
        };
        for value in values {
            let mut spec = base.clone();
            assert!(put(&mut spec, &steps, &json(*value), false));
            let refusals = refused(spec);
            if refusals.is_empty() != accepted.contains(value) {
                let first = refusals.first().map(|r| r.chars().take(200).collect::<String>());
                wrong.push(format!("{path} = {value:?}: {}", first.unwrap_or_else(|| "accepted".to_owned())));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A field that no right pod has must be refused for being there.
fn whole(base: &Value, steps: &[Step], path: &str, values: impl Iterator<Item = Value>) -> Option<String> {
    if !is_refused(path) {
        return Some(format!("{path}: neither in a right pod and the table, nor refused as a whole"));
    }
    for value in values {
        let mut spec = base.clone();
        assert!(put(&mut spec, steps, &value, true), "{path}");
        let refusals = refused(spec);
        let type_error = refusals.len() == 1 && refusals[0].contains("cannot be handled as a Pod");
        if !type_error && !refusals.iter().any(|r| REFUSALS.iter().any(|end| r.ends_with(end))) {
            return Some(format!("{path}: {refusals:?}").chars().take(300).collect());
        }
    }
    None
}

#[test]
fn the_pods_to_begin_with_are_right() {
    for base in bases() {
        assert_eq!(refused(base), Vec::<String>::new());
    }
}

#[test]
fn texts() {
    let fields = all(Shape::String);
    assert!(fields.len() > 600, "{}", fields.len());
    check(fields, TEXTS, &ALL, |value| written(value).into(), EMPTY);
}

#[test]
fn numbers() {
    let fields = all(Shape::Integer);
    assert!(fields.len() > 120, "{}", fields.len());
    check(fields, INTEGERS, &NUMBERS, Value::from, i64::MIN);
}
