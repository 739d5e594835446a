//! Table tests of the pure functions: pods are written as JSON, runs as `name attempt state`, plans and statuses as short text.
use super::backoff::RestartBackoff;
use super::op::PodOp;
use super::status::{NodeFacts, status};
use super::sync::sync;
use super::*;
use crate::runtime::{Container, Exit, PodRef, RunState, Sandbox};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn pod(mut spec: Value, meta: Value) -> Pod {
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for c in spec[list].as_array_mut().into_iter().flatten() {
            c["image"] = json!("i");
        }
    }
    let mut metadata = json!({"name": "p", "namespace": "n", "uid": "u"});
    metadata.as_object_mut().unwrap().extend(meta.as_object().cloned().unwrap_or_default());
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// `c 0 run`, `c 1 exit 3 50` (code, when), with a sandbox and volumes unless `bare`.
fn seen(pod: &Pod, runs: &[&str]) -> Observed {
    let mut seen = Observed {
        volumes: true,
        start_time: Some(at(0)),
        sandbox: Some(Sandbox { id: "s".into(), ip: "10.0.0.2".parse().ok(), ..Sandbox::default() }),
        ..Observed::default()
    };
    for run in runs {
        let words: Vec<&str> = run.split(' ').collect();
        let state = match words.as_slice() {
            [_, _, "run"] => RunState::Running(at(1)),
            [_, _, "exit", code, when] => RunState::Exited(Exit {
                code: code.parse().unwrap(),
                started: Some(at(1)),
                finished: at(when.parse().unwrap()),
                oom: false,
                error: String::new(),
            }),
            _ => RunState::Created,
        };
        let hash = container_hash(&container(pod, words[0]).unwrap());
        let id = format!("{}{}", words[0], words[1]);
        seen.put(Container {
            id,
            pod: PodRef::default(),
            name: words[0].into(),
            attempt: words[1].parse().unwrap(),
            hash,
            sandbox: "s".into(),
            image: "i".into(),
            image_id: "i".into(),
            state,
        });
    }
    seen
}

fn plan(pod: &Pod, seen: &Observed, now: i64) -> String {
    let plan = sync(pod, seen, at(now));
    let mut ops: Vec<String> = plan
        .ops
        .iter()
        .map(|op| match op {
            PodOp::Start { container, attempt } => format!("start {container} {attempt}"),
            PodOp::Stop { id, grace, .. } => format!("stop {id} {grace}"),
            PodOp::Remove { id } => format!("remove {id}"),
            PodOp::Probe { container, kind, .. } => format!("probe {container} {}", kind.name()),
            other => format!("{other:?}"),
        })
        .collect();
    ops.sort();
    if let Some(wake) = plan.wake {
        ops.push(format!("wake {}", wake.as_second()));
    }
    ops.join(", ")
}

#[test]
fn what_is_done_next() {
    let one = |policy: &str| json!({"restartPolicy": policy, "containers": [{"name": "c"}]});
    let with_inits = json!({"restartPolicy": "Always", "initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "c"}, {"name": "d"}]});
    let probed = json!({"containers": [{"name": "c", "startupProbe": {"periodSeconds": 5}, "livenessProbe": {}}]});
    let sidecar = json!({"restartPolicy": "Never", "initContainers": [{"name": "i", "restartPolicy": "Always"}], "containers": [{"name": "c"}]});
    let debugged = json!({"restartPolicy": "Never", "initContainers": [{"name": "i"}], "containers": [{"name": "c"}], "ephemeralContainers": [{"name": "e"}]});
    for (spec, runs, now, want) in [
        (one("Always"), &[][..], 5, "start c 0"),
        (one("Always"), &["c 0 run"], 5, ""),
        (one("Always"), &["c 0 exit 0 5"], 5, "start c 1"),
        (one("OnFailure"), &["c 0 exit 0 5"], 5, "RemoveSandbox"),
        (one("OnFailure"), &["c 0 exit 1 5"], 5, "start c 1"),
        (one("Never"), &["c 0 exit 1 5"], 5, "RemoveSandbox"),
        (one("Always"), &["c 0 exit 1 2", "c 1 exit 1 3", "c 2 run"], 5, "remove c0"),
        (one("Always"), &["c 0 created"], 5, "remove c0"),
        (with_inits.clone(), &[], 5, "start i 0"),
        (with_inits.clone(), &["i 0 run"], 5, ""),
        (with_inits.clone(), &["i 0 exit 1 5"], 5, "start i 1"),
        (with_inits.clone(), &["i 0 exit 0 5"], 5, "start j 0"),
        (with_inits, &["i 0 exit 0 5", "j 0 exit 0 6"], 7, "start c 0, start d 0"),
        (probed, &["c 0 run"], 5, "probe c Startup"),
        (sidecar.clone(), &[], 5, "start i 0"),
        (sidecar.clone(), &["i 0 run"], 5, "start c 0"),
        (sidecar, &["i 0 run", "c 0 exit 0 5"], 5, "stop i0 30"),
        (debugged.clone(), &[], 5, "start e 0, start i 0"),
        (debugged.clone(), &["e 0 run", "i 0 run"], 5, ""),
        (debugged.clone(), &["e 0 exit 1 4", "i 0 exit 0 4"], 5, "start c 0"),
        (debugged.clone(), &["e 0 created", "i 0 run"], 5, "remove e0"),
        (debugged, &["e 0 run", "i 0 exit 0 4", "c 0 exit 0 5"], 5, "stop e0 30"),
    ] {
        let pod = pod(spec.clone(), json!({}));
        assert_eq!(plan(&pod, &seen(&pod, runs), now), want, "{spec} {runs:?}");
    }
}

#[test]
fn restarts_wait_their_time() {
    let pod = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let mut seen = seen(&pod, &["c 1 exit 1 100"]);
    seen.backoffs.insert("c".into(), RestartBackoff { delay: backoff::INITIAL, grown: at(90) });
    assert_eq!(plan(&pod, &seen, 105), "wake 110");
    let shown = status(&pod, &seen, &NodeFacts::default(), at(105)).unwrap();
    let waiting = shown.container_statuses.as_ref().unwrap()[0].state.as_ref().unwrap().waiting.clone().unwrap();
    assert_eq!(waiting.message.as_deref(), Some("back-off 10s restarting failed container=c pod=p_n(u)"));
    assert_eq!(plan(&pod, &seen, 110), "start c 2");
}

#[test]
fn a_deleted_pod_leaves_step_by_step() {
    let pod = pod(json!({"containers": [{"name": "c"}]}), json!({"deletionTimestamp": "1970-01-01T00:01:00Z", "deletionGracePeriodSeconds": 7}));
    let mut state = seen(&pod, &["c 0 run"]);
    assert_eq!(plan(&pod, &state, 50), "stop c0 7");
    state = seen(&pod, &["c 0 exit 143 55"]);
    assert_eq!(plan(&pod, &state, 55), "remove c0");
    state.forget("c0");
    assert_eq!(plan(&pod, &state, 55), "RemoveSandbox");
    state.sandbox = None;
    assert_eq!(plan(&pod, &state, 55), "Release");
    state.released = true;
    assert_eq!(plan(&pod, &state, 55), "Confirm");
    state.busy.insert(Slot::End);
    assert_eq!(plan(&pod, &state, 55), "");
}

#[test]
fn phases_and_conditions() {
    let one = |policy: &str| json!({"restartPolicy": policy, "containers": [{"name": "c"}]});
    let with_init = |policy: &str| json!({"restartPolicy": policy, "initContainers": [{"name": "i"}], "containers": [{"name": "c"}]});
    let gated = json!({"containers": [{"name": "c"}], "readinessGates": [{"conditionType": "x"}]});
    for (spec, runs, want) in [
        (one("Always"), &[][..], "Pending Initialized PodReadyToStartContainers PodScheduled"),
        (one("Always"), &["c 0 run"], "Running ContainersReady Initialized PodReadyToStartContainers PodScheduled Ready"),
        (one("Never"), &["c 0 exit 0 5"], "Succeeded Initialized PodReadyToStartContainers PodScheduled"),
        (one("Never"), &["c 0 exit 1 5"], "Failed Initialized PodReadyToStartContainers PodScheduled"),
        (one("Always"), &["c 0 exit 1 5"], "Running Initialized PodReadyToStartContainers PodScheduled"),
        (with_init("Always"), &["i 0 run"], "Pending PodReadyToStartContainers PodScheduled"),
        (with_init("Never"), &["i 0 exit 1 5"], "Failed PodReadyToStartContainers PodScheduled"),
        (with_init("Never"), &["i 0 exit 0 5", "c 0 run"], "Running ContainersReady Initialized PodReadyToStartContainers PodScheduled Ready"),
        (gated, &["c 0 run"], "Running ContainersReady Initialized PodReadyToStartContainers PodScheduled"),
    ] {
        let pod = pod(spec.clone(), json!({}));
        let got = status(&pod, &seen(&pod, runs), &NodeFacts::default(), at(10)).unwrap();
        let mut held: Vec<String> = got.conditions.unwrap().into_iter().filter(|c| c.status == "True").map(|c| c.type_).collect();
        held.sort();
        assert_eq!(format!("{} {}", got.phase.unwrap(), held.join(" ")), want, "{spec} {runs:?}");
    }
}

#[test]
fn a_failed_pull_is_told_then_waited_for() {
    let pod = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let mut seen = seen(&pod, &[]);
    seen.troubles.insert(Slot::Start("c".into()), Trouble { kind: TroubleKind::ErrImagePull, message: "no".into(), failures: 1, since: at(10), retry: at(20) });
    let shown = |now| {
        let list = status(&pod, &seen, &NodeFacts::default(), at(now)).unwrap().container_statuses.unwrap();
        let waiting = list[0].state.clone().unwrap().waiting.unwrap();
        format!("{} {}", waiting.reason.unwrap(), waiting.message.unwrap())
    };
    assert_eq!(shown(10), "ErrImagePull no");
    assert_eq!(shown(12), "ImagePullBackOff Back-off pulling image \"i\": ErrImagePull: no");
    assert_eq!(plan(&pod, &seen, 10), "wake 11");
    assert_eq!(plan(&pod, &seen, 12), "wake 20");
    assert_eq!(plan(&pod, &seen, 20), "start c 0");
}

#[test]
fn what_has_ended_stays_so_when_its_containers_are_removed() {
    let ending = pod(json!({"containers": [{"name": "c"}]}), json!({"deletionTimestamp": "1970-01-01T00:01:00Z"}));
    let mut seen = seen(&ending, &["c 0 exit 0 50"]);
    let last = status(&ending, &seen, &NodeFacts::default(), at(60)).unwrap();
    assert_eq!(last.phase.as_deref(), Some("Succeeded"));
    seen.reported = Some(last.clone());
    seen.forget("c0");
    assert_eq!(status(&ending, &seen, &NodeFacts::default(), at(61)).as_ref(), Some(&last), "also before the cluster has it");
    let known = Pod { status: Some(last), ..ending };
    assert_eq!(status(&known, &seen, &NodeFacts::default(), at(62)), None, "and there is nothing to add once it has");
}

#[test]
fn a_pod_of_which_nothing_is_to_be_said_is_reported() {
    let status = |phase: &str| PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() };
    let (running, ended) = (status("Running"), status("Succeeded"));
    // somebody else wrote that it failed while this node was away: there is nothing to report, and its deletion can be confirmed
    assert!(super::status::is_reported(false, None, None));
    assert!(super::status::is_reported(false, Some(&ended), Some(&ended)));
    for (writing, acknowledged) in [(true, Some(&ended)), (false, Some(&running)), (false, None)] {
        assert!(!super::status::is_reported(writing, acknowledged, Some(&ended)));
    }
}

#[test]
fn a_pod_that_was_marked_as_failed_does_not_run_again() {
    let given_up = PodStatus { phase: Some("Failed".to_owned()), reason: Some("NodeLost".to_owned()), ..PodStatus::default() };
    let pod = Pod { status: Some(given_up), ..pod(json!({"containers": [{"name": "c"}]}), json!({})) };
    let shown = status(&pod, &seen(&pod, &["c 0 run"]), &NodeFacts::default(), at(60)).unwrap();
    assert_eq!((shown.phase.as_deref(), shown.reason.as_deref()), (Some("Failed"), Some("NodeLost")));
}

#[test]
fn a_runs_end_may_be_told_before_its_beginning() {
    let p = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let mut known = seen(&p, &["c 0 run"]);
    let mut run = known.newest("c").unwrap().clone();
    assert!(!known.has_ended(&run.id));
    run.state = RunState::Running(at(5));
    known.put(run.clone());
    assert_eq!(known.newest("c").unwrap().state, RunState::Running(at(1)), "since when it runs is said once");
    assert!(seen(&p, &["c 0 exit 0 3"]).has_ended(&run.id));
}

#[test]
fn a_pod_that_the_node_rejects_fails_and_runs_nothing() {
    let p = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let rejected = Some(Rejection { reason: "SysctlForbidden".into(), message: "forbidden sysctl: \"vm.x\" not allowlisted".to_owned() });
    let known = Observed { start_time: Some(at(0)), rejected, ..Observed::default() };
    assert_eq!(sync(&p, &known, at(1)), Default::default());
    let shown = status(&p, &known, &NodeFacts::default(), at(1)).unwrap();
    assert_eq!((shown.phase.as_deref(), shown.reason.as_deref()), (Some("Failed"), Some("SysctlForbidden")));
    assert_eq!(shown.message.as_deref(), Some("Pod was rejected: forbidden sysctl: \"vm.x\" not allowlisted"));
    assert!(shown.container_statuses.is_none());
    // One that ran before this was known is stopped.
    let known = Observed { rejected: known.rejected.clone(), ..seen(&p, &["c 0 run"]) };
    assert!(matches!(sync(&p, &known, at(1)).ops.as_slice(), [PodOp::Stop { .. }]));
    assert_eq!(status(&p, &known, &NodeFacts::default(), at(1)).unwrap().phase.as_deref(), Some("Running"));
}

#[test]
fn termination_messages_share_their_room() {
    for (n, want) in [(1, 6000), (4, 3 << 10)] {
        let containers: Vec<Value> = (0..n).map(|i| json!({"name": format!("c{i}")})).collect();
        let p = pod(json!({"restartPolicy": "Never", "containers": containers}), json!({}));
        let mut known = seen(&p, &["c0 0 exit 1 3"]);
        known.messages.insert("c00".to_owned(), "é".repeat(3000));
        let shown = status(&p, &known, &NodeFacts::default(), at(4)).unwrap().container_statuses.unwrap();
        let message = shown[0].state.clone().unwrap().terminated.unwrap().message.unwrap();
        assert_eq!(message.len(), want);
    }
}

#[test]
fn a_run_that_could_not_be_started_waits_as_any_other_that_failed() {
    let p = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let mut known = seen(&p, &["c 0 exit 128 5"]);
    known.backoffs.insert("c".to_owned(), super::backoff::RestartBackoff { delay: super::backoff::INITIAL, grown: at(5) });
    let as_the_runtime_sees_it = Container { state: RunState::Created, ..known.newest("c").unwrap().clone() };
    known.put(as_the_runtime_sees_it);
    let plan = sync(&p, &known, at(6));
    assert!(plan.ops.is_empty() && plan.waiting.len() == 1, "{plan:?}");
}

#[test]
fn an_ephemeral_container_runs_once() {
    let pod = pod(json!({"restartPolicy": "Always", "containers": [{"name": "c"}], "ephemeralContainers": [{"name": "e"}]}), json!({}));
    let shown = |seen: &Observed| {
        let status = status(&pod, seen, &NodeFacts::default(), at(20)).unwrap();
        serde_json::to_value(&status.ephemeral_container_statuses.unwrap()[0]).unwrap()
    };
    let mut seen = seen(&pod, &["c 0 run", "e 0 run"]);
    let running = shown(&seen);
    assert_eq!((&running["ready"], &running["started"], &running["restartCount"]), (&json!(false), &Value::Null, &json!(0)));
    assert!(running["state"]["running"].is_object());
    seen.reported = status(&pod, &seen, &NodeFacts::default(), at(20));
    // somebody removed it behind the agent's back
    seen.forget("e0");
    assert_eq!(plan(&pod, &seen, 20), "");
    let lost = shown(&seen);
    assert_eq!((&lost["state"]["terminated"]["reason"], &lost["state"]["terminated"]["exitCode"]), (&json!("ContainerStatusUnknown"), &json!(137)));
    // what ended is shown so for ever
    seen.reported = status(&pod, &seen, &NodeFacts::default(), at(21));
    assert_eq!(shown(&seen), lost);
}

#[test]
fn an_ephemeral_container_that_ended_is_not_waited_for() {
    let pod = pod(json!({"restartPolicy": "Always", "containers": [{"name": "c"}], "ephemeralContainers": [{"name": "e"}]}), json!({}));
    let seen = seen(&pod, &["c 0 run", "e 0 exit 3 10"]);
    let status = status(&pod, &seen, &NodeFacts::default(), at(20)).unwrap();
    let ended = serde_json::to_value(&status.ephemeral_container_statuses.unwrap()[0]).unwrap();
    assert_eq!((&ended["state"]["terminated"]["exitCode"], status.phase.as_deref()), (&json!(3), Some("Running")));
    assert!(status.conditions.unwrap().iter().any(|c| c.type_ == "Ready" && c.status == "True"));
}

fn size(value: Value) -> k8s_openapi::api::core::v1::ResourceRequirements {
    serde_json::from_value(value).unwrap()
}

/// `Type Status Reason` of the conditions about sizes.
fn resizes(pod: &Pod, seen: &Observed) -> Vec<String> {
    let conditions = status(pod, seen, &NodeFacts::default(), at(20)).unwrap().conditions.unwrap();
    let of_sizes = conditions.into_iter().filter(|c| c.type_.starts_with("PodResize"));
    of_sizes.map(|c| format!("{} {} {}", c.type_, c.status, c.reason.unwrap_or_default())).collect()
}

#[test]
fn a_container_gets_its_size_while_it_runs() {
    let pod = pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}), json!({}));
    let mut seen = seen(&pod, &["c 0 run"]);
    assert_eq!((plan(&pod, &seen, 5).as_str(), resizes(&pod, &seen)), ("", vec![]), "nothing is known of its size");
    seen.sizes.insert(("c".into(), 0), size(json!({"requests": {"cpu": "1"}})));
    assert_eq!(plan(&pod, &seen, 5), "Resize { container: \"c\", id: \"c0\" }");
    assert_eq!(resizes(&pod, &seen), ["PodResizeInProgress True "]);
    let shown = status(&pod, &seen, &NodeFacts::default(), at(20)).unwrap().container_statuses.unwrap();
    let shown = serde_json::to_value(&shown[0]).unwrap();
    assert_eq!((&shown["resources"], &shown["allocatedResources"]), (&json!({"requests": {"cpu": "1"}}), &json!({"cpu": "2"})));
    let why = Trouble { kind: TroubleKind::Failed, message: "no".into(), failures: 1, since: at(4), retry: at(9) };
    seen.troubles.insert(Slot::Resize("c".into()), why);
    assert_eq!((plan(&pod, &seen, 5).as_str(), resizes(&pod, &seen)), ("wake 9", vec!["PodResizeInProgress True Error".to_owned()]));
    seen.troubles.clear();
    seen.sizes.insert(("c".into(), 0), size(json!({"requests": {"cpu": "2000m"}})));
    assert_eq!((plan(&pod, &seen, 5).as_str(), resizes(&pod, &seen)), ("", vec![]));
}

#[test]
fn a_container_that_asks_for_it_begins_again_with_its_size() {
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    let spec = json!({"restartPolicy": "OnFailure", "containers": [{"name": "c", "resizePolicy": policy, "resources": {"requests": {"memory": "2Gi"}}}]});
    let pod = pod(spec, json!({}));
    let mut before = seen(&pod, &["c 0 run"]);
    before.sizes.insert(("c".into(), 0), size(json!({"requests": {"memory": "1Gi"}})));
    assert_eq!(plan(&pod, &before, 5), "stop c0 30");
    let mut after = seen(&pod, &["c 0 exit 0 6"]);
    after.begins(&PodOp::Stop { container: "c".into(), id: "c0".into(), grace: 30, reason: op::StopReason::Resized }, at(5));
    assert_eq!(plan(&pod, &after, 7), "start c 1", "though it ended well");
    assert_eq!(status(&pod, &after, &NodeFacts::default(), at(7)).unwrap().phase.as_deref(), Some("Running"));
}

#[test]
fn a_size_that_must_wait_is_said() {
    let pod = pod(json!({"containers": [{"name": "c"}]}), json!({}));
    let mut seen = seen(&pod, &["c 0 run"]);
    for (infeasible, reason) in [(true, "Infeasible"), (false, "Deferred")] {
        seen.pending = Some(resize::Pending { infeasible, message: "m".into(), generation: Some(3) });
        assert_eq!(resizes(&pod, &seen), [format!("PodResizePending True {reason}")]);
    }
}
