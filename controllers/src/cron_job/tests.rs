use super::child::SCHEDULED;
use super::*;
use crate::testing::Sim;
use jiff::SignedDuration;
use serde_json::{Value, json};

fn sim() -> Sim {
    Sim::new(vec![Box::new(CronJobs)])
}

fn cron(spec: Value) -> Value {
    let template = json!({"metadata": {"labels": {"of": "c"}}, "spec": {"template": {"spec": {"containers": []}}}});
    let mut all = json!({"schedule": "*/10 * * * *", "jobTemplate": template, "concurrencyPolicy": "Allow"});
    spec.as_object().into_iter().flatten().for_each(|(field, value)| all[field] = value.clone());
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "namespace": "a"}, "spec": all})
}

fn end(sim: &mut Sim, job: &str, r#type: &str) {
    let now = model::time::format(sim.now);
    let mut status = json!({"startTime": now, "conditions": [{"type": r#type, "status": "True", "lastTransitionTime": now}]});
    if r#type == "Complete" {
        status["completionTime"] = json!(now);
    }
    sim.patch(&Resource::JOBS, job, "status", json!({"status": status}));
    sim.settle();
}

fn status(sim: &Sim) -> Value {
    sim.get(&Resource::CRON_JOBS, "c").unwrap().at(&["status"]).cloned().unwrap_or_default()
}

fn active(sim: &Sim) -> Vec<String> {
    status(sim)["active"].as_array().into_iter().flatten().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}

/// The name of the Job for this minute of the first hour of 2026.
fn name(minute: i64) -> String {
    format!("c-{}", 29_453_760 + minute)
}

#[test]
fn jobs_come_when_they_are_due() {
    let mut sim = sim();
    sim.create(cron(json!({"timeZone": "Europe/Berlin"})));
    sim.pass(599);
    assert_eq!(sim.names(&Resource::JOBS), [""; 0]);
    sim.pass(2);
    assert_eq!(sim.names(&Resource::JOBS), [name(10)]);
    let job = sim.get(&Resource::JOBS, &name(10)).unwrap();
    assert_eq!(job.annotation(SCHEDULED), Some("2026-01-01T01:10:00+01:00"));
    assert_eq!((job.label("of"), job.controller().map(|owner| owner.kind)), (Some("c"), Some("CronJob".to_owned())));
    assert_eq!((status(&sim)["lastScheduleTime"].as_str(), active(&sim)), (Some("2026-01-01T00:10:00Z"), vec![name(10)]));
    sim.pass(30);
    end(&mut sim, &name(10), "Complete");
    assert_eq!((active(&sim), status(&sim)["lastSuccessfulTime"].as_str()), (vec![], Some("2026-01-01T00:10:31Z")));
    sim.pass(600);
    assert_eq!(sim.names(&Resource::JOBS), [name(10), name(20)]);
    assert_eq!(
        sim.events,
        [
            format!("c SuccessfulCreate: Created job {}", name(10)),
            format!("c SawCompletedJob: Saw completed job: {}, condition: Complete", name(10)),
            format!("c SuccessfulCreate: Created job {}", name(20)),
        ]
    );
}

#[test]
fn concurrency() {
    for (policy, jobs, listed, later) in [
        ("Allow", vec![name(10), name(20)], vec![name(10), name(20)], vec![name(10), name(20)]),
        ("Forbid", vec![name(10)], vec![name(10)], vec![name(10), name(20)]),
        ("Replace", vec![name(20)], vec![name(20)], vec![name(20)]),
    ] {
        let mut sim = sim();
        sim.create(cron(json!({"concurrencyPolicy": policy})));
        sim.pass(601);
        sim.pass(600);
        assert_eq!((sim.names(&Resource::JOBS), active(&sim)), (jobs, listed), "{policy}");
        let told = |reason: &str| sim.events.iter().any(|event| event.contains(reason));
        assert_eq!((told("JobAlreadyActive"), told("SuccessfulDelete"), told("MissingJob")), (policy == "Forbid", policy == "Replace", false), "{policy}");
        // what had to wait begins when it may
        if policy == "Forbid" {
            end(&mut sim, &name(10), "Failed");
        }
        assert_eq!(sim.names(&Resource::JOBS), later, "{policy}");
    }
}

#[test]
fn what_was_missed_begins_late_or_not_at_all() {
    for (spec, expected, event) in [
        (json!({}), vec![name(3000)], None),
        (json!({"startingDeadlineSeconds": 200}), vec![], None),
        (json!({"startingDeadlineSeconds": 400}), vec![name(3000)], None),
        (json!({"schedule": "* * * * *"}), vec![name(3005)], Some("TooManyMissedTimes: too many missed start times")),
        (json!({"suspend": true}), vec![], None),
        (json!({"schedule": "0 0 31 2 *"}), vec![], Some("InvalidSchedule: invalid schedule: 0 0 31 2 *")),
        (json!({"schedule": "often"}), vec![], Some("UnparseableSchedule: unparseable schedule: \"often\"")),
        (json!({"timeZone": "Mars/Olympus"}), vec![], Some("UnknownTimeZone: invalid timeZone: \"Mars/Olympus\"")),
    ] {
        let mut sim = sim();
        sim.create(cron(spec.clone()));
        // nobody was there for 50 hours
        sim.now = crate::runtime::later(sim.now, SignedDuration::from_secs(3005 * 60));
        sim.world.now = sim.now;
        sim.settle();
        assert_eq!(sim.names(&Resource::JOBS), expected, "{spec}");
        assert_eq!(event.map(|event| sim.events.iter().any(|told| told.contains(event))), event.map(|_| true), "{spec}: {:?}", sim.events);
    }
}

#[test]
fn a_resumed_cron_job_begins_what_it_missed() {
    let mut sim = sim();
    sim.create(cron(json!({"suspend": true})));
    sim.pass(1205);
    sim.patch(&Resource::CRON_JOBS, "c", "", json!({"spec": {"suspend": false}}));
    sim.settle();
    assert_eq!(sim.names(&Resource::JOBS), [name(20)]);
}

#[test]
fn few_of_the_ended_jobs_are_kept() {
    let mut sim = sim();
    sim.create(cron(json!({"successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1})));
    for (minute, r#type) in [(10, "Complete"), (20, "Failed"), (30, "Complete"), (40, "Failed"), (50, "Complete")] {
        sim.pass(600);
        sim.pass(1);
        end(&mut sim, &name(minute), r#type);
    }
    assert_eq!(sim.names(&Resource::JOBS), [name(30), name(40), name(50)]);
}

#[test]
fn a_time_is_begun_once_even_if_its_job_goes_at_once() {
    let mut sim = sim();
    sim.create(cron(json!({})));
    sim.pass(599);
    sim.now = crate::runtime::later(sim.now, SignedDuration::from_secs(2));
    sim.world.now = sim.now;
    sim.plan();
    while sim.act() {}
    // the Job and its end are seen together
    sim.delete(&Resource::JOBS, &name(10), None);
    sim.settle();
    assert_eq!((sim.names(&Resource::JOBS), status(&sim)["lastScheduleTime"].as_str()), (vec![], Some("2026-01-01T00:10:00Z")));
    sim.pass(600);
    assert_eq!(sim.names(&Resource::JOBS), [name(20)]);
}

#[test]
fn jobs_of_others_are_told_apart() {
    let mut sim = sim();
    let owner = sim.create(cron(json!({})));
    let reference = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": owner.object().uid(), "controller": true});
    sim.create(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "manual", "namespace": "a", "ownerReferences": [reference]}}));
    sim.create(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name(10), "namespace": "a"}}));
    sim.pass(601);
    assert_eq!((sim.names(&Resource::JOBS).len(), active(&sim)), (2, vec![]), "the name is taken");
    assert_eq!(sim.events, ["c UnexpectedJob: Saw a job that the controller did not create or forgot: manual"]);
    sim.pass(600);
    assert_eq!(active(&sim), [name(20)]);
}
