use super::*;
use crate::runtime::Resource;
use crate::testing::Sim;
use jiff::Timestamp;

fn sim() -> Sim {
    let mut sim =
        Sim::new(vec![Box::new(NodeLifecycle { grace: GRACE, rates: Rates::default() }), Box::new(TaintEviction), Box::new(PodGc { terminated_max: 2 })]);
    sim.engine.heard(sim.now);
    sim
}

fn node(sim: &mut Sim, name: &str) {
    let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady"});
    sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"conditions": [ready]}}));
    sim.create(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": LEASES_NAMESPACE}, "spec": {}}));
}

fn renew(sim: &mut Sim, name: &str) {
    let key = Resource::LEASES.key(LEASES_NAMESPACE, name);
    let request = state_client::Request::new(state_client::Verb::Patch, &key.group, &key.resource, &key.namespace, &key.name);
    let patch = json!({"spec": {"renewTime": model::time::format(sim.now)}}).to_string();
    sim.world.handle(request.body(state_client::Body::Patch(state_client::PatchKind::Merge, patch.into()))).unwrap();
}

fn bound_pod(sim: &mut Sim, name: &str, node: &str, tolerates: i64) {
    let tolerations: Vec<Value> =
        [NOT_READY, UNREACHABLE].iter().map(|k| json!({"key": k, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": tolerates})).collect();
    let ready = json!({"type": "Ready", "status": "True"});
    sim.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"},
        "spec": {"nodeName": node, "tolerations": tolerations}, "status": {"phase": "Running", "conditions": [ready]},
    }));
}

/// Lets time pass; we hear, and these nodes renew their Leases.
fn pass(sim: &mut Sim, total: i64, alive: &[&str]) {
    for _ in 0..total / 10 {
        alive.iter().for_each(|n| renew(sim, n));
        sim.engine.heard(sim.now);
        sim.pass(10);
    }
}

fn taint_keys(sim: &Sim, name: &str) -> Vec<String> {
    let node = sim.get(&Resource::NODES, name).unwrap();
    node.list_at(&["spec", "taints"])
        .iter()
        .map(|t| format!("{}:{}", t["key"].as_str().unwrap().rsplit('/').next().unwrap(), t["effect"].as_str().unwrap()))
        .collect()
}

fn ready(sim: &Sim, name: &str) -> String {
    let node = sim.get(&Resource::NODES, name).unwrap();
    crate::status::find(node.list_at(&["status", "conditions"]), "Ready").unwrap()["status"].as_str().unwrap().to_owned()
}

fn dying(sim: &Sim, pod: &str) -> bool {
    sim.get(&Resource::PODS, pod).is_none_or(|p| p.deletion_timestamp().is_some())
}

#[test]
fn a_silent_node_loses_its_pods_in_the_end() {
    let mut sim = sim();
    ["n1", "n2", "n3"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 60);
    sim.settle();
    pass(&mut sim, 60, &["n1", "n2", "n3"]);
    assert_eq!((ready(&sim, "n1"), taint_keys(&sim, "n1")), ("True".into(), vec![]));
    pass(&mut sim, 60, &["n2", "n3"]);
    assert_eq!((ready(&sim, "n1"), taint_keys(&sim, "n1")), ("Unknown".into(), vec!["unreachable:NoSchedule".into(), "unreachable:NoExecute".into()]));
    assert!(sim.events.contains(&"n1 NodeNotReady: Node n1 status is now: NodeNotReady".to_owned()), "{:?}", sim.events);
    let pod = sim.get(&Resource::PODS, "p").unwrap();
    let condition = crate::status::find(pod.list_at(&["status", "conditions"]), "Ready").unwrap();
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("NodeNotReady")));
    assert!(!dying(&sim, "p"), "it tolerates a minute");
    pass(&mut sim, 60, &["n2", "n3"]);
    assert!(dying(&sim, "p"));
    assert!(sim.events.contains(&"p TaintManagerEviction: Marking for deletion Pod a/p".to_owned()));
    assert_eq!(ready(&sim, "n2"), "True");
}

#[test]
fn a_node_that_speaks_again_is_spared() {
    let mut sim = sim();
    ["n1", "n2", "n3"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 100);
    pass(&mut sim, 60, &["n2", "n3"]);
    assert_eq!(ready(&sim, "n1"), "Unknown");
    let back = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
    sim.patch(&Resource::NODES, "n1", "status", back);
    pass(&mut sim, 200, &["n1", "n2", "n3"]);
    assert_eq!((taint_keys(&sim, "n1"), dying(&sim, "p")), (vec![], false));
}

#[test]
fn who_was_cut_off_takes_nobody_for_dead() {
    let mut sim = sim();
    ["n1", "n2", "n3"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 0);
    pass(&mut sim, 30, &["n1", "n2", "n3"]);
    // the bus is cut for ten minutes: neither our heartbeat nor the nodes' come
    for _ in 0..60 {
        sim.pass(10);
    }
    assert_eq!(["n1", "n2", "n3"].map(|n| ready(&sim, n)), ["True", "True", "True"]);
    // it returns; the nodes take their time
    sim.engine.heard(sim.now);
    sim.settle();
    pass(&mut sim, 30, &[]);
    assert_eq!(["n1", "n2", "n3"].map(|n| ready(&sim, n)), ["True", "True", "True"], "the grace period counts from the return");
    pass(&mut sim, 100, &["n1", "n2", "n3"]);
    assert_eq!(["n1", "n2", "n3"].map(|n| ready(&sim, n)), ["True", "True", "True"]);
    assert!(!dying(&sim, "p"));
    assert!(sim.all(&Resource::NODES).iter().all(|n| n.object().list_at(&["spec", "taints"]).is_empty()));
}

#[test]
fn evictions_that_were_due_during_the_cut_wait_for_the_nodes() {
    let mut sim = sim();
    ["n1", "n2", "n3"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 100);
    pass(&mut sim, 60, &["n2", "n3"]);
    assert_eq!(taint_keys(&sim, "n1").len(), 2);
    for _ in 0..60 {
        sim.pass(10);
    }
    assert!(!dying(&sim, "p"), "deaf");
    sim.engine.heard(sim.now);
    renew(&mut sim, "n1");
    sim.settle();
    pass(&mut sim, 30, &["n1", "n2", "n3"]);
    assert!(!dying(&sim, "p"), "the node speaks");
}

#[test]
fn when_all_are_silent_nobody_is_evicted() {
    let mut sim = sim();
    ["n1", "n2"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 0);
    pass(&mut sim, 300, &[]);
    assert_eq!((ready(&sim, "n1"), ready(&sim, "n2")), ("Unknown".into(), "Unknown".into()));
    let evicting = |n| taint_keys(&sim, n).iter().any(|t| t.ends_with("NoExecute"));
    assert!(!evicting("n1") && !evicting("n2") && !dying(&sim, "p"));
}

#[test]
fn pods_of_a_node_that_is_gone_follow_after_the_quarantine() {
    let mut sim = sim();
    ["n1", "n2"].iter().for_each(|n| node(&mut sim, n));
    bound_pod(&mut sim, "p", "n1", 300);
    pass(&mut sim, 10, &["n1", "n2"]);
    sim.delete(&Resource::NODES, "n1", None);
    pass(&mut sim, 30, &["n2"]);
    assert!(sim.get(&Resource::PODS, "p").is_some());
    pass(&mut sim, 20, &["n2"]);
    assert!(sim.get(&Resource::PODS, "p").is_none());
    assert!(sim.plans.iter().any(|p| p.contains("DeletionByPodGC") && p.contains("if no nodes n1")), "{:?}", sim.plans);
}

#[test]
fn a_pod_of_a_node_that_nobody_has_seen_waits_for_it() {
    let mut sim = sim();
    node(&mut sim, "n2");
    pass(&mut sim, 120, &["n2"]);
    bound_pod(&mut sim, "p", "n1", 300);
    pass(&mut sim, 30, &["n2"]);
    assert!(sim.get(&Resource::PODS, "p").is_some(), "the node may be about to be registered");
    pass(&mut sim, 20, &["n2"]);
    assert!(sim.get(&Resource::PODS, "p").is_none());
}

#[test]
fn ended_pods_beyond_the_number_go() {
    let mut sim = sim();
    node(&mut sim, "n1");
    for i in 0..5 {
        bound_pod(&mut sim, &format!("p{i}"), "n1", 300);
        sim.patch(&Resource::PODS, &format!("p{i}"), "status", json!({"status": {"phase": "Succeeded"}}));
    }
    sim.settle();
    assert_eq!(sim.names(&Resource::PODS), ["p3", "p4"]);
}

#[test]
fn conditions_and_cordons_keep_new_pods_away() {
    let mut sim = sim();
    node(&mut sim, "n1");
    sim.settle();
    sim.patch(&Resource::NODES, "n1", "", json!({"spec": {"unschedulable": true}}));
    sim.settle();
    assert_eq!(taint_keys(&sim, "n1"), ["unschedulable:NoSchedule"]);
    sim.patch(&Resource::NODES, "n1", "", json!({"spec": {"unschedulable": null}}));
    let pressed = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]}});
    sim.patch(&Resource::NODES, "n1", "status", pressed);
    sim.settle();
    assert_eq!(taint_keys(&sim, "n1"), ["disk-pressure:NoSchedule"]);
}

#[test]
fn time_is_printed_in_whole_seconds() {
    assert_eq!(model::time::format(Timestamp::from_millisecond(1500).unwrap()), "1970-01-01T00:00:01Z");
}

/// Plans of many nodes are made over one view: none of them may take the others' place.
#[test]
fn nodes_that_fall_silent_together_are_given_up_at_the_zones_pace() {
    let (mut sim, silent, alive) = (sim(), ["n0", "n1", "n2"], ["n3", "n4", "n5", "n6", "n7", "n8", "n9"]);
    silent.iter().chain(&alive).for_each(|n| node(&mut sim, n));
    sim.settle();
    let given_up = |sim: &Sim| silent.iter().filter(|n| taint_keys(sim, n).contains(&"unreachable:NoExecute".to_owned())).count();
    let mut steps = vec![given_up(&sim)];
    for _ in 0..12 {
        pass(&mut sim, 10, &alive);
        steps.push(given_up(&sim));
    }
    steps.dedup();
    assert_eq!(steps, [0, 1, 2, 3]);
    assert!(alive.iter().all(|n| taint_keys(&sim, n).is_empty()));
}
