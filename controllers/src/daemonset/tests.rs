use super::DaemonSets;
use crate::runtime::{Moment, Resource};
use crate::testing::{Sim, ready};
use model::{Object, Stored};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn sim() -> Sim {
    Sim::new(vec![Box::new(DaemonSets)])
}

fn node(name: &str, labels: Value, taints: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}})
}

fn nodes(sim: &mut Sim, n: usize) {
    for i in 1..=n {
        sim.create(node(&format!("n{i}"), json!({}), json!([])));
    }
}

fn set(rolling: Value) -> Value {
    let strategy = if rolling.is_null() { json!({"type": "OnDelete"}) } else { json!({"type": "RollingUpdate", "rollingUpdate": rolling}) };
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "a", "annotations": {"deprecated.daemonset.template.generation": "1"}},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}}, "revisionHistoryLimit": 2, "updateStrategy": strategy,
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
        },
    })
}

/// What the scheduler and a node do for one pod: bound to its only node, it gets ready, and ends when it is to go.
fn hollow(sim: &mut Sim, pod: &Stored) {
    let object = pod.object();
    if object.str_at(&["spec", "nodeName"]).is_empty() && object.deletion_timestamp().is_none() {
        let node = target(object);
        sim.patch(&Resource::PODS, &pod.key.name, "", json!({"spec": {"nodeName": node}}));
    } else {
        sim.hollow_as_bound(&pod.key);
    }
}

fn run(sim: &mut Sim) {
    for _ in 0..200 {
        sim.settle();
        let moving: Vec<_> = sim.all(&Resource::PODS).into_iter().filter(|p| !ready(p.object()) || p.object().deletion_timestamp().is_some()).collect();
        if moving.is_empty() {
            return;
        }
        moving.iter().for_each(|pod| hollow(sim, pod));
    }
    panic!("pods don't come to rest");
}

fn target(pod: &Object) -> String {
    let bound = pod.str_at(&["spec", "nodeName"]);
    let terms = pod.list_at(&["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]);
    if bound.is_empty() { terms[0]["matchFields"][0]["values"][0].as_str().unwrap().to_owned() } else { bound.to_owned() }
}

/// Image and node of each pod that stays.
fn pods(sim: &Sim) -> Vec<(String, String)> {
    let image = |o: &Object| o.list_at(&["spec", "containers"])[0]["image"].as_str().unwrap().to_owned();
    let alive = sim.all(&Resource::PODS).into_iter().filter(|p| p.object().deletion_timestamp().is_none());
    let mut all: Vec<_> = alive.map(|p| (target(p.object()), image(p.object()))).collect();
    all.sort();
    all
}

fn status(sim: &Sim) -> Value {
    sim.get(&Resource::DAEMON_SETS, "agent").unwrap().at(&["status"]).cloned().unwrap_or_default()
}

fn image(sim: &mut Sim, image: &str) {
    let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    let generation = sim.get(&Resource::DAEMON_SETS, "agent").unwrap().generation() + 1;
    sim.patch(&Resource::DAEMON_SETS, "agent", "", template);
    let annotations = json!({"metadata": {"annotations": {"deprecated.daemonset.template.generation": generation.to_string()}}});
    sim.patch(&Resource::DAEMON_SETS, "agent", "", annotations);
}

fn on(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(node, image)| ((*node).to_owned(), (*image).to_owned())).collect()
}

#[test]
fn every_node_gets_one_pod_that_is_meant_for_it_alone() {
    let mut sim = sim();
    nodes(&mut sim, 2);
    sim.create(set(json!({"maxUnavailable": 1, "maxSurge": 0})));
    run(&mut sim);
    assert_eq!(pods(&sim), on(&[("n1", "v1"), ("n2", "v1")]));
    let all = json!({
        "currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberAvailable": 2, "numberMisscheduled": 0, "numberReady": 2,
        "observedGeneration": 1, "updatedNumberScheduled": 2,
    });
    assert_eq!(status(&sim), all);
    let revision = sim.all(&Resource::CONTROLLER_REVISIONS).pop().unwrap();
    let pod = sim.all(&Resource::PODS).pop().unwrap();
    assert_eq!(pod.object().label("controller-revision-hash"), revision.object().label("controller-revision-hash"));
    assert_eq!(pod.object().label("pod-template-generation"), Some("1"));
    assert_eq!(pod.object().list_at(&["spec", "tolerations"]).len(), 6);
    let data = revision.object().at(&["data", "spec", "template"]).unwrap();
    assert_eq!((&data["$patch"], &data["spec"]["containers"][0]["image"]), (&json!("replace"), &json!("v1")));
    assert!(sim.events.iter().all(|e| e.starts_with("agent SuccessfulCreate: Created pod: agent-")), "{:?}", sim.events);
    // a node more, and one less, whose bound pod others see to
    sim.create(node("n3", json!({}), json!([])));
    sim.delete(&Resource::NODES, "n1", None);
    run(&mut sim);
    assert_eq!(pods(&sim), on(&[("n1", "v1"), ("n2", "v1"), ("n3", "v1")]));
    assert_eq!((&status(&sim)["desiredNumberScheduled"], &status(&sim)["numberMisscheduled"]), (&json!(2), &json!(0)));
}

#[test]
fn labels_and_taints_decide_where_pods_come_and_stay() {
    let mut sim = sim();
    let taint = |effect: &str| json!([{"key": "k", "effect": effect}]);
    sim.create(node("other", json!({"zone": "b"}), json!([])));
    sim.create(node("right", json!({"zone": "a"}), json!([])));
    sim.create(node("cordoned", json!({"zone": "a"}), json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])));
    sim.create(node("tainted", json!({"zone": "a"}), taint("NoSchedule")));
    let mut agent = set(Value::Null);
    agent["spec"]["template"]["spec"]["nodeSelector"] = json!({"zone": "a"});
    sim.create(agent);
    run(&mut sim);
    assert_eq!(pods(&sim), on(&[("cordoned", "v1"), ("right", "v1")]));
    let spec = |taints: Value| json!({"spec": {"taints": taints}});
    // what is there stays in spite of NoSchedule, and goes for NoExecute
    sim.patch(&Resource::NODES, "right", "", spec(taint("NoSchedule")));
    run(&mut sim);
    assert_eq!((pods(&sim).len(), &status(&sim)["numberMisscheduled"]), (2, &json!(1)));
    sim.patch(&Resource::NODES, "right", "", spec(taint("NoExecute")));
    sim.patch(&Resource::NODES, "other", "", json!({"metadata": {"labels": {"zone": "a"}}}));
    sim.patch(&Resource::NODES, "tainted", "", spec(json!([])));
    run(&mut sim);
    assert_eq!(pods(&sim), on(&[("cordoned", "v1"), ("other", "v1"), ("tainted", "v1")]));
    assert_eq!((&status(&sim)["numberMisscheduled"], &status(&sim)["desiredNumberScheduled"]), (&json!(0), &json!(3)));
}

#[test]
fn on_delete_waits_for_deletions() {
    let mut sim = sim();
    nodes(&mut sim, 2);
    sim.create(set(Value::Null));
    run(&mut sim);
    image(&mut sim, "v2");
    run(&mut sim);
    assert_eq!((pods(&sim), &status(&sim)["updatedNumberScheduled"]), (on(&[("n1", "v1"), ("n2", "v1")]), &Value::Null));
    let first = sim.all(&Resource::PODS).into_iter().find(|p| target(p.object()) == "n1").unwrap();
    sim.delete(&Resource::PODS, &first.key.name.clone(), None);
    run(&mut sim);
    assert_eq!(pods(&sim), on(&[("n1", "v2"), ("n2", "v1")]));
}

#[test]
fn what_was_before_keeps_its_revision_and_old_ones_beyond_the_limit_go() {
    let mut sim = sim();
    nodes(&mut sim, 1);
    sim.create(set(json!({"maxUnavailable": 1, "maxSurge": 0})));
    run(&mut sim);
    for version in ["v2", "v1", "v3", "v4", "v5"] {
        image(&mut sim, version);
        run(&mut sim);
    }
    let image = |o: &Object| o.at(&["data", "spec", "template", "spec", "containers"]).unwrap()[0]["image"].as_str().unwrap().to_owned();
    let revisions: BTreeMap<_, _> =
        sim.all(&Resource::CONTROLLER_REVISIONS).iter().map(|r| (r.object().int_at(&["revision"]).unwrap(), image(r.object()))).collect();
    assert_eq!(revisions, BTreeMap::from([(4, "v3".to_owned()), (5, "v4".to_owned()), (6, "v5".to_owned())]));
}

#[test]
fn a_taken_name_counts_as_a_collision() {
    let mut sim = sim();
    nodes(&mut sim, 1);
    sim.create(set(Value::Null));
    sim.settle();
    let mut squatter = sim.all(&Resource::CONTROLLER_REVISIONS).pop().unwrap().object().clone();
    squatter.remove(&["metadata", "ownerReferences"]);
    squatter.set(&["metadata", "labels"], json!({"app": "other"}));
    let mut other = self::sim();
    nodes(&mut other, 1);
    other.create(Value::Object(squatter.0));
    other.create(set(Value::Null));
    run(&mut other);
    assert_eq!((&status(&other)["collisionCount"], &status(&other)["numberAvailable"]), (&json!(1), &json!(1)));
}

#[test]
fn failed_pods_are_replaced_after_pauses_that_grow() {
    let mut sim = sim();
    nodes(&mut sim, 1);
    sim.create(set(Value::Null));
    sim.settle();
    let fail = |sim: &mut Sim| {
        let pod = sim.all(&Resource::PODS).pop().unwrap();
        sim.patch(&Resource::PODS, &pod.key.name, "status", json!({"status": {"phase": "Failed"}}));
        sim.settle();
        sim.all(&Resource::PODS).pop().is_none_or(|now| now.key != pod.key)
    };
    assert!(fail(&mut sim), "at once");
    let message = sim.events.iter().find(|e| e.contains("FailedDaemonPod")).unwrap();
    assert!(message.contains("Found failed daemon pod a/agent-") && message.ends_with(" on node n1, will try to kill it"), "{message}");
    assert!(!fail(&mut sim), "within a second");
    sim.pass(1);
    assert!(!fail(&mut sim), "within two");
    sim.pass(2);
    assert!(!fail(&mut sim), "within four");
}

#[test]
fn five_thousand_nodes_are_planned_at_once() {
    let mut sim = sim();
    nodes(&mut sim, 5000);
    sim.create(set(json!({"maxUnavailable": "10%", "maxSurge": 0})));
    sim.show_all();
    sim.plan();
    while sim.act() {}
    sim.show_all();
    let (key, at) = (Resource::DAEMON_SETS.key("a", "agent"), Moment::at(sim.now));
    let began = std::time::Instant::now();
    let plan = crate::runtime::Controller::plan(&DaemonSets, sim.engine.view(), &key, &at);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert_eq!(plan.writes.len(), 5001);
    run(&mut sim);
    assert_eq!(status(&sim)["numberAvailable"], 5000);
    let began = std::time::Instant::now();
    let plan = crate::runtime::Controller::plan(&DaemonSets, sim.engine.view(), &key, &at);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert!(plan.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the order in which pods move and watches show, an update stays between its bounds, and ends.
    #[test]
    fn an_update_keeps_its_bounds(count in 1_usize..6, surge in 0_usize..3, unavailable in 1_usize..3, steps in proptest::collection::vec((0_u8..6, 0_usize..16), 0..160)) {
        let mut sim = sim();
        nodes(&mut sim, count);
        let (surge, unavailable) = if surge > 0 { (surge, 0) } else { (0, unavailable) };
        sim.create(set(json!({"maxSurge": surge, "maxUnavailable": unavailable})));
        run(&mut sim);
        image(&mut sim, "v2");
        for (what, which) in steps {
            sim.happens(what, which, hollow);
            let live: Vec<Arc<Stored>> = sim.all(&Resource::PODS).into_iter().filter(|p| p.object().deletion_timestamp().is_none()).collect();
            let mut by_node: BTreeMap<String, Vec<bool>> = BTreeMap::new();
            live.iter().for_each(|p| by_node.entry(target(p.object())).or_default().push(ready(p.object())));
            prop_assert!(by_node.values().filter(|pods| pods.len() > 1).count() <= surge, "{by_node:?} with a surge of {surge}");
            prop_assert!(by_node.values().all(|pods| pods.len() <= 2));
            let serving = by_node.values().filter(|pods| pods.contains(&true)).count();
            prop_assert!(serving + unavailable >= count, "{serving} of {count} serve");
        }
        run(&mut sim);
        prop_assert!(pods(&sim).iter().all(|(_, image)| image == "v2"), "{:?}", pods(&sim));
        prop_assert_eq!(pods(&sim).len(), count);
    }
}
