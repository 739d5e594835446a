use super::*;
use crate::runtime::Sandbox;
use crate::testing::stored;
use model::{Key, Object};
use serde_json::{Value, json};

fn node(revision: u64) -> Stored {
    let labels = json!({"disk": "ssd", "kubernetes.io/os": "linux"});
    let taints = json!([{"key": "gone", "effect": "NoExecute"}, {"key": "full", "effect": "NoSchedule"}]);
    let allocatable = json!({"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3", "example.com/gpu": "1", "hugepages-2Mi": "0"});
    let mut object = Object::from_value(json!({
        "metadata": {"name": "n", "labels": labels, "resourceVersion": revision.to_string()},
        "spec": {"taints": taints}, "status": {"allocatable": allocatable},
    }))
    .unwrap();
    object.set(&["metadata", "resourceVersion"], revision.to_string());
    Stored::from_object(Key::new("", "nodes", "", "n"), object).unwrap()
}

/// A pod bound to the node that tolerates its taints, with more in its spec.
fn pod(uid: &str, more: Value) -> std::sync::Arc<Stored> {
    let mut spec = json!({"nodeName": "n", "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stored(json!({"metadata": {"name": uid, "namespace": "a", "uid": uid}, "spec": spec}), 1)
}

fn asks(resource: &str, amount: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {resource: amount}}}]})
}

fn port(port: u16, ip: &str) -> Value {
    json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port, "hostIP": ip}]}]})
}

fn admit(allocations: &Allocations, pod: &Stored) -> Result<(), Rejection> {
    allocations.admit(&pod.uid(), pod, &pod.typed::<Pod>().unwrap())
}

fn reason(decision: &Result<(), Rejection>) -> &str {
    decision.as_ref().map_or_else(|why| &*why.reason, |()| "")
}

fn allocations() -> Allocations {
    let allocations = Allocations::default();
    allocations.learn(&node(1));
    allocations.hold("other", &pod("other", port(8080, "127.0.0.1")));
    allocations.hold("busy", &pod("busy", asks("cpu", "500m")));
    allocations
}

#[test]
fn what_a_node_refuses_and_why() {
    let affinity = |key: &str, value: &str| {
        let term = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}]});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}})
    };
    let rows = [
        ("", json!({})),
        ("", asks("cpu", "1500m")),
        ("OutOfcpu", asks("cpu", "1501m")),
        ("OutOfmemory", asks("memory", "2Gi")),
        ("OutOfephemeral-storage", asks("ephemeral-storage", "11Gi")),
        ("", asks("example.com/gpu", "1")),
        ("OutOfexample.com/gpu", asks("example.com/gpu", "2")),
        ("", asks("example.com/unknown", "2")),
        ("OutOfhugepages-2Mi", asks("hugepages-2Mi", "2Mi")),
        ("", json!({"os": {"name": "linux"}})),
        ("PodOSNotSupported", json!({"os": {"name": "windows"}})),
        ("", json!({"nodeSelector": {"disk": "ssd"}})),
        ("NodeAffinity", json!({"nodeSelector": {"disk": "hdd"}})),
        ("", affinity("disk", "ssd")),
        ("NodeAffinity", affinity("disk", "hdd")),
        ("", port(8081, "")),
        ("", port(8080, "127.0.0.2")),
        ("NodePorts", port(8080, "")),
        ("TaintToleration", json!({"tolerations": []})),
        ("", json!({"tolerations": [{"key": "gone", "operator": "Exists"}]})),
        ("TaintToleration", json!({"tolerations": [{"key": "full", "operator": "Exists"}]})),
    ];
    for (want, spec) in rows {
        assert_eq!(reason(&admit(&allocations(), &pod("p", spec.clone()))), want, "{spec}");
    }
}

#[test]
fn the_first_reason_counts_and_a_critical_pods_lack_comes_last() {
    let mut spec = asks("cpu", "500");
    spec["nodeSelector"] = json!({"disk": "hdd"});
    let refused = admit(&allocations(), &pod("p", spec.clone())).unwrap_err();
    assert_eq!(refused.reason, "OutOfcpu");
    assert_eq!(refused.message, "Node didn't have enough resource: cpu, requested: 500000, used: 500, capacity: 2000");
    spec["priority"] = json!(2_000_000_000);
    let refused = admit(&allocations(), &pod("p", spec)).unwrap_err();
    assert_eq!((&*refused.reason, &*refused.message), ("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"));
    let meta = json!({"name": "p", "uid": "p", "labels": {"kubernetes.io/os": "windows"}});
    let labelled = stored(json!({"metadata": meta, "spec": {"nodeName": "n", "containers": []}}), 1);
    assert_eq!(reason(&admit(&allocations(), &labelled)), "PodOSSelectorNodeLabelDoesNotMatch");
}

#[test]
fn what_runs_is_not_refused_and_what_has_ended_does_not_count() {
    let allocations = allocations();
    allocations.hold("runs", &pod("runs", asks("cpu", "500")));
    assert_eq!(reason(&admit(&allocations, &pod("runs", asks("cpu", "500")))), "", "it was there before");
    let small = pod("small", json!({}));
    let refused = admit(&allocations, &small);
    assert_eq!(reason(&refused), "OutOfpods");
    allocations.refuse("small", refused.unwrap_err());
    allocations.leave("runs");
    assert_eq!(reason(&admit(&allocations, &small)), "OutOfpods", "a refusal stands");
    allocations.forget("small");
    assert_eq!(reason(&admit(&allocations, &small)), "");
    assert_eq!(reason(&admit(&allocations, &pod("fourth", json!({})))), "OutOfpods", "what was admitted counts");
}

#[test]
fn an_older_object_of_the_node_is_not_learned_nor_one_that_says_nothing() {
    let allocations = Allocations::default();
    let with_status = |revision: u64, status: Value| {
        let object = Object::from_value(json!({"metadata": {"name": "n", "resourceVersion": revision.to_string()}, "status": status})).unwrap();
        Stored::from_object(Key::new("", "nodes", "", "n"), object).unwrap()
    };
    let bare = |revision: u64| with_status(revision, json!({"allocatable": {"pods": "0"}}));
    allocations.learn(&with_status(3, json!({"conditions": []})));
    assert_eq!(reason(&admit(&allocations, &pod("unknown", json!({})))), "", "nothing is known of the node yet");
    allocations.learn(&node(5));
    allocations.learn(&bare(4));
    assert_eq!(reason(&admit(&allocations, &pod("p", json!({})))), "");
    allocations.learn(&bare(6));
    assert_eq!(reason(&admit(&allocations, &pod("q", json!({})))), "OutOfpods");
}

#[test]
fn a_pod_leaves_when_it_ends_and_nothing_of_it_runs() {
    let now = Timestamp::UNIX_EPOCH;
    let typed =
        |phase: &str| -> Pod { serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": phase}})).unwrap() };
    let starting = Observed { busy: [Slot::Start("c".to_owned())].into(), ..Observed::default() };
    let rejected = Observed { rejected: Some(Rejection { reason: "x".into(), message: String::new() }), ..Observed::default() };
    for (phase, seen, want) in
        [("Running", Observed::default(), false), ("Failed", Observed::default(), true), ("Failed", starting, false), ("Pending", rejected, true)]
    {
        assert_eq!(has_left(&typed(phase), &seen, now), want, "{phase}");
    }
    assert!(!has_begun(&Observed::default()));
    assert!(has_begun(&Observed { sandbox: Some(Sandbox::default()), ..Observed::default() }));
}

#[test]
fn another_size_is_given_where_there_is_room() {
    let allocations = allocations();
    let sized = |cpu: &str| pod("sized", asks("cpu", cpu)).typed::<Pod>().unwrap();
    allocations.hold("sized", &pod("sized", asks("cpu", "1")));
    assert_eq!(allocations.resize("sized", &sized("1500m")), Ok(()), "all but what others have");
    let deferred = "Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000";
    assert_eq!(allocations.resize("sized", &sized("1600m")), Err((false, deferred.to_owned())));
    let infeasible = "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000";
    assert_eq!(allocations.resize("sized", &sized("3")), Err((true, infeasible.to_owned())));
    assert!(allocations.leave("busy") && !allocations.leave("busy"));
    assert_eq!(allocations.resize("sized", &sized("1600m")), Ok(()));
    // what it has is counted, whatever was asked for in vain
    assert_eq!(reason(&admit(&allocations, &pod("more", asks("cpu", "500m")))), "OutOfcpu");
    assert_eq!(reason(&admit(&allocations, &pod("less", asks("cpu", "400m")))), "");
}
