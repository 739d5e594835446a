//! Budgets over Deployments, whose pods come, become ready and go.
use super::selection::BUDGETS;
use super::{Disruptions, expected};
use crate::deployment::Deployments;
use crate::replicaset::REPLICA_SETS;
use crate::runtime::{Controller, Item, Resource, View};
use crate::testing::{Sim, deployment};
use jiff::Timestamp;
use model::{Object, Stored, custom, kinds};
use serde_json::{Value, json};
use std::sync::Arc;

fn sim() -> Sim {
    Sim::new(vec![Box::new(Deployments), Box::new(REPLICA_SETS), Box::new(Disruptions::new(&kinds::builtin()))])
}

fn budget(name: &str, spec: Value) -> Value {
    let mut whole = json!({"selector": {"matchLabels": {"app": "web"}}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "a"}, "spec": whole})
}

fn with_web(replicas: i64) -> Sim {
    let mut sim = sim();
    sim.create(deployment("web", replicas, "v1"));
    sim.run_pods();
    sim
}

/// Expected, desired, healthy and allowed.
fn counts(sim: &Sim, name: &str) -> [i64; 4] {
    let budget = sim.get(&BUDGETS, name).unwrap();
    ["expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"].map(|field| budget.int_at(&["status", field]).unwrap_or(-1))
}

fn condition(sim: &Sim, name: &str) -> [String; 3] {
    let budget = sim.get(&BUDGETS, name).unwrap();
    let all = budget.list_at(&["status", "conditions"]);
    assert_eq!(all.len(), 1, "{all:?}");
    ["status", "reason", "message"].map(|field| all[0][field].as_str().unwrap().to_owned())
}

#[test]
fn numbers_and_percentages() {
    let mut sim = with_web(3);
    let cases = [
        (json!({"minAvailable": 2}), [3, 2, 3, 1]),
        (json!({"minAvailable": 0}), [3, 0, 3, 3]),
        (json!({"minAvailable": 5}), [3, 5, 3, 0]),
        (json!({"minAvailable": "50%"}), [3, 2, 3, 1]),
        (json!({"minAvailable": "100%"}), [3, 3, 3, 0]),
        (json!({"maxUnavailable": 1}), [3, 2, 3, 1]),
        (json!({"maxUnavailable": 7}), [3, 0, 3, 3]),
        (json!({"maxUnavailable": "34%"}), [3, 1, 3, 2]),
        (json!({"maxUnavailable": 0}), [3, 3, 3, 0]),
        (json!({}), [0, 0, 3, 0]),
    ];
    for (number, (spec, want)) in cases.into_iter().enumerate() {
        let name = format!("b{number}");
        sim.create(budget(&name, spec.clone()));
        sim.settle();
        assert_eq!(counts(&sim, &name), want, "{spec}");
        let allowed = if want[3] > 0 { ["True", "SufficientPods", ""] } else { ["False", "InsufficientPods", ""] };
        assert_eq!(condition(&sim, &name), allowed);
        assert_eq!(sim.get(&BUDGETS, &name).unwrap().int_at(&["status", "observedGeneration"]), Some(1));
        sim.delete(&BUDGETS, &name, None);
    }
}

#[test]
fn a_count_follows_its_pods_and_what_is_wanted() {
    let mut sim = with_web(3);
    sim.create(budget("b", json!({"minAvailable": "60%"})));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [3, 2, 3, 1]);
    let pod = sim.names(&Resource::PODS)[0].clone();
    sim.patch(&Resource::PODS, &pod, "status", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [3, 2, 2, 0]);
    sim.patch(&Resource::DEPLOYMENTS, "web", "", json!({"spec": {"replicas": 5}}));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [5, 3, 2, 0]);
    sim.run_pods();
    assert_eq!(counts(&sim, "b"), [5, 3, 5, 2]);
    sim.patch(&Resource::PODS, &pod, "", json!({"metadata": {"labels": {"app": "other"}}}));
    sim.settle();
    assert_eq!(counts(&sim, "b")[2], 4, "a pod that leaves a budget isn't counted any more");
}

#[test]
fn without_pods_nothing_is_allowed() {
    let mut sim = sim();
    sim.create(budget("b", json!({"minAvailable": 0})));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [0, 0, 0, 0]);
    assert!(sim.events.contains(&"b NoPods: No matching pods found".to_owned()), "{:?}", sim.events);
}

fn pod_of(name: &str, owner: Option<(&str, &str)>) -> Value {
    let owners: Vec<Value> =
        owner.into_iter().map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "name": "x", "uid": "u", "controller": true})).collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": "web"}, "ownerReferences": owners},
        "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

#[test]
fn what_cannot_be_counted_allows_nothing() {
    for (owner, why) in [
        (("apps/v1", "DaemonSet"), "daemonsets.apps does not implement the scale subresource"),
        (("v1", "Node"), "nodes does not implement the scale subresource"),
        (("a.example/v1", "Thing"), "no matches for kind \"Thing\" in version \"a.example/v1\""),
        (("apps/v1", "ReplicaSet"), "found no controllers for pod \"p\""),
    ] {
        let mut sim = sim();
        sim.create(pod_of("p", Some(owner)));
        sim.create(budget("b", json!({"maxUnavailable": 1})));
        sim.settle();
        assert_eq!(condition(&sim, "b"), ["False", "SyncFailed", why]);
        assert_eq!(counts(&sim, "b")[3], 0);
        let told = format!("b CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: {why}");
        assert!(sim.events.contains(&told), "{:?}", sim.events);
        // by a number it can be counted
        sim.patch(&BUDGETS, "b", "", json!({"spec": {"maxUnavailable": null, "minAvailable": 0}}));
        sim.settle();
        assert_eq!(condition(&sim, "b"), ["True", "SufficientPods", ""]);
    }
}

#[test]
fn pods_of_nobody_are_told_of() {
    let mut sim = with_web(2);
    sim.create(pod_of("alone", None));
    sim.create(budget("b", json!({"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["1", "2"]}]}})));
    sim.create(budget("c", json!({"minAvailable": 1})));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [2, 1, 3, 2]);
    let told = sim.events.iter().find(|event| event.starts_with("b UnmanagedPods")).unwrap();
    let selector = "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:x,Operator:NotIn,Values:[1 2],},},}";
    assert!(told.contains(&format!("(selector: {selector}) were found to be unmanaged.")), "{told}");
    let several = "alone MultiplePodDisruptionBudgets: Pod \"a\"/\"alone\" matches multiple PodDisruptionBudgets.  Chose \"b\" arbitrarily.";
    assert!(sim.events.iter().any(|event| event == several), "{:?}", sim.events);
}

#[test]
fn an_allowed_eviction_counts_until_its_pod_goes_or_doesnt() {
    let mut sim = with_web(3);
    sim.create(budget("b", json!({"minAvailable": 1})));
    sim.settle();
    assert_eq!(counts(&sim, "b"), [3, 1, 3, 2]);
    let names = sim.names(&Resource::PODS);
    let time = model::time::format(sim.now);
    let noted = json!({"status": {"disruptionsAllowed": 0, "disruptedPods": {&*names[0]: time, &*names[1]: time, "gone": time}}});
    sim.patch(&BUDGETS, "b", "status", noted);
    sim.settle();
    let kept = |sim: &Sim| sim.get(&BUDGETS, "b").unwrap().at(&["status", "disruptedPods"]).cloned();
    assert_eq!((kept(&sim), counts(&sim, "b")), (Some(json!({&*names[0]: time, &*names[1]: time, "gone": time})), [3, 1, 1, 0]));
    // one of them goes, and what is shown then of pods is newer than the budget
    sim.delete(&Resource::PODS, &names[0], None);
    sim.run_pods();
    assert_eq!((kept(&sim), counts(&sim, "b")), (Some(json!({&*names[1]: time})), [3, 1, 2, 1]));
    sim.pass(119);
    assert_eq!(counts(&sim, "b")[3], 1);
    sim.pass(2);
    assert_eq!(counts(&sim, "b"), [3, 1, 3, 2]);
    assert_eq!(kept(&sim), None);
    let told = format!("{} NotDeleted: Pod was expected by PDB a/b to be deleted but it wasn't", names[1]);
    assert!(sim.events.contains(&told), "{:?}", sim.events);
}

#[test]
fn an_eviction_that_did_not_come_about_is_taken_back() {
    let mut sim = with_web(1);
    let pod = sim.names(&Resource::PODS)[0].clone();
    let say = |sim: &mut Sim, reason: &str| {
        let at = model::time::format(sim.now);
        let conditions = json!([{"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": at}]);
        sim.patch(&Resource::PODS, &pod, "status", json!({"status": {"conditions": conditions}}));
        sim.settle();
    };
    let said = |sim: &Sim| sim.get(&Resource::PODS, &pod).unwrap().list_at(&["status", "conditions"])[0]["status"].clone();
    say(&mut sim, "TerminationByKubelet");
    sim.pass(200);
    assert_eq!(said(&sim), "True", "a node takes its time");
    say(&mut sim, "EvictionByEvictionAPI");
    sim.pass(119);
    assert_eq!(said(&sim), "True");
    sim.pass(2);
    assert_eq!(said(&sim), "False");
}

#[test]
fn custom_resources_have_replicas_too() {
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.a.example"},
        "spec": {"group": "a.example", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "subresources": {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}}]},
        "status": {"acceptedNames": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}, "storedVersions": ["v1"],
            "conditions": [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}]}});
    let kinds = Arc::new(custom::with_definition(&kinds::builtin(), &Object::from_value(definition).unwrap()));
    let things = Resource::named("a.example", "things");
    let mut view = View::new(kinds.clone());
    view.watch(things.clone(), &[], false);
    let item = |resource: &Resource, object: Value| {
        let object = Object::from_value(object).unwrap();
        Item::new(Arc::new(Stored::from_object(resource.key(object.namespace(), object.name()), object).unwrap()), Timestamp::UNIX_EPOCH)
    };
    let pod = Arc::new(item(&Resource::PODS, pod_of("p", Some(("a.example/v1", "Thing")))));
    let budget = Object::from_value(budget("b", json!({"minAvailable": "50%"}))).unwrap();
    let missing = expected::expected(&view, &budget, &[&pod]);
    assert_eq!(missing, Err("found no controllers for pod \"p\"".to_owned()));
    view.apply(
        &things,
        item(&things, json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "a", "uid": "u"}, "spec": {"size": 9}})),
    );
    let counted = expected::expected(&view, &budget, &[&pod]);
    assert_eq!(counted, Ok(expected::Expected { pods: 9, healthy: 5, unmanaged: false }));
    assert!(Disruptions::new(&kinds).custom_input(kinds.of("a.example/v1", "Thing").unwrap()).is_some());
}
