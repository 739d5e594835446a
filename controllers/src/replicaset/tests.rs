use super::*;
use crate::testing::Sim;
use proptest::prelude::*;

fn sim() -> Sim {
    Sim::new(vec![Box::new(REPLICA_SETS)])
}

fn set(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "a"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    })
}

fn pod(name: &str, more: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": "web"}}, "spec": {}, "status": {"phase": "Running"}});
    for part in ["metadata", "spec", "status"] {
        for (key, value) in more[part].as_object().into_iter().flatten() {
            pod[part][key] = value.clone();
        }
    }
    pod
}

fn ready(since: &str) -> Value {
    json!([{"type": "Ready", "status": "True", "lastTransitionTime": since}])
}

#[test]
fn the_pods_that_are_worth_the_least_go_first() {
    let mut sim = sim();
    let (long, lately) = ("2025-12-01T00:00:00Z", "2025-12-31T23:59:00Z");
    let on = |node: &str| json!({"nodeName": node});
    let restarts = |n: i64| json!([{"restartCount": n}]);
    for object in [
        pod("g-oldest", json!({"spec": on("n1"), "status": {"conditions": ready(long)}})),
        pod("f-restarted", json!({"spec": on("n1"), "status": {"conditions": ready(long), "containerStatuses": restarts(3)}})),
        pod("e-younger", json!({"spec": on("n1"), "status": {"conditions": ready(lately)}})),
        pod(
            "d-cheap",
            json!({"spec": on("n2"), "metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}, "status": {"conditions": ready(long)}}),
        ),
        pod("c-unready", json!({"spec": on("n2")})),
        pod("b-pending", json!({"spec": on("n3"), "status": {"phase": "Pending"}})),
        pod("a-unassigned", json!({"status": {"phase": "Pending"}})),
    ] {
        sim.create(object);
    }
    sim.create(set(7));
    sim.settle();
    for left in (0..7).rev() {
        sim.patch(&Resource::REPLICA_SETS, "web", "", json!({"spec": {"replicas": left}}));
        sim.settle();
    }
    let deleted: Vec<_> = sim.events.iter().filter_map(|e| e.strip_prefix("web SuccessfulDelete: Deleted pod: ")).collect();
    assert_eq!(deleted, ["a-unassigned", "b-pending", "c-unready", "d-cheap", "e-younger", "f-restarted", "g-oldest"]);
}

#[test]
fn of_equal_pods_those_with_more_neighbours_go_first() {
    let mut sim = sim();
    for (name, node) in [("p1", "n1"), ("p2", "n2"), ("p3", "n2")] {
        sim.create(pod(name, json!({"spec": {"nodeName": node}, "status": {"conditions": ready("2025-12-01T00:00:00Z")}})));
    }
    sim.create(set(2));
    sim.settle();
    assert!(sim.get(&Resource::PODS, "p1").unwrap().deletion_timestamp().is_none());
}

#[test]
fn a_replication_controller_selects_by_labels_alone() {
    let mut sim = Sim::new(vec![Box::new(REPLICATION_CONTROLLERS), Box::new(REPLICA_SETS)]);
    let mut controller = set(2);
    controller["apiVersion"] = json!("v1");
    controller["kind"] = json!("ReplicationController");
    controller["spec"]["selector"] = json!({"app": "web"});
    sim.create(pod("orphan", json!({})));
    sim.create(pod("other", json!({"metadata": {"labels": {"app": "other"}}})));
    sim.create(controller);
    sim.run_pods();
    let owners: Vec<_> = sim.all(&Resource::PODS).iter().map(|p| p.object().controller().map(|c| (c.kind, c.name))).collect();
    let own = Some(("ReplicationController".to_owned(), "web".to_owned()));
    assert_eq!(owners, [own.clone(), None, own]);
    let status = sim.get(&Resource::REPLICATION_CONTROLLERS, "web").unwrap().at(&["status"]).cloned().unwrap();
    assert_eq!(status, json!({"replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "observedGeneration": 1}));
}

#[test]
fn a_plan_prints() {
    let mut sim = sim();
    let old = sim.create(set(2));
    let mut stranger = pod("stranger", json!({"metadata": {"labels": {"app": "other"}}}));
    stranger["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": old.object().uid(), "controller": true}]);
    sim.create(stranger);
    sim.create(pod("orphan", json!({})));
    sim.show_all();
    sim.plan();
    insta::assert_snapshot!(sim.plans.concat(), @r#"
    patch pods a/stranger {"metadata":{"ownerReferences":null,"resourceVersion":"2","uid":"uid-2"}}
    patch pods a/orphan {"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"ReplicaSet","name":"web","uid":"uid-1"}],"resourceVersion":"3","uid":"uid-3"}}
    create pods a/web-*
    patch replicasets.apps a/web/status {"metadata":{"uid":"uid-1"},"status":{"fullyLabeledReplicas":1,"observedGeneration":1,"replicas":1}}
    "#);
}

#[test]
fn a_set_waits_until_it_has_seen_its_pods() {
    let mut sim = sim();
    sim.create(set(3));
    sim.show_all();
    sim.plan();
    while sim.act() {}
    assert_eq!(sim.names(&Resource::PODS).len(), 3);
    for _ in 0..5 {
        // its own status comes back, its pods don't yet
        sim.show(&Resource::REPLICA_SETS);
        sim.plan();
        while sim.act() {}
    }
    assert_eq!(sim.names(&Resource::PODS).len(), 3);
    sim.settle();
    assert_eq!(sim.names(&Resource::PODS).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// From any pods, and whatever is seen when, there are as many as asked for in the end, all of them its own.
    #[test]
    fn it_converges(
        replicas in 0_i64..8,
        pods in proptest::collection::vec((any::<bool>(), any::<bool>(), 0_usize..4, any::<bool>()), 0..12),
        steps in proptest::collection::vec((0_u8..4, 0_usize..2), 0..40),
    ) {
        let mut sim = sim();
        let uid = sim.create(set(replicas)).object().uid().to_owned();
        for (i, (owned, matching, phase, bound)) in pods.into_iter().enumerate() {
            let phase = ["Pending", "Running", "Succeeded", "Failed"][phase];
            let mut object = pod(&format!("p{i}"), json!({"status": {"phase": phase}}));
            if owned {
                object["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid, "controller": true}]);
            }
            if !matching {
                object["metadata"]["labels"] = json!({"app": "other"});
            }
            if bound {
                object["spec"]["nodeName"] = json!("n1");
            }
            sim.create(object);
        }
        for (what, which) in steps {
            match what {
                0 => _ = sim.show(&[Resource::PODS, Resource::REPLICA_SETS][which]),
                1 | 2 => sim.plan(),
                _ => _ = sim.act(),
            }
        }
        sim.settle();
        let live: Vec<_> = sim.all(&Resource::PODS).into_iter().filter(|p| p.object().deletion_timestamp().is_none() && !matches!(p.object().str_at(&["status", "phase"]), "Succeeded" | "Failed")).collect();
        let (own, others): (Vec<_>, Vec<_>) = live.iter().partition(|p| p.object().controller().is_some_and(|c| c.uid == uid));
        prop_assert_eq!(own.len() as i64, replicas);
        prop_assert!(own.iter().all(|p| p.object().label("app") == Some("web")));
        prop_assert!(others.iter().all(|p| p.object().label("app") == Some("other")));
        prop_assert_eq!(sim.get(&Resource::REPLICA_SETS, "web").unwrap().int_at(&["status", "replicas"]), Some(replicas));
    }
}
