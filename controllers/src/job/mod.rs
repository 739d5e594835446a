//! Jobs: pods until enough of them have succeeded, or too many failed.
//!
//! `look` is what there is and what it comes to, `manage` how many pods there are to be, `track` how they are counted, `status` what is written about it.
mod backoff;
pub mod brief;
mod indexes;
mod look;
mod manage;
mod orphans;
mod pods;
mod policy;
mod spec;
mod status;
mod track;

pub use orphans::OrphanPods;

use crate::ownership;
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp, later, plan::record};
use brief::brief;
use jiff::SignedDuration;
use look::{Draft, Ending, Look};
use model::Key;
use model::selector::LabelSelector;
use pods::TRACKING;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many pods are ready or ending is written at most so often, where nothing else has changed.
const BATCH: SignedDuration = SignedDuration::from_secs(1);

/// Runs Jobs.
pub struct Jobs;

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::JOBS), Input::controlled(Resource::PODS, Resource::JOBS), Input::new(Resource::PODS, adopters)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::PODS, Part::Whole, "of Jobs"), Output::new(Resource::JOBS, Part::Status, "")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(job) = view.at(key).filter(|job| goes_on(job)) else { return plan };
        if !matches!(job.object().str_at(&["spec", "completionMode"]), "" | "NonIndexed" | "Indexed") {
            plan.warn(job, "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown");
            return plan;
        }
        let Ok(selector) = ownership::selector(job) else { return plan };
        let pods = claim(view, job, &selector, &mut plan);
        // pods that are taken over or let go are counted once that is seen
        if plan.is_empty() { sync(&Look::new(view, job, &pods, at)) } else { plan }
    }
}

/// Whether a Job is to be seen to, here.
fn goes_on(job: &Item) -> bool {
    let brief = brief(job);
    brief.end.is_none() && !brief.managed_elsewhere
}

/// The Jobs that would take over a changed pod that nobody controls.
fn adopters(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let Some(pod) = change.new.filter(|pod| pod.controller().is_none() && pod.labels().is_some()) else { return Vec::new() };
    let selects = |job: &&Arc<Item>| goes_on(job) && ownership::selector(job).is_ok_and(|selector| selector.selects(|label| pod.label(label)));
    view.in_namespace(&Resource::JOBS, pod.namespace()).filter(selects).map(|job| job.key().clone()).collect()
}

/// The pods of a Job. Those that it takes over get the finalizer, those that it lets go lose it.
fn claim<'a>(view: &'a View, job: &'a Item, selector: &LabelSelector, plan: &mut Plan) -> Vec<&'a Arc<Item>> {
    let pods = ownership::claim(view, &Resource::PODS, job, selector, |_| true, plan);
    for write in &mut plan.writes {
        let (WriteOp::Patch { patch, .. }, Some(pod)) = (&mut write.op, view.at(&write.key)) else { continue };
        let others = pod.meta.finalizers.iter().flatten().filter(|finalizer| *finalizer != TRACKING).map(String::as_str);
        let own = (!pod.controlled_by(job.uid())).then_some(TRACKING);
        patch["metadata"]["finalizers"] = others.chain(own).map(Value::from).collect();
    }
    pods
}

fn sync(look: &Look<'_>) -> Plan {
    let active: Vec<_> = look.pods.iter().filter(|pod| pod.active()).collect();
    let amount = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut draft = Draft { active: amount(active.len()), status: look.seen.clone(), ..Draft::default() };
    draft.status.started = look.started();
    draft.status.active = draft.active;
    draft.status.ready = amount(active.iter().filter(|pod| pod.pod.ready()).count());
    draft.status.terminating = amount(look.pods.iter().filter(|pod| pod.ending()).count());
    if let Some(until) = look.unsure_until {
        draft.plan.look_again(until);
        track::track(look, None, &mut draft);
        return report(look, draft);
    }
    let mut ending = look.ending();
    if ending.is_some() {
        manage::delete(look, active, &mut draft);
    } else {
        ending = go_on(look, &mut draft);
    }
    track::track(look, ending.as_ref(), &mut draft);
    if let Some(ending) = &ending {
        end(look, ending, &mut draft);
    }
    report(look, draft)
}

/// Has a Job go on; how it ends, if it doesn't have to.
fn go_on(look: &Look<'_>, draft: &mut Draft) -> Option<Ending> {
    if !look.job.deleting() {
        manage::manage(look, draft);
    }
    let complete = draft.active == 0 && look.spec.completions.map_or(look.succeeded > 0, |completions| look.succeeded >= completions);
    if complete {
        return Some(Ending::completed());
    }
    if let Some(deadline) = look.deadline() {
        draft.plan.look_again(deadline);
    }
    if !look.job.deleting() {
        note_pause(look, draft);
    }
    None
}

/// Notes that the Job is suspended, or goes on: its time counts from then.
fn note_pause(look: &Look<'_>, draft: &mut Draft) {
    let (reason, event, message) = if look.spec.suspended { ("JobSuspended", "Suspended", "Job suspended") } else { ("JobResumed", "Resumed", "Job resumed") };
    if draft.status.set("Suspended", look.spec.suspended, (reason, message), look.at.now) {
        draft.status.started = (!look.spec.suspended).then_some(look.at.now);
        draft.told.push(record(look.job, false, event, message));
    }
}

/// Notes that the Job ends, and that it has ended once all of its pods are gone or counted.
fn end(look: &Look<'_>, ending: &Ending, draft: &mut Draft) {
    let (first, last) = ending.conditions();
    let words = (ending.reason.as_str(), ending.message.as_str());
    if !ending.noted {
        draft.status.set(first, true, words, look.at.now);
        return;
    }
    let waits = look.pods.iter().any(|pod| pod.tracked || pod.active() || pod.ending()) || draft.status.uncounted.len() > 0;
    if waits || !draft.status.set(last, true, words, look.at.now) {
        return;
    }
    if ending.success {
        draft.status.completed = Some(look.at.now);
        if look.spec.completions.is_some_and(|completions| draft.status.succeeded > completions) {
            draft.told.push(record(look.job, true, "TooManySucceededPods", "Too many succeeded pods running after completion count reached"));
        }
        draft.told.push(record(look.job, false, "Completed", "Job completed"));
    } else {
        draft.told.push(record(look.job, true, ending.reason.clone(), ending.message.clone()));
    }
}

/// Adds what the status should say.
fn report(look: &Look<'_>, draft: Draft) -> Plan {
    let Draft { mut plan, status, told, .. } = draft;
    let Some(patch) = status.patch(look.object, &look.spec) else { return plan };
    let due = later(look.job.seen_at, BATCH);
    if due > look.at.now && patch.keys().all(|field| matches!(field.as_str(), "ready" | "terminating")) {
        plan.look_again(due);
    } else {
        plan.merge_as_seen(look.job, "status", json!({"status": patch})).tells(told);
    }
    plan
}

#[cfg(test)]
mod tests;
