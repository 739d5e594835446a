//! Jobs and CronJobs: what users do with them, what must hold of them after each write, and what must have become of them once all is quiet.
use crate::ask::{act, delete, merge, names, object};
use crate::facts::{alive, owned};
use crate::net::{NAMESPACE, Net};
use crate::store::Entry;
use model::Object;
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use state_client::{Options, Propagation, Request, Verb};
use std::collections::{BTreeMap, BTreeSet};

const JOBS: (&str, &str) = ("batch", "jobs");
const CRON_JOBS: (&str, &str) = ("batch", "cronjobs");
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

fn job_spec(net: &mut Net) -> Value {
    let random = &mut net.random;
    let mut spec = json!({"parallelism": random.random_range(1..4), "completions": random.random_range(1..5), "backoffLimit": random.random_range(0..5)});
    let restarts = ["Never", "OnFailure"].into_iter().choose(random).unwrap_or("Never");
    if random.random_range(0..3) > 0 {
        spec["completionMode"] = json!("Indexed");
        if random.random_range(0..2) == 0 && restarts == "Never" {
            spec["backoffLimitPerIndex"] = json!(random.random_range(0..3));
        }
        if random.random_range(0..4) == 0 {
            spec["successPolicy"] = json!({"rules": [{"succeededCount": 1}]});
        }
    }
    if restarts == "Never" && random.random_range(0..3) == 0 {
        let rules = json!([
            {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [2]}},
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}},
        ]);
        spec["podFailurePolicy"] = json!({"rules": rules});
    }
    match random.random_range(0..5) {
        0 => spec["activeDeadlineSeconds"] = json!(random.random_range(5..60)),
        1 => spec["ttlSecondsAfterFinished"] = json!(random.random_range(0..60)),
        2 if spec.get("completionMode").is_none() => _ = spec.as_object_mut().map(|spec| spec.remove("completions")),
        _ => {}
    }
    let container = json!({"name": "c", "image": "v0", "resources": {"requests": {"cpu": "100m"}}});
    let grace = random.random_range(0..10);
    spec["template"] = json!({"spec": {"restartPolicy": restarts, "terminationGracePeriodSeconds": grace, "containers": [container]}});
    spec
}

fn create(net: &mut Net, resource: (&str, &str), kind: &str, name: &str, spec: Value) {
    let made = json!({"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    act(net, Request::new(Verb::Create, resource.0, resource.1, NAMESPACE, "").body(object(made)));
}

/// Makes a Job.
pub fn make(net: &mut Net) {
    let (spec, name) = (job_spec(net), format!("j{}", net.random.random_range(0..3)));
    create(net, JOBS, "Job", &name, spec);
}

fn propagation(net: &mut Net) -> Options {
    let propagation = [None, Some(Propagation::Foreground), Some(Propagation::Background), Some(Propagation::Orphan)].into_iter().choose(&mut net.random);
    Options { propagation: propagation.flatten(), ..Options::default() }
}

/// Something that users do with Jobs and CronJobs.
pub fn user(net: &mut Net) {
    let by_users = |net: &mut Net| names(net, "jobs").into_iter().filter(|name| name.starts_with('j')).choose(&mut net.random);
    let (what, suspend) = (net.random.random_range(0..8), net.random.random_range(0..2) == 0);
    match (what, by_users(net), names(net, "cronjobs").into_iter().choose(&mut net.random)) {
        (0..3, ..) => make(net),
        (3, Some(job), _) => act(net, merge(JOBS, NAMESPACE, &job, &json!({"spec": {"suspend": suspend}}))),
        (4, Some(job), _) => {
            let size = net.random.random_range(1..5);
            act(net, merge(JOBS, NAMESPACE, &job, &json!({"spec": {"completions": size, "parallelism": size}})));
        }
        (5, Some(job), _) => {
            let options = propagation(net);
            act(net, delete(JOBS, NAMESPACE, &job, options));
        }
        (6, _, Some(cron)) if suspend => act(net, delete(CRON_JOBS, NAMESPACE, &cron, Options::default())),
        (6 | 7, ..) => {
            let policy = ["Allow", "Forbid", "Replace"].into_iter().choose(&mut net.random).unwrap_or("Allow");
            let name = format!("c{}", net.random.random_range(0..2));
            let mut job = job_spec(net);
            if let Some(job) = job.as_object_mut() {
                job.remove("ttlSecondsAfterFinished");
            }
            let spec = json!({"schedule": "* * * * *", "concurrencyPolicy": policy, "jobTemplate": {"spec": job}, "successfulJobsHistoryLimit": 1});
            create(net, CRON_JOBS, "CronJob", &name, spec);
        }
        _ => {}
    }
}

/// Lets all Jobs go on.
pub fn resume(net: &mut Net) {
    let suspended =
        |name: &String| net.store.get(JOBS.0, JOBS.1, NAMESPACE, name).is_some_and(|j| j.object().at(&["spec", "suspend"]) == Some(&Value::Bool(true)));
    let suspended: Vec<String> = names(net, "jobs").into_iter().filter(suspended).collect();
    for name in suspended {
        act(net, merge(JOBS, NAMESPACE, &name, &json!({"spec": {"suspend": false}})));
    }
}

/// Deletes all of them.
pub fn delete_all(net: &mut Net) {
    for resource in [CRON_JOBS, JOBS] {
        for name in names(net, resource.1) {
            let propagation = Some(Propagation::Background);
            act(net, delete(resource, NAMESPACE, &name, Options { propagation, ..Options::default() }));
        }
    }
}

fn ended(job: &Object) -> bool {
    job.list_at(&["status", "conditions"]).iter().any(|c| (c["type"] == "Complete" || c["type"] == "Failed") && c["status"] == "True")
}

/// What is remembered of what was written.
#[derive(Default)]
pub struct Ledger {
    /// By a Job's UID, the pods that were ever written down to be counted.
    counted: BTreeMap<String, BTreeSet<String>>,
    /// By a CronJob's UID, the names of its Jobs.
    begun: BTreeMap<String, BTreeSet<String>>,
}

impl Ledger {
    /// Looks at one write.
    ///
    /// # Errors
    /// What it breaks.
    pub fn written(&mut self, entry: &Entry, net: &Net, peace: bool) -> Result<(), String> {
        let (object, old) = (entry.object.object(), entry.old.as_ref().map(|old| old.object()));
        match (&*entry.object.key.resource, old) {
            _ if entry.deleted => Ok(()),
            ("jobs", Some(old)) => self.counts(object, old),
            ("jobs", None) => self.begins(object, net),
            ("pods", None) if peace => parallel(object, net),
            _ => Ok(()),
        }
    }

    /// A pod is written down once, and what is no longer written down is in the counts.
    fn counts(&mut self, job: &Object, old: &Object) -> Result<(), String> {
        let counted = self.counted.entry(job.uid().to_owned()).or_default();
        for part in ["succeeded", "failed"] {
            let uids = |job: &Object| -> BTreeSet<String> {
                let list = job.list_at(&["status", "uncountedTerminatedPods", part]);
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let (before, after) = (uids(old), uids(job));
            if let Some(again) = after.difference(&before).find(|uid| !counted.insert((*uid).clone())) {
                return Err(format!("pod {again} of job {} is counted again", job.name()));
            }
            let count = |job: &Object| job.int_at(&["status", part]).unwrap_or_default();
            let (gone, more) = (before.difference(&after).count() as i64, count(job) - count(old));
            let by_index = part == "succeeded" && job.str_at(&["spec", "completionMode"]) == "Indexed";
            if !by_index && gone != more {
                return Err(format!("{gone} pods of job {} were to be counted as {part}, and {more} are", job.name()));
            }
        }
        Ok(())
    }

    /// No time has two Jobs, and where that is forbidden no two of them go on.
    fn begins(&mut self, job: &Object, net: &Net) -> Result<(), String> {
        let Some(owner) = job.controller() else { return Ok(()) };
        if !self.begun.entry(owner.uid.clone()).or_default().insert(job.name().to_owned()) {
            return Err(format!("{} was begun twice", job.name()));
        }
        let going = owned(net, "jobs", &owner.uid).filter(|job| !ended(job.object())).count();
        let cron = net.store.get(CRON_JOBS.0, CRON_JOBS.1, NAMESPACE, &owner.name).map(|cron| cron.object());
        let forbids = cron.is_some_and(|cron| cron.str_at(&["spec", "concurrencyPolicy"]) == "Forbid");
        if forbids && going > 1 { Err(format!("{} has {going} jobs that go on", owner.name)) } else { Ok(()) }
    }
}

/// A Job never has more pods that run, or will, than it asks for.
fn parallel(pod: &Object, net: &Net) -> Result<(), String> {
    let owner = pod.controller().filter(|owner| owner.kind == "Job");
    let Some(job) = owner.and_then(|owner| net.store.get(JOBS.0, JOBS.1, NAMESPACE, &owner.name)) else { return Ok(()) };
    let (job, most) = (job.object(), job.object().int_at(&["spec", "parallelism"]).unwrap_or(1));
    let living = owned(net, "pods", job.uid()).filter(|pod| alive(pod.object())).count() as i64;
    if living > most { Err(format!("job {} has {living} pods, {most} at most", job.name())) } else { Ok(()) }
}

/// What is not yet as it should be.
pub fn open(net: &Net, open: &mut Vec<String>) {
    for job in net.store.all("jobs").map(|job| job.object()) {
        let status = job.at(&["status"]).unwrap_or(&Value::Null);
        let indexes = job.str_at(&["status", "completedIndexes"]);
        let complete = job.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "Complete" && c["reason"] == "CompletionsReached");
        let (succeeded, wanted) = (job.int_at(&["status", "succeeded"]).unwrap_or_default(), job.int_at(&["spec", "completions"]).unwrap_or_default());
        // users give an indexed one another size, also after its end
        let resized = job.str_at(&["spec", "completionMode"]) == "Indexed";
        if !ended(job) {
            open.push(format!("job {} has not ended: {} {status}", job.name(), job.at(&["spec"]).unwrap_or(&Value::Null)));
        } else if complete && ((succeeded < wanted && !resized) || (wanted > 0 && !indexes.is_empty() && !indexes.starts_with('0'))) {
            open.push(format!("job {} is complete with {succeeded} of {wanted}: {status}", job.name()));
        }
    }
    for pod in net.store.all("pods").map(|pod| pod.object()).filter(|pod| pod.finalizers().any(|finalizer| finalizer == TRACKING)) {
        open.push(format!("pod {} is not counted: {}", pod.name(), pod.at(&["status", "phase"]).unwrap_or(&Value::Null)));
    }
}
