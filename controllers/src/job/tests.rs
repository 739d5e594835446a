use super::pods::INDEX;
use super::*;
use crate::testing::Sim;
use model::Object;
use proptest::prelude::*;

fn controllers() -> Vec<Box<dyn Controller>> {
    vec![Box::new(Jobs), Box::new(OrphanPods)]
}

fn sim() -> Sim {
    Sim::new(controllers())
}

/// The Job `j` with this spec, on top of what is filled in.
fn job(spec: Value) -> Value {
    let template = json!({
        "metadata": {"labels": {"job": "j"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    });
    let mut all = json!({"parallelism": 1, "backoffLimit": 6, "selector": {"matchLabels": {"job": "j"}}, "template": template});
    spec.as_object().into_iter().flatten().for_each(|(field, value)| all[field] = value.clone());
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "a"}, "spec": all})
}

fn indexed(completions: i64, parallelism: i64, more: Value) -> Value {
    let mut spec = json!({"completions": completions, "parallelism": parallelism, "completionMode": "Indexed"});
    more.as_object().into_iter().flatten().for_each(|(field, value)| spec[field] = value.clone());
    job(spec)
}

fn living(sim: &Sim) -> Vec<String> {
    let lives = |pod: &Object| pod.deletion_timestamp().is_none() && !matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed");
    sim.all(&Resource::PODS).iter().filter(|pod| lives(pod.object())).map(|pod| pod.key.name.to_string()).collect()
}

/// A pod ends: with 0 it has succeeded.
fn finish(sim: &mut Sim, pod: &str, code: i64) {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let ended = json!({"name": "c", "state": {"terminated": {"exitCode": code, "finishedAt": model::time::format(sim.now)}}});
    sim.patch(&Resource::PODS, pod, "status", json!({"status": {"phase": phase, "containerStatuses": [ended]}}));
}

/// All pods that live end so.
fn finish_all(sim: &mut Sim, code: i64) -> usize {
    let pods = living(sim);
    pods.iter().for_each(|pod| finish(sim, pod, code));
    sim.settle();
    pods.len()
}

fn status(sim: &Sim) -> Value {
    sim.get(&Resource::JOBS, "j").unwrap().at(&["status"]).cloned().unwrap_or_default()
}

fn holds(sim: &Sim) -> Vec<String> {
    let conditions = status(sim)["conditions"].as_array().cloned().unwrap_or_default();
    let shown = |c: &Value| format!("{} {}", c["type"].as_str().unwrap_or_default(), c["reason"].as_str().unwrap_or_default());
    conditions.iter().filter(|c| c["status"] == "True").map(shown).collect()
}

/// The pods of an index, by age.
fn index(sim: &Sim, index: i64) -> Vec<Object> {
    let of = |pod: &Object| pod.annotation(INDEX) == Some(&index.to_string());
    sim.all(&Resource::PODS).iter().map(|pod| pod.object().clone()).filter(of).collect()
}

#[test]
fn one_pod_takes_few_writes() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 1})));
    sim.settle();
    sim.pass(1);
    finish_all(&mut sim, 0);
    insta::assert_snapshot!(sim.plans.concat(), @r#"
    create pods a/j-*
    patch jobs.batch a/j/status {"metadata":{"resourceVersion":"1","uid":"uid-1"},"status":{"active":1,"ready":0,"startTime":"2026-01-01T00:00:00Z","terminating":0,"uncountedTerminatedPods":{"failed":null,"succeeded":null}}}
    patch jobs.batch a/j/status {"metadata":{"resourceVersion":"3","uid":"uid-1"},"status":{"active":null,"conditions":[{"lastProbeTime":"2026-01-01T00:00:01Z","lastTransitionTime":"2026-01-01T00:00:01Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"uncountedTerminatedPods":{"failed":null,"succeeded":["uid-2"]}}}
    patch pods a/j-00002 {"metadata":{"$deleteFromPrimitiveList/finalizers":["batch.kubernetes.io/job-tracking"],"uid":"uid-2"}}
    patch jobs.batch a/j/status {"metadata":{"resourceVersion":"5","uid":"uid-1"},"status":{"completionTime":"2026-01-01T00:00:01Z","conditions":[{"lastProbeTime":"2026-01-01T00:00:01Z","lastTransitionTime":"2026-01-01T00:00:01Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"},{"lastProbeTime":"2026-01-01T00:00:01Z","lastTransitionTime":"2026-01-01T00:00:01Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}],"succeeded":1,"uncountedTerminatedPods":{"failed":null,"succeeded":null}}}
    "#);
    assert_eq!(sim.events, ["j SuccessfulCreate: Created pod: j-00002", "j Completed: Job completed"]);
}

#[test]
fn failed_pods_are_made_again_later_and_later() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 1, "backoffLimit": 3})));
    sim.settle();
    for wait in [10, 20, 40] {
        assert_eq!(finish_all(&mut sim, 1), 1);
        sim.pass(wait - 1);
        assert_eq!(living(&sim).len(), 0, "{wait}");
        sim.pass(1);
        assert_eq!(living(&sim).len(), 1, "{wait}");
    }
    finish_all(&mut sim, 1);
    assert_eq!(holds(&sim), ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    assert_eq!((status(&sim)["failed"].as_i64(), &status(&sim)["uncountedTerminatedPods"]), (Some(4), &json!({})));
    assert!(sim.events.contains(&"j BackoffLimitExceeded: Job has reached the specified backoff limit".to_owned()));
    let finalizers: usize = sim.all(&Resource::PODS).iter().map(|pod| pod.object().finalizers().count()).sum();
    assert_eq!(finalizers, 0);
}

#[test]
fn a_success_ends_the_waiting() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 3, "parallelism": 2})));
    sim.settle();
    let pods = living(&sim);
    finish(&mut sim, &pods[0], 1);
    sim.pass(3);
    finish(&mut sim, &pods[1], 0);
    sim.settle();
    assert_eq!(living(&sim).len(), 2);
    assert_eq!(finish_all(&mut sim, 0), 2);
    assert_eq!((status(&sim)["succeeded"].as_i64(), status(&sim)["failed"].as_i64()), (Some(3), Some(1)));
}

#[test]
fn a_job_of_a_work_queue_ends_with_its_pods() {
    let mut sim = sim();
    sim.create(job(json!({"parallelism": 3})));
    sim.settle();
    let pods = living(&sim);
    assert_eq!(pods.len(), 3);
    finish(&mut sim, &pods[0], 0);
    sim.settle();
    assert_eq!((living(&sim).len(), holds(&sim)), (2, Vec::new()), "no pod is made or ended after the first success");
    finish_all(&mut sim, 0);
    assert_eq!((status(&sim)["succeeded"].as_i64(), holds(&sim).len()), (Some(3), 2));
}

#[test]
fn pods_of_an_indexed_job_know_their_index() {
    let mut sim = sim();
    sim.create(indexed(5, 3, json!({})));
    sim.settle();
    let pod = &index(&sim, 1)[0];
    assert!(pod.name().starts_with("j-1-"), "{}", pod.name());
    assert_eq!((pod.str_at(&["spec", "hostname"]), pod.label(INDEX)), ("j-1", Some("1")));
    let variable =
        json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}});
    assert_eq!(pod.list_at(&["spec", "containers"])[0]["env"], json!([variable]));
    for at in [0, 2] {
        let name = index(&sim, at)[0].name().to_owned();
        finish(&mut sim, &name, 0);
    }
    sim.settle();
    assert_eq!((status(&sim)["completedIndexes"].as_str(), status(&sim)["succeeded"].as_i64()), (Some("0,2"), Some(2)));
    assert_eq!([1, 3, 4].map(|at| index(&sim, at).len()), [1, 1, 1]);
    finish_all(&mut sim, 0);
    assert_eq!((status(&sim)["completedIndexes"].as_str(), holds(&sim).len()), (Some("0-4"), 2));
}

#[test]
fn indexed_jobs_grow_and_shrink() {
    let mut sim = sim();
    sim.create(indexed(3, 3, json!({})));
    sim.settle();
    let name = index(&sim, 2)[0].name().to_owned();
    finish(&mut sim, &name, 0);
    sim.settle();
    sim.patch(&Resource::JOBS, "j", "", json!({"spec": {"completions": 1, "parallelism": 1}}));
    sim.settle();
    assert_eq!((living(&sim).len(), &status(&sim)["completedIndexes"], &status(&sim)["failed"]), (1, &Value::Null, &Value::Null));
    sim.patch(&Resource::JOBS, "j", "", json!({"spec": {"completions": 4, "parallelism": 4}}));
    sim.settle();
    assert_eq!(living(&sim).len(), 4);
    finish_all(&mut sim, 0);
    assert_eq!((status(&sim)["completedIndexes"].as_str(), holds(&sim).len()), (Some("0-3"), 2));
}

#[test]
fn each_index_has_its_own_limit() {
    let mut sim = sim();
    sim.create(indexed(3, 3, json!({"backoffLimitPerIndex": 1, "backoffLimit": i32::MAX})));
    sim.settle();
    let name = index(&sim, 1)[0].name().to_owned();
    finish(&mut sim, &name, 1);
    sim.settle();
    // it isn't counted before the next one is there
    assert_eq!((&status(&sim)["failed"], living(&sim).len(), sim.get(&Resource::PODS, &name).unwrap().finalizers().count()), (&Value::Null, 2, 1));
    sim.pass(10);
    assert_eq!((status(&sim)["failed"].as_i64(), sim.get(&Resource::PODS, &name).unwrap().finalizers().count()), (Some(1), 0));
    let second = index(&sim, 1)[1].clone();
    assert_eq!(second.annotation("batch.kubernetes.io/job-index-failure-count"), Some("1"));
    finish(&mut sim, second.name(), 1);
    sim.settle();
    assert_eq!((status(&sim)["failedIndexes"].as_str(), status(&sim)["failed"].as_i64(), holds(&sim)), (Some("1"), Some(2), Vec::new()));
    finish_all(&mut sim, 0);
    assert_eq!(holds(&sim), ["FailureTarget FailedIndexes", "Failed FailedIndexes"]);
    assert_eq!(status(&sim)["completedIndexes"], "0,2");
}

#[test]
fn too_many_indexes_fail() {
    let mut sim = sim();
    sim.create(indexed(4, 4, json!({"backoffLimitPerIndex": 0, "backoffLimit": i32::MAX, "maxFailedIndexes": 1})));
    sim.settle();
    for at in [0, 3] {
        assert_eq!(holds(&sim), Vec::<String>::new());
        let name = index(&sim, at)[0].name().to_owned();
        finish(&mut sim, &name, 1);
        sim.settle();
    }
    assert_eq!(holds(&sim), ["FailureTarget MaxFailedIndexesExceeded", "Failed MaxFailedIndexesExceeded"]);
    assert_eq!((status(&sim)["failedIndexes"].as_str(), status(&sim)["failed"].as_i64(), living(&sim).len()), (Some("0,3"), Some(4), 0));
}

#[test]
fn a_failure_policy_ignores_counts_and_fails() {
    let rules = json!([
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]);
    let mut sim = sim();
    sim.create(job(json!({"completions": 2, "parallelism": 2, "backoffLimit": 0, "podFailurePolicy": {"rules": rules}})));
    sim.settle();
    let pods = living(&sim);
    finish(&mut sim, &pods[0], 3);
    sim.settle();
    assert_eq!((&status(&sim)["failed"], holds(&sim)), (&Value::Null, Vec::new()));
    assert_eq!(sim.get(&Resource::PODS, &pods[0]).unwrap().finalizers().count(), 0);
    sim.pass(10);
    assert_eq!(living(&sim).len(), 2);
    finish(&mut sim, &pods[1], 42);
    sim.settle();
    assert_eq!(holds(&sim), ["FailureTarget PodFailurePolicy", "Failed PodFailurePolicy"]);
    let message = format!("Container c for pod a/{} failed with exit code 42 matching FailJob rule at index 1", pods[1]);
    assert!(sim.events.contains(&format!("j PodFailurePolicy: {message}")), "{:?}", sim.events);
}

#[test]
fn a_success_policy_ends_the_others() {
    let mut sim = sim();
    sim.create(indexed(4, 4, json!({"successPolicy": {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}})));
    sim.settle();
    let name = index(&sim, 2)[0].name().to_owned();
    finish(&mut sim, &name, 0);
    sim.settle();
    assert_eq!(holds(&sim), ["SuccessCriteriaMet SuccessPolicy", "Complete SuccessPolicy"]);
    let status = status(&sim);
    assert_eq!((status["succeeded"].as_i64(), &status["failed"], living(&sim).len()), (Some(1), &Value::Null, 0));
    assert!(sim.events.contains(&"j Completed: Job completed".to_owned()));
}

#[test]
fn a_deadline_counts_while_it_runs() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 1, "activeDeadlineSeconds": 60, "suspend": true})));
    sim.pass(100);
    assert_eq!((living(&sim).len(), holds(&sim), &status(&sim)["startTime"]), (0, vec!["Suspended JobSuspended".to_owned()], &Value::Null));
    sim.patch(&Resource::JOBS, "j", "", json!({"spec": {"suspend": false}}));
    sim.settle();
    sim.pass(59);
    assert_eq!((living(&sim).len(), holds(&sim)), (1, Vec::new()));
    sim.pass(1);
    assert_eq!((living(&sim).len(), holds(&sim)[0].as_str()), (0, "FailureTarget DeadlineExceeded"));
    assert_eq!(holds(&sim).len(), 2);
}

#[test]
fn a_suspended_job_has_no_pods_and_none_of_them_has_failed() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 3, "parallelism": 3})));
    sim.settle();
    let pods = living(&sim);
    finish(&mut sim, &pods[0], 0);
    sim.settle();
    sim.patch(&Resource::JOBS, "j", "", json!({"spec": {"suspend": true}}));
    sim.settle();
    let found = status(&sim);
    assert_eq!(
        (living(&sim).len(), found["succeeded"].as_i64(), &found["failed"], &found["active"], &found["startTime"]),
        (0, Some(1), &Value::Null, &Value::Null, &Value::Null)
    );
    sim.patch(&Resource::JOBS, "j", "", json!({"spec": {"suspend": false}}));
    sim.settle();
    assert_eq!(finish_all(&mut sim, 0), 2);
    assert_eq!((status(&sim)["succeeded"].as_i64(), holds(&sim).len()), (Some(3), 2));
    for event in ["j Suspended: Job suspended", "j Resumed: Job resumed", "j Completed: Job completed"] {
        assert!(sim.events.contains(&event.to_owned()), "{event}: {:?}", sim.events);
    }
}

#[test]
fn a_pod_that_ends_slowly_is_replaced_at_once_or_when_it_is_over() {
    for (policy, expected) in [("TerminatingOrFailed", 2), ("Failed", 1)] {
        let mut sim = sim();
        sim.create(job(json!({"completions": 2, "parallelism": 2, "podReplacementPolicy": policy})));
        sim.settle();
        let pods = living(&sim);
        sim.patch(&Resource::PODS, &pods[0], "", json!({"spec": {"nodeName": "n1"}}));
        sim.delete(&Resource::PODS, &pods[0], None);
        sim.pass(1);
        assert_eq!(status(&sim)["terminating"], 1);
        sim.pass(600);
        assert_eq!(living(&sim).len(), expected, "{policy}");
    }
}

#[test]
fn pods_that_are_deleted_have_failed_and_are_made_again_later() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 1})));
    sim.settle();
    for wait in [10, 20] {
        let pods = living(&sim);
        sim.delete(&Resource::PODS, &pods[0], None);
        sim.settle();
        assert_eq!(sim.get(&Resource::PODS, &pods[0]), None);
        sim.pass(wait - 1);
        assert_eq!(living(&sim).len(), 0);
        sim.pass(1);
        assert_eq!(living(&sim).len(), 1);
    }
    assert_eq!(status(&sim)["failed"], 2);
}

#[test]
fn pods_of_a_deleted_job_are_let_go() {
    for propagation in [None, Some(state_client::Propagation::Foreground)] {
        let mut sim = sim();
        sim.create(job(json!({"completions": 2, "parallelism": 2})));
        sim.settle();
        let pods = living(&sim);
        finish(&mut sim, &pods[0], 0);
        sim.delete(&Resource::JOBS, "j", propagation);
        sim.settle();
        let finalizers: usize = sim.all(&Resource::PODS).iter().map(|pod| pod.object().finalizers().count()).sum();
        assert_eq!((finalizers, living(&sim).len()), (0, 1), "{propagation:?}");
    }
}

#[test]
fn a_job_of_somebody_else_is_left_alone() {
    let mut sim = sim();
    sim.create(job(json!({"completions": 1, "managedBy": "example.com/other"})));
    sim.settle();
    assert_eq!((living(&sim).len(), status(&sim)), (0, Value::Null));
}

#[test]
fn pods_are_taken_over_and_let_go_with_the_finalizer() {
    let mut sim = sim();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stray", "namespace": "a", "labels": {"job": "j"}}, "spec": {}, "status": {"phase": "Running"}});
    sim.create(pod);
    sim.create(job(json!({"completions": 2, "parallelism": 1})));
    sim.settle();
    let stray = sim.get(&Resource::PODS, "stray").unwrap();
    assert_eq!((stray.finalizers().count(), living(&sim).len(), stray.owner_references().len()), (1, 1, 1));
    sim.patch(&Resource::PODS, "stray", "", json!({"metadata": {"labels": {"job": "other"}}}));
    sim.settle();
    let stray = sim.get(&Resource::PODS, "stray").unwrap();
    assert_eq!((stray.finalizers().count(), living(&sim).len(), stray.owner_references().len()), (0, 2, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is seen when, whatever pods come to and however often the process begins anew: each pod is counted once.
    #[test]
    fn each_pod_is_counted_once(
        completions in 1_i64..6, parallelism in 1_i64..4, indexed in any::<bool>(),
        steps in proptest::collection::vec((0_u8..8, 0_usize..8), 0..80),
    ) {
        let mut sim = sim();
        let mode = if indexed { "Indexed" } else { "NonIndexed" };
        sim.create(job(json!({"completions": completions, "parallelism": parallelism, "completionMode": mode, "backoffLimit": 1000})));
        let (mut succeeded, mut failed) = (0, 0);
        for (what, which) in steps {
            let pods = living(&sim);
            match (what, pods.get(which % pods.len().max(1))) {
                (0, _) => _ = sim.show(&[Resource::PODS, Resource::JOBS][which % 2]),
                (1 | 2, _) => sim.plan(),
                (3 | 4, _) => _ = sim.act(),
                (5, Some(pod)) => {
                    finish(&mut sim, pod, 0);
                    succeeded += 1;
                }
                (6, Some(pod)) => {
                    finish(&mut sim, pod, 1);
                    failed += 1;
                }
                (7, _) if which < 2 => sim.restart(controllers()),
                (7, _) => {
                    // what was written is seen within the time that it is waited for
                    sim.show_all();
                    sim.now = later(sim.now, SignedDuration::from_secs(40));
                    sim.world.now = sim.now;
                }
                _ => {}
            }
            prop_assert!(living(&sim).len() as i64 <= parallelism);
            let status = status(&sim);
            prop_assert!(status["succeeded"].as_i64().unwrap_or_default() <= succeeded && status["failed"].as_i64().unwrap_or_default() <= failed);
        }
        for _ in 0..200 {
            sim.pass(600);
            succeeded += finish_all(&mut sim, 0) as i64;
            if holds(&sim).len() == 2 {
                break;
            }
        }
        let status = status(&sim);
        prop_assert_eq!(holds(&sim), ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
        prop_assert_eq!((status["succeeded"].as_i64(), status["failed"].as_i64().unwrap_or_default()), (Some(succeeded), failed));
        prop_assert_eq!(succeeded, completions);
    }
}
