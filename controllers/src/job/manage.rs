//! As many pods as a Job is to have now: too many go, missing ones are made.
use super::backoff;
use super::look::{Draft, Look};
use super::pods::{FAILURES, IGNORED_FAILURES, INDEX, JobPod, TRACKING};
use crate::ownership;
use crate::runtime::Resource;
use model::Object;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// So many pods at most are made or deleted by one plan.
const MOST: i64 = 500;
/// The environment variable with a pod's index.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Longest name that a pod's is generated from.
const NAME_MAX: usize = 58;

/// Brings the number of pods to where it should be. Pods are made once none has to go.
pub fn manage(look: &Look<'_>, draft: &mut Draft) {
    let active: Vec<&JobPod<'_>> = look.pods.iter().filter(|pod| pod.active()).collect();
    let excess = excess(look, &active);
    if excess.is_empty() {
        create(look, &active, draft);
        return;
    }
    let (tracked, free): (Vec<_>, Vec<_>) = excess.into_iter().partition(|pod| pod.tracked);
    // a pod that goes while it has the finalizer counts as failed
    for pod in tracked {
        draft.plan.drop_finalizer(pod.item, TRACKING);
    }
    delete(look, free, draft);
}

/// Deletes pods.
pub fn delete<'a, 'b: 'a>(look: &Look<'_>, pods: impl IntoIterator<Item = &'a JobPod<'b>>, draft: &mut Draft) {
    // what failed before may fail again: the status then follows what is seen
    let sure = i64::from(look.at.failed.is_empty());
    for pod in pods {
        draft.plan.delete(pod.item).says(look.job, ("SuccessfulDelete", "Deleted pod: {}"), ("FailedDelete", "Error deleting: {}"));
        draft.active -= 1;
        draft.status.active -= sure;
        draft.status.terminating += sure;
        draft.status.ready -= if pod.pod.ready() { sure } else { 0 };
    }
}

/// How many pods should run.
fn wanted(look: &Look<'_>, active: i64) -> i64 {
    match look.spec.completions {
        _ if look.spec.suspended => 0,
        // after the first success the others end by themselves
        None if look.succeeded > 0 => active,
        None => look.spec.parallelism,
        Some(completions) => (completions - look.succeeded).clamp(0, look.spec.parallelism),
    }
}

fn amount(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The pods that are to go: all that can't be counted, all but the best one of an index, and what is beyond the wanted number.
fn excess<'a, 'b>(look: &Look<'_>, active: &[&'a JobPod<'b>]) -> Vec<&'a JobPod<'b>> {
    let mut ranked = active.to_vec();
    ranked.sort_by_cached_key(|pod| pod.worth());
    let mut taken = BTreeSet::new();
    let keeps = |pod: &&JobPod<'_>| pod.tracked && pod.counts(&look.spec) && pod.index.is_none_or(|index| taken.insert(index));
    let (kept, mut goes): (Vec<_>, Vec<_>) = ranked.into_iter().rev().partition(keeps);
    let beyond = amount(kept.len()) - wanted(look, amount(active.len()));
    goes.extend(kept.into_iter().rev().take(usize::try_from(beyond).unwrap_or_default()));
    goes.truncate(usize::try_from(MOST).unwrap_or_default());
    goes
}

fn create(look: &Look<'_>, active: &[&JobPod<'_>], draft: &mut Draft) {
    let failed = look.at.failed.iter().any(|failure| failure.create);
    let waits_for = if look.spec.replaces_failed_only { draft.status.terminating } else { 0 };
    let room = wanted(look, draft.active) - waits_for - draft.active;
    // where the last pods couldn't be made, one is tried first
    let room = room.min(if failed { 1 } else { MOST });
    if room <= 0 {
        return;
    }
    let mut places = places(look, active, usize::try_from(room).unwrap_or_default());
    let due = |place: &Option<i64>| match (look.spec.backoff_limit_per_index, place) {
        (Some(_), Some(index)) => look.replaced(*index).and_then(backoff::of_index),
        _ => None,
    };
    let gone = look.view.gone_of(&Resource::PODS, look.job.uid());
    let all = if look.spec.backoff_limit_per_index.is_none() { backoff::of_job(&look.pods, &look.spec, look.failed, gone) } else { None };
    let waits = |place: &Option<i64>| due(place).or(all).filter(|at| *at > look.at.now);
    if let Some(next) = places.iter().filter_map(waits).min() {
        draft.plan.look_again(next);
    }
    places.retain(|place| waits(place).is_none());
    for place in &places {
        let pod = pod(look, *place);
        draft.plan.create(&Resource::PODS, pod).says(look.job, ("SuccessfulCreate", "Created pod: {}"), ("FailedCreate", "Error creating: {}"));
    }
    draft.active += amount(places.len());
    draft.status.active += if failed { 0 } else { amount(places.len()) };
}

/// For what pods are to be made: indexes without one, where there are indexes.
fn places(look: &Look<'_>, active: &[&JobPod<'_>], count: usize) -> Vec<Option<i64>> {
    if !look.spec.indexed {
        return vec![None; count];
    }
    let ending = look.pods.iter().filter(|pod| look.spec.replaces_failed_only && pod.ending());
    let taken = look.completed_indexes.with(active.iter().copied().chain(ending).filter_map(|pod| pod.index));
    let taken = look.failed_indexes.as_ref().map_or_else(|| taken.clone(), |failed| taken.union(failed));
    taken.missing(count, look.spec.indexes()).into_iter().map(Some).collect()
}

/// A pod of a Job, for an index where there are indexes.
fn pod(look: &Look<'_>, index: Option<i64>) -> Object {
    let mut pod = ownership::pod_of_template(look.spec.template, look.job);
    let mut finalizers = pod.list_at(&["metadata", "finalizers"]).to_vec();
    if finalizers.iter().all(|finalizer| finalizer != TRACKING) {
        finalizers.push(json!(TRACKING));
    }
    pod.set(&["metadata", "finalizers"], finalizers);
    let Some(index) = index else { return pod };
    pod.set(&["metadata", "generateName"], name_prefix(look.job.name(), index));
    pod.set(&["metadata", "annotations", INDEX], index.to_string());
    pod.set(&["metadata", "labels", INDEX], index.to_string());
    pod.set(&["spec", "hostname"], format!("{}-{index}", look.job.name()));
    if look.spec.backoff_limit_per_index.is_some() {
        let (counted, ignored) = failures(look, index);
        pod.set(&["metadata", "annotations", FAILURES], counted.to_string());
        if ignored > 0 {
            pod.set(&["metadata", "annotations", IGNORED_FAILURES], ignored.to_string());
        }
    }
    for list in ["initContainers", "containers"] {
        let containers = pod.0.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(tell_index);
    }
    pod
}

fn name_prefix(job: &str, index: i64) -> String {
    let suffix = format!("-{index}-");
    let kept = job.len().min(NAME_MAX.saturating_sub(suffix.len()));
    format!("{}{suffix}", job.get(..kept).unwrap_or(job))
}

/// How many pods of the index failed before the next one.
fn failures(look: &Look<'_>, index: i64) -> (i64, i64) {
    let Some(last) = look.replaced(index) else { return (0, 0) };
    let (counted, ignored) = last.failures_before();
    if look.verdict(last).ignored { (counted, ignored + 1) } else { (counted + 1, ignored) }
}

/// Gives a container the variable with its pod's index, unless it has one of this name.
fn tell_index(container: &mut Value) {
    let Some(container) = container.as_object_mut() else { return };
    let variables = container.entry("env").or_insert_with(|| json!([]));
    if variables.is_null() {
        *variables = json!([]);
    }
    let Some(variables) = variables.as_array_mut().filter(|all| all.iter().all(|variable| variable["name"] != VARIABLE)) else { return };
    variables.push(json!({"name": VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}}}));
}
