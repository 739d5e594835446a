use super::StatefulSets;
use crate::garbage::GarbageCollector;
use crate::runtime::Resource;
use crate::testing::{Sim, ready};
use model::Object;
use proptest::prelude::*;
use serde_json::{Value, json};
use state_client::Propagation;
use std::collections::BTreeMap;

fn sim() -> Sim {
    Sim::new(vec![Box::new(StatefulSets), Box::new(GarbageCollector::new(&model::kinds::builtin()))])
}

/// A set of `replicas`, with what else is said of it.
fn set(replicas: i64, more: Value) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "db"}}, "serviceName": "dbs", "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
        },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        set["spec"][key] = value.clone();
    }
    set
}

fn with_claims(scaled: &str, deleted: &str) -> Value {
    let template = json!({"metadata": {"name": "data", "labels": {"x": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    json!({"volumeClaimTemplates": [template], "persistentVolumeClaimRetentionPolicy": {"whenScaled": scaled, "whenDeleted": deleted}})
}

fn edit(sim: &mut Sim, spec: Value) {
    sim.patch(&Resource::STATEFUL_SETS, "db", "", json!({"spec": spec}));
}

fn image(sim: &mut Sim, image: &str) {
    edit(sim, json!({"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}));
}

fn status(sim: &Sim) -> Value {
    sim.get(&Resource::STATEFUL_SETS, "db").unwrap().at(&["status"]).cloned().unwrap_or_default()
}

/// The image of each pod, by its name.
fn images(sim: &Sim) -> Vec<(String, String)> {
    let image = |o: &Object| o.list_at(&["spec", "containers"])[0]["image"].as_str().unwrap().to_owned();
    sim.all(&Resource::PODS).iter().map(|p| (p.key.name.to_string(), image(p.object()))).collect()
}

fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect()
}

/// Lets nodes act on the one pod that isn't at rest, again and again; the names in the order in which they came and went.
fn order(sim: &mut Sim) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..100 {
        sim.settle();
        let moving: Vec<_> = sim.all(&Resource::PODS).into_iter().filter(|p| !ready(p.object()) || p.object().deletion_timestamp().is_some()).collect();
        let Some(pod) = moving.first() else { return seen };
        assert_eq!(moving.len(), 1, "one after the other");
        seen.push(format!("{}{}", if pod.object().deletion_timestamp().is_some() { "-" } else { "+" }, pod.key.name));
        sim.hollow(&pod.key.clone());
    }
    panic!("pods don't come to rest");
}

#[test]
fn pods_come_and_go_in_their_order_and_have_their_names() {
    let mut sim = sim();
    sim.create(set(3, json!({})));
    assert_eq!(order(&mut sim), ["+db-0", "+db-1", "+db-2"]);
    let revision = sim.names(&Resource::CONTROLLER_REVISIONS).pop().unwrap();
    let all = json!({
        "replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3, "observedGeneration": 1, "collisionCount": 0,
        "currentRevision": revision, "updateRevision": revision,
    });
    assert_eq!(status(&sim), all);
    let pod = sim.get(&Resource::PODS, "db-2").unwrap();
    assert_eq!((pod.str_at(&["spec", "hostname"]), pod.str_at(&["spec", "subdomain"])), ("db-2", "dbs"));
    let labels = json!({"app": "db", "statefulset.kubernetes.io/pod-name": "db-2", "apps.kubernetes.io/pod-index": "2", "controller-revision-hash": revision});
    assert_eq!(pod.labels(), labels.as_object());
    assert!(sim.events.contains(&"db SuccessfulCreate: Create Pod db-0 in StatefulSet db successful".to_owned()), "{:?}", sim.events);
    edit(&mut sim, json!({"replicas": 1}));
    assert_eq!(order(&mut sim), ["-db-2", "-db-1"]);
    assert!(sim.events.contains(&"db SuccessfulDelete: Delete Pod db-1 in StatefulSet db successful".to_owned()));
    // a start ordinal moves the set
    edit(&mut sim, json!({"replicas": 2, "ordinals": {"start": 4}}));
    assert_eq!(order(&mut sim), ["+db-4", "+db-5", "-db-0"]);
}

#[test]
fn a_parallel_set_comes_at_once() {
    let mut sim = sim();
    sim.create(set(4, json!({"podManagementPolicy": "Parallel"})));
    sim.settle();
    assert_eq!(sim.names(&Resource::PODS), ["db-0", "db-1", "db-2", "db-3"]);
    edit(&mut sim, json!({"replicas": 1}));
    sim.settle();
    assert_eq!(sim.names(&Resource::PODS), ["db-0"], "they were bound to no node yet");
}

#[test]
fn an_update_goes_down_from_the_highest_ordinal_to_the_partition() {
    let mut sim = sim();
    sim.create(set(3, json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}})));
    sim.run_pods();
    let before = status(&sim)["currentRevision"].clone();
    image(&mut sim, "v2");
    assert_eq!(order(&mut sim), ["-db-2", "+db-2", "-db-1", "+db-1"]);
    assert_eq!(images(&sim), of(&[("db-0", "v1"), ("db-1", "v2"), ("db-2", "v2")]));
    assert_eq!((&status(&sim)["currentRevision"], &status(&sim)["currentReplicas"], &status(&sim)["updatedReplicas"]), (&before, &json!(1), &json!(2)));
    // below the partition a pod comes back as it was
    sim.delete(&Resource::PODS, "db-0", None);
    sim.run_pods();
    assert_eq!(images(&sim)[0].1, "v1");
    edit(&mut sim, json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}}));
    assert_eq!(order(&mut sim), ["-db-0", "+db-0"]);
    assert_eq!((&status(&sim)["currentRevision"], &status(&sim)["currentReplicas"]), (&status(&sim)["updateRevision"], &json!(3)));
}

#[test]
fn as_many_as_may_be_unavailable_go_at_a_time() {
    for (policy, going) in [("OrderedReady", 2), ("Parallel", 2)] {
        let mut sim = sim();
        sim.create(set(5, json!({"podManagementPolicy": policy, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "40%"}}})));
        sim.run_pods();
        image(&mut sim, "v2");
        sim.settle();
        let ending: Vec<_> =
            sim.all(&Resource::PODS).into_iter().filter(|p| p.object().deletion_timestamp().is_some()).map(|p| p.key.name.to_string()).collect();
        assert_eq!((ending.len(), ending), (going, vec!["db-3".to_owned(), "db-4".to_owned()]), "{policy}");
        sim.run_pods();
        assert!(images(&sim).iter().all(|(_, image)| image == "v2"));
    }
}

#[test]
fn on_delete_waits_for_deletions_and_a_rollback_finds_its_revision() {
    let mut sim = sim();
    sim.create(set(2, json!({"updateStrategy": {"type": "OnDelete"}})));
    sim.run_pods();
    let first = status(&sim)["updateRevision"].clone();
    image(&mut sim, "v2");
    sim.run_pods();
    assert_eq!(images(&sim), of(&[("db-0", "v1"), ("db-1", "v1")]));
    sim.delete(&Resource::PODS, "db-0", None);
    sim.run_pods();
    assert_eq!(images(&sim), of(&[("db-0", "v2"), ("db-1", "v1")]));
    image(&mut sim, "v1");
    sim.run_pods();
    let numbers: BTreeMap<String, i64> =
        sim.all(&Resource::CONTROLLER_REVISIONS).iter().map(|r| (r.key.name.to_string(), r.object().int_at(&["revision"]).unwrap())).collect();
    assert_eq!((&status(&sim)["updateRevision"], numbers[first.as_str().unwrap()], numbers.len()), (&first, 3, 2));
}

#[test]
fn old_revisions_beyond_the_limit_go_unless_they_live() {
    let mut sim = sim();
    sim.create(set(2, json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}})));
    sim.run_pods();
    for version in 2..8 {
        image(&mut sim, &format!("v{version}"));
        sim.run_pods();
    }
    let mut numbers: Vec<i64> = sim.all(&Resource::CONTROLLER_REVISIONS).iter().map(|r| r.object().int_at(&["revision"]).unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 5, 6, 7], "the first one still runs");
}

#[test]
fn a_pod_that_ended_is_replaced_and_one_that_is_not_available_holds_the_next() {
    let mut sim = sim();
    sim.create(set(2, json!({"minReadySeconds": 10})));
    sim.settle();
    sim.hollow(&Resource::PODS.key("a", "db-0"));
    sim.settle();
    assert_eq!(
        (sim.names(&Resource::PODS), &status(&sim)["readyReplicas"], &status(&sim)["availableReplicas"]),
        (vec!["db-0".to_owned()], &json!(1), &json!(0))
    );
    sim.pass(10);
    assert_eq!(sim.names(&Resource::PODS), ["db-0", "db-1"]);
    sim.patch(&Resource::PODS, "db-1", "status", json!({"status": {"phase": "Failed"}}));
    sim.settle();
    assert!(sim.get(&Resource::PODS, "db-1").is_some_and(|pod| pod.str_at(&["status", "phase"]).is_empty()), "another one");
}

#[test]
fn claims_come_before_their_pods_and_are_told() {
    let mut sim = sim();
    sim.world.refuse = Some(("pods", model::ApiError::forbidden("", "pods", "db-0", "not yet")));
    sim.create(set(1, with_claims("Retain", "Retain")));
    sim.settle();
    let claim = sim.get(&Resource::CLAIMS, "data-db-0").unwrap();
    assert_eq!((claim.labels(), claim.owner_references().len()), (json!({"app": "db", "x": "y"}).as_object(), 0));
    assert!(sim.events.contains(&"db SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success".to_owned()), "{:?}", sim.events);
    assert!(sim.events.contains(&"db FailedCreate: Create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: not yet".to_owned()));
    sim.world.refuse = None;
    sim.pass(60);
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}]);
    assert_eq!(sim.get(&Resource::PODS, "db-0").unwrap().at(&["spec", "volumes"]), Some(&volumes));
}

/// Which claims are left after scaling from 2 to 1, and after the set's end.
fn left(scaled: &str, deleted: &str) -> (Vec<String>, Vec<String>) {
    let mut sim = sim();
    sim.create(set(2, with_claims(scaled, deleted)));
    sim.run_pods();
    edit(&mut sim, json!({"replicas": 1}));
    sim.run_pods();
    sim.settle();
    let after_scaling = sim.names(&Resource::CLAIMS);
    sim.delete(&Resource::STATEFUL_SETS, "db", Some(Propagation::Background));
    sim.run_pods();
    (after_scaling, sim.names(&Resource::CLAIMS))
}

#[test]
fn claims_go_as_the_retention_policy_says() {
    let names = |all: &[&str]| all.iter().map(|name| format!("data-db-{name}")).collect::<Vec<_>>();
    assert_eq!(left("Retain", "Retain"), (names(&["0", "1"]), names(&["0", "1"])));
    assert_eq!(left("Delete", "Retain"), (names(&["0"]), names(&["0"])));
    assert_eq!(left("Retain", "Delete"), (names(&["0", "1"]), names(&[])));
    assert_eq!(left("Delete", "Delete"), (names(&["0"]), names(&[])));
}

#[test]
fn a_policy_that_changes_changes_owners() {
    let mut sim = sim();
    sim.create(set(1, with_claims("Retain", "Retain")));
    sim.run_pods();
    let owners = |sim: &Sim| sim.get(&Resource::CLAIMS, "data-db-0").unwrap().owner_references().into_iter().map(|o| o.kind).collect::<Vec<_>>();
    assert!(owners(&sim).is_empty());
    edit(&mut sim, json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}));
    sim.settle();
    assert_eq!(owners(&sim), ["StatefulSet"]);
    edit(&mut sim, json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}));
    sim.settle();
    assert!(owners(&sim).is_empty());
}

#[test]
fn orphans_with_the_right_name_are_adopted() {
    let mut sim = sim();
    let orphan = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": "db"}}, "spec": {"containers": [{"image": "v0"}]}});
    sim.create(orphan("db-0"));
    sim.create(orphan("other-0"));
    sim.create(set(1, json!({})));
    sim.run_pods();
    let owner = |name: &str| sim.get(&Resource::PODS, name).unwrap().controller().map(|c| c.name);
    assert_eq!((owner("db-0"), owner("other-0")), (Some("db".to_owned()), None));
    assert_eq!(images(&sim)[0].1, "v1", "of no revision, it was replaced");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the order in which pods move and watches show, an ordered set keeps its order, and becomes what it is to be.
    #[test]
    fn an_ordered_set_keeps_its_order(
        replicas in 1_i64..5, parallel in any::<bool>(), unavailable in 1_i64..3,
        edits in proptest::collection::vec((0_usize..120, 0_u8..2, 0_i64..5), 0..4),
        steps in proptest::collection::vec((0_u8..6, 0_usize..16), 0..160),
    ) {
        let mut sim = sim();
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}});
        sim.create(set(replicas, json!({"podManagementPolicy": if parallel { "Parallel" } else { "OrderedReady" }, "updateStrategy": rolling})));
        let (mut wanted, mut template) = (replicas, "v1".to_owned());
        for (step, (what, which)) in steps.into_iter().enumerate() {
            for (_, how, number) in edits.iter().filter(|(at, ..)| *at == step) {
                if *how == 0 {
                    wanted = *number;
                    edit(&mut sim, json!({"replicas": wanted}));
                } else {
                    template = format!("v{number}");
                    image(&mut sim, &template);
                }
            }
            let before = sim.names(&Resource::PODS);
            sim.happens(what, which, |sim, pod| sim.hollow(&pod.key));
            let new: Vec<String> = sim.names(&Resource::PODS).into_iter().filter(|name| !before.contains(name)).collect();
            if !parallel && let Some(new) = new.first() {
                let ordinal: i64 = new.trim_start_matches("db-").parse().unwrap();
                prop_assert!((0..ordinal).all(|lower| before.contains(&format!("db-{lower}"))), "{new} came after {before:?}");
            }
        }
        sim.run_pods();
        let expected: Vec<_> = (0..wanted).map(|n| (format!("db-{n}"), template.clone())).collect();
        prop_assert_eq!(images(&sim), expected);
        prop_assert_eq!(status(&sim)["currentRevision"].clone(), status(&sim)["updateRevision"].clone());
    }
}
