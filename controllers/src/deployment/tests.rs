use super::Deployments;
use crate::replicaset::REPLICA_SETS;
use crate::runtime::Resource;
use crate::status::find;
use crate::testing::{Sim, deployment, ready};
use proptest::prelude::*;
use serde_json::{Value, json};

fn sim() -> Sim {
    Sim::new(vec![Box::new(Deployments), Box::new(REPLICA_SETS)])
}

fn status(sim: &Sim) -> Value {
    sim.get(&Resource::DEPLOYMENTS, "web").unwrap().at(&["status"]).cloned().unwrap_or_default()
}

fn condition(sim: &Sim, r#type: &str) -> (String, String, String) {
    let status = status(sim);
    let c = find(status["conditions"].as_array().unwrap(), r#type).cloned().unwrap_or_default();
    let text = |f: &str| c[f].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

fn image(sim: &mut Sim, image: &str) {
    let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    sim.patch(&Resource::DEPLOYMENTS, "web", "", template);
}

/// Revision and size of each ReplicaSet, by revision.
fn sets(sim: &Sim) -> Vec<(String, i64)> {
    let annotation = |o: &model::Object| o.annotation("deployment.kubernetes.io/revision").unwrap_or_default().to_owned();
    let mut all: Vec<_> =
        sim.all(&Resource::REPLICA_SETS).iter().map(|s| (annotation(s.object()), s.object().int_at(&["spec", "replicas"]).unwrap())).collect();
    all.sort();
    all
}

#[test]
fn a_deployment_becomes_ready_pods() {
    let mut sim = sim();
    sim.create(deployment("web", 3, "v1"));
    sim.settle();
    assert_eq!(condition(&sim, "Progressing").1, "ReplicaSetUpdated");
    assert_eq!(condition(&sim, "Available"), ("False".into(), "MinimumReplicasUnavailable".into(), "Deployment does not have minimum availability.".into()));
    sim.run_pods();
    let set = sim.names(&Resource::REPLICA_SETS).pop().unwrap();
    assert_eq!(condition(&sim, "Progressing"), ("True".into(), "NewReplicaSetAvailable".into(), format!("ReplicaSet \"{set}\" has successfully progressed.")));
    let status = status(&sim);
    for field in ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
    assert_eq!((&status["observedGeneration"], &status["unavailableReplicas"]), (&json!(1), &Value::Null));
    assert_eq!(sim.events.first().unwrap(), &format!("web ScalingReplicaSet: Scaled up replica set {set} from 0 to 3"));
    let pod = sim.all(&Resource::PODS).pop().unwrap();
    assert_eq!(format!("web-{}", pod.object().label("pod-template-hash").unwrap()), set);
    assert_eq!(pod.object().controller().unwrap().name, set);
    assert_eq!(sim.events.iter().filter(|e| e.starts_with(&format!("{set} SuccessfulCreate: Created pod: {set}-"))).count(), 3);
}

#[test]
fn undo_gives_the_old_set_a_new_revision() {
    let mut sim = sim();
    sim.create(deployment("web", 2, "v1"));
    sim.run_pods();
    image(&mut sim, "v2");
    sim.run_pods();
    assert_eq!(sets(&sim), [("1".into(), 0), ("2".into(), 2)]);
    image(&mut sim, "v1");
    sim.run_pods();
    assert_eq!(sets(&sim), [("2".into(), 0), ("3".into(), 2)]);
    assert_eq!(sim.get(&Resource::DEPLOYMENTS, "web").unwrap().annotation("deployment.kubernetes.io/revision"), Some("3"));
    let third = sim.all(&Resource::REPLICA_SETS).into_iter().find(|s| s.object().annotation("deployment.kubernetes.io/revision") == Some("3")).unwrap();
    assert_eq!(third.object().annotation("deployment.kubernetes.io/revision-history"), Some("1"));
}

#[test]
fn old_sets_beyond_the_limit_go() {
    let mut sim = sim();
    let mut web = deployment("web", 1, "v0");
    web["spec"]["revisionHistoryLimit"] = json!(2);
    sim.create(web);
    for i in 0..5 {
        sim.run_pods();
        image(&mut sim, &format!("v{i}"));
    }
    sim.run_pods();
    assert_eq!(sets(&sim), [("3".into(), 0), ("4".into(), 0), ("5".into(), 1)]);
}

#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let mut sim = sim();
    sim.create(deployment("web", 2, "v1"));
    sim.run_pods();
    sim.patch(&Resource::DEPLOYMENTS, "web", "", json!({"spec": {"paused": true, "replicas": 4}}));
    image(&mut sim, "v2");
    sim.run_pods();
    assert_eq!(sets(&sim), [("1".into(), 4)]);
    assert_eq!(condition(&sim, "Progressing"), ("Unknown".into(), "DeploymentPaused".into(), "Deployment is paused".into()));
    sim.patch(&Resource::DEPLOYMENTS, "web", "", json!({"spec": {"paused": null}}));
    sim.run_pods();
    assert_eq!(sets(&sim), [("1".into(), 0), ("2".into(), 4)]);
    assert_eq!(condition(&sim, "Progressing").1, "NewReplicaSetAvailable");
}

#[test]
fn a_rollout_that_does_not_move_exceeds_its_deadline() {
    let mut sim = sim();
    sim.create(deployment("web", 2, "v1"));
    sim.settle();
    sim.pass(599);
    assert_eq!(condition(&sim, "Progressing").0, "True");
    sim.pass(3);
    let set = sim.names(&Resource::REPLICA_SETS).pop().unwrap();
    assert_eq!(condition(&sim, "Progressing"), ("False".into(), "ProgressDeadlineExceeded".into(), format!("ReplicaSet \"{set}\" has timed out progressing.")));
    sim.run_pods();
    assert_eq!(condition(&sim, "Progressing").1, "NewReplicaSetAvailable");
}

#[test]
fn recreate_waits_until_the_last_old_pod_is_gone() {
    let mut sim = sim();
    let mut web = deployment("web", 3, "v1");
    web["spec"]["strategy"] = json!({"type": "Recreate"});
    sim.create(web);
    sim.run_pods();
    image(&mut sim, "v2");
    sim.settle();
    assert_eq!(sets(&sim), [("1".into(), 0)], "old pods still end");
    sim.run_pods();
    assert_eq!(sets(&sim), [("1".into(), 0), ("2".into(), 3)]);
}

#[test]
fn pods_count_as_available_after_min_ready_seconds() {
    let mut sim = sim();
    let mut web = deployment("web", 2, "v1");
    web["spec"]["minReadySeconds"] = json!(10);
    sim.create(web);
    sim.run_pods();
    assert_eq!((&status(&sim)["readyReplicas"], &status(&sim)["availableReplicas"]), (&json!(2), &Value::Null));
    sim.pass(10);
    assert_eq!(status(&sim)["availableReplicas"], 2);
}

#[test]
fn a_refused_pod_is_told_and_tried_again() {
    let mut sim = sim();
    sim.world.refuse = Some(("pods", model::ApiError::forbidden("", "pods", "web", "exceeded quota")));
    sim.create(deployment("web", 2, "v1"));
    sim.settle();
    sim.pass(2);
    assert!(sim.events.iter().any(|e| e.contains("FailedCreate: Error creating: pods \"web\" is forbidden: exceeded quota")), "{:?}", sim.events);
    let failure = condition(&sim, "ReplicaFailure");
    assert_eq!((failure.0.as_str(), failure.1.as_str()), ("True", "FailedCreate"));
    sim.world.refuse = None;
    sim.pass(60);
    sim.run_pods();
    assert_eq!((status(&sim)["readyReplicas"].clone(), condition(&sim, "ReplicaFailure").0), (json!(2), String::new()));
}

#[test]
fn a_taken_name_counts_as_a_collision() {
    let mut sim = sim();
    sim.create(deployment("web", 1, "v1"));
    sim.settle();
    let mut squatter = sim.all(&Resource::REPLICA_SETS).pop().unwrap().object().clone();
    let mut other = Sim::new(vec![Box::new(Deployments), Box::new(REPLICA_SETS)]);
    squatter.remove(&["metadata", "ownerReferences"]);
    squatter.set(&["metadata", "labels"], json!({"app": "other"}));
    squatter.set(&["spec", "replicas"], 0);
    other.world.create(Value::Object(squatter.0)).unwrap();
    other.create(deployment("web", 1, "v1"));
    other.run_pods();
    let status = other.get(&Resource::DEPLOYMENTS, "web").unwrap().at(&["status"]).cloned().unwrap();
    assert_eq!((&status["collisionCount"], &status["availableReplicas"]), (&json!(1), &json!(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the order in which pods move and watches show, a rolling update stays between its fences.
    #[test]
    fn a_rolling_update_keeps_its_bounds(replicas in 1_i64..9, surge in 0_i64..4, unavailable in 0_i64..4, steps in proptest::collection::vec((0_u8..6, 0_usize..16), 0..160)) {
        let mut sim = sim();
        let mut web = deployment("web", replicas, "v1");
        web["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": surge, "maxUnavailable": unavailable});
        let (surge, unavailable) = if surge + unavailable == 0 { (0, 1) } else { (surge, unavailable.min(replicas)) };
        sim.create(web);
        sim.run_pods();
        image(&mut sim, "v2");
        for (what, which) in steps {
            sim.happens(what, which, |sim, pod| sim.hollow(&pod.key));
            let pods = sim.all(&Resource::PODS);
            let live: Vec<_> = pods.iter().filter(|p| p.object().deletion_timestamp().is_none()).collect();
            prop_assert!(live.len() as i64 <= replicas + surge, "{} pods of {replicas}+{surge}", live.len());
            let available = live.iter().filter(|p| ready(p.object())).count() as i64;
            prop_assert!(available >= replicas - unavailable, "{available} available of {replicas}-{unavailable}");
        }
        sim.run_pods();
        prop_assert_eq!(sets(&sim), [("1".to_owned(), 0), ("2".to_owned(), replicas)]);
    }
}
