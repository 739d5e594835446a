//! What the core makes of changes and outcomes: whose turn it is, what is written, and what is remembered until watches show it.
use crate::core::{SchedulerCore, SchedulerOutput};
use crate::events::Note;
use crate::schedule;
use crate::testing::{PodFixture, claim, node, pod, storage_class, stored, volume};
use jiff::Timestamp;
use model::{ApiError, Stored};
use serde_json::{Value, json};
use state_client::{Body, Change, Request, Verb};
use std::sync::Arc;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn applied(stored: Stored) -> Change {
    Change::Applied { old: None, new: Arc::new(stored) }
}

fn seen(pod: &PodFixture) -> Change {
    applied(stored("pods", Value::Object(pod.0.0.clone())))
}

/// One node, and these pods.
fn core(pods: &[PodFixture]) -> SchedulerCore {
    let mut core = SchedulerCore::new(7);
    let node = stored("nodes", Value::Object(node("n1").0.0));
    core.apply([applied(node)].into_iter().chain(pods.iter().map(seen)).collect(), at(0));
    core
}

fn decide(core: &mut SchedulerCore, second: i64) -> SchedulerOutput {
    let (mut snapshot, pods, seed) = core.take(99, at(second));
    let decisions = schedule(&mut snapshot, &pods, seed);
    core.decided(snapshot, decisions, at(second))
}

fn patch(request: &Request) -> Value {
    let Body::Patch(_, json) = &request.body else { panic!("a patch: {request:?}") };
    serde_json::from_slice(json).expect("JSON")
}

fn low() -> PodFixture {
    pod("low").cpu("4").on("n1")
}

fn high() -> PodFixture {
    pod("high").cpu("4").priority(100)
}

fn bound(output: &SchedulerOutput) -> Vec<(&str, &str)> {
    output.bindings.iter().map(|(pod, node)| (&*pod.name, &**node)).collect()
}

#[test]
fn room_is_made_said_and_used() {
    let mut core = core(&[low(), high()]);
    let output = decide(&mut core, 1);
    core.refused(&["high".into()]);
    let eviction = output.evictions.first().expect("an eviction");
    let (condition, deletion) = (eviction.condition(at(1)), eviction.deletion());
    assert_eq!((condition.verb, &*condition.subresource, &*condition.name), (Verb::Patch, "status", "low"));
    let said = &patch(&condition)["status"]["conditions"][0];
    assert_eq!(said["message"], "default-scheduler: preempting to accommodate a higher priority pod");
    assert_eq!((&said["type"], &said["reason"]), (&json!("DisruptionTarget"), &json!("PreemptionByScheduler")));
    assert_eq!((deletion.verb, &*deletion.name, deletion.options.precondition_uid.as_str()), (Verb::Delete, "low", "low"));
    let refusal = patch(&output.refusals.first().expect("a refusal").1);
    assert_eq!(refusal["status"]["nominatedNodeName"], "n1");
    core.evicted(vec![(eviction.clone(), Ok(()))]);
    let told: Vec<String> = core.notes().iter().map(|n: &Note| n.event().message).collect();
    assert!(told.contains(&"Preempted by pod high on node n1".to_owned()), "{told:?}");
    core.apply(vec![seen(&high().nominated("n1"))], at(2));
    assert!(!core.is_ready(), "its own nomination is no news");
    core.apply(vec![Change::Deleted(Arc::new(stored("pods", Value::Object(low().0.0))))], at(2));
    assert!(core.is_ready(), "at once: it was not in vain");
    assert_eq!(bound(&decide(&mut core, 2)), [("high", "n1")]);
}

#[test]
fn an_eviction_that_is_not_written_is_decided_again() {
    let mut core = core(&[low(), high()]);
    let output = decide(&mut core, 1);
    core.evicted(vec![(output.evictions[0].clone(), Err(ApiError::internal("no reply")))]);
    assert!(!core.is_ready(), "its status is being written");
    core.refused(&["high".into()]);
    assert!(core.is_ready());
    assert_eq!(decide(&mut core, 1).evictions.len(), 1);
}

#[test]
fn a_displaced_pod_loses_its_nomination_and_is_tried_again() {
    let mut core = core(&[low(), high()]);
    decide(&mut core, 1);
    core.refused(&["high".into()]);
    core.apply(vec![seen(&high().nominated("n1")), seen(&pod("top").cpu("4").priority(200))], at(2));
    let output = decide(&mut core, 2);
    let of = |name: &str| {
        output
            .refusals
            .iter()
            .filter(|(uid, _)| **uid == *name)
            .map(|(_, request)| patch(request))
            .map(|p| p["status"]["nominatedNodeName"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((of("high"), of("top")), (vec![Value::Null], vec![json!("n1")]));
    assert!(output.evictions.is_empty(), "the one who goes is enough");
    core.refused(&["high".into(), "top".into()]);
    assert!(core.is_ready(), "high is tried again");
}

#[test]
fn a_nomination_is_known_after_a_restart_and_ends_with_its_pod() {
    let mut core = core(&[high().nominated("n1"), pod("small").cpu("1")]);
    core.apply(vec![seen(&low().terminating())], at(0));
    let output = decide(&mut core, 1);
    core.refused(&["high".into(), "small".into()]);
    assert_eq!(output.bindings.len(), 0);
    core.apply(vec![Change::Deleted(Arc::new(stored("pods", Value::Object(low().0.0))))], at(2));
    let output = decide(&mut core, 20);
    assert_eq!(bound(&output), [("high", "n1")], "small waits for what is left");
    let mut core = super::core_tests::core(&[high().nominated("n1"), low().terminating(), pod("small").cpu("1")]);
    decide(&mut core, 1);
    core.refused(&["high".into(), "small".into()]);
    core.apply(vec![Change::Deleted(Arc::new(stored("pods", Value::Object(low().0.0))))], at(2));
    core.apply(vec![Change::Deleted(Arc::new(stored("pods", Value::Object(high().0.0))))], at(2));
    assert_eq!(bound(&decide(&mut core, 20)), [("small", "n1")]);
}

#[test]
fn a_pod_is_bound_once_its_volume_is_made_and_elsewhere_if_it_is_not() {
    let claim_of = |spec: Value, annotations: &[(&str, &str)], revision: &str| {
        let mut object = claim("data", "fast", "1Gi", &spec, annotations);
        object["metadata"]["resourceVersion"] = json!(revision);
        applied(stored("persistentvolumeclaims", object))
    };
    let selected = ("volume.kubernetes.io/selected-node", "n1");
    let begin = || {
        let mut core = core(&[pod("db").claim("data")]);
        let class = stored("storageclasses", storage_class("fast", "example.com/disk", "WaitForFirstConsumer"));
        core.apply(vec![applied(class), claim_of(json!({}), &[], "5")], at(0));
        let output = decide(&mut core, 0);
        assert_eq!((output.bindings.len(), output.reservations.len()), (0, 1));
        let reservation = output.reservations[0].clone();
        (core, reservation)
    };
    let (mut core, reservation) = begin();
    assert!(core.reserved(vec![(reservation, vec![Ok(6)])], at(1)).bindings.is_empty());
    core.apply(vec![claim_of(json!({}), &[selected], "6")], at(2));
    assert!(core.come_about(at(2)).bindings.is_empty());
    core.apply(vec![applied(stored("persistentvolumes", volume("v", "fast", "1Gi", &[])))], at(3));
    core.apply(vec![claim_of(json!({"volumeName": "v"}), &[selected, ("pv.kubernetes.io/bind-completed", "yes")], "7")], at(3));
    assert_eq!(bound(&core.come_about(at(3))), [("db", "n1")]);
    let (mut core, reservation) = begin();
    core.reserved(vec![(reservation, vec![Ok(6)])], at(1));
    core.apply(vec![claim_of(json!({}), &[], "7")], at(2));
    let output = core.come_about(at(2));
    let why = "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"data\"";
    let condition = patch(&output.refusals.first().expect("a refusal").1)["status"]["conditions"][0].clone();
    assert_eq!((&condition["reason"], &condition["message"]), (&json!("SchedulerError"), &json!(why)));
    assert_eq!(core.next(), Some(at(3)), "it is tried again");
    let (mut core, reservation) = begin();
    let output = core.reserved(vec![(reservation, vec![Err(ApiError::modified("", "persistentvolumeclaims", "data"))])], at(1));
    assert_eq!(output.refusals.len(), 1);
    let (mut core, reservation) = begin();
    core.reserved(vec![(reservation, vec![Ok(6)])], at(1));
    assert_eq!(core.next(), Some(at(600)));
    assert_eq!(core.come_about(at(600)).refusals.len(), 1, "it waits for so long");
}
