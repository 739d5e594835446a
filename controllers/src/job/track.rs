//! Pods are counted once and only once, whatever is restarted in between. A pod that ended has a finalizer until it is counted: first its UID is written to the
//! status, then the finalizer goes, and then the UID turns into a number. Each step is made once the step before is seen.
use super::look::{Draft, Ending, Look};
use super::pods::{JobPod, TRACKING};
use std::collections::BTreeSet;

/// So many UIDs at most wait in the status.
const MOST: usize = 500;

/// What is next for a pod that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its UID is to be written down as that of a success.
    Succeeds,
    /// Its UID is to be written down as that of a failure.
    Fails,
    /// Its index is to be written down.
    Index,
    /// All of it is written down, or nothing has to be: its finalizer may go.
    Release,
}

/// Takes the next step for each pod that ended.
pub fn track(look: &Look<'_>, ending: Option<&Ending>, draft: &mut Draft) {
    settle(look, draft);
    let sure = look.unsure_until.is_none();
    if sure && look.spec.indexed {
        draft.status.completed_indexes.clone_from(&look.completed_indexes);
        draft.status.failed_indexes.clone_from(&look.failed_indexes);
        draft.status.succeeded = look.succeeded;
    }
    // that the Job ends, and how, is written before any of what shows it may go
    let may_release = ending.is_none_or(|ending| ending.noted);
    let mut indexes = 0;
    for pod in look.pods.iter().filter(|pod| pod.tracked && over(look, pod, ending)) {
        match step(look, pod, ending) {
            Step::Release if may_release => _ = draft.plan.drop_finalizer(pod.item, TRACKING),
            Step::Release => {}
            _ if !sure => {}
            Step::Index => indexes += 1,
            Step::Succeeds => draft.status.uncounted.succeeded.push(pod.item.uid().to_owned()),
            Step::Fails => draft.status.uncounted.failed.push(pod.item.uid().to_owned()),
        }
        if draft.status.uncounted.len() + indexes >= MOST {
            break;
        }
    }
}

/// UIDs whose pods have lost the finalizer turn into numbers.
fn settle(look: &Look<'_>, draft: &mut Draft) {
    let tracked: BTreeSet<&str> = look.pods.iter().filter(|pod| pod.tracked).map(|pod| pod.item.uid()).collect();
    let count = |uids: &mut Vec<String>| {
        let before = uids.len();
        uids.retain(|uid| tracked.contains(uid.as_str()));
        i64::try_from(before - uids.len()).unwrap_or_default()
    };
    draft.status.succeeded += count(&mut draft.status.uncounted.succeeded);
    draft.status.failed += count(&mut draft.status.uncounted.failed);
}

/// Whether a pod is over for the Job.
fn over(look: &Look<'_>, pod: &JobPod<'_>, ending: Option<&Ending>) -> bool {
    if look.job.deleting() || ending.is_some() || pod.succeeded() {
        return true;
    }
    let replaced = pod.index.and_then(|index| look.replaced(index)).is_some_and(|last| last.item.uid() == pod.item.uid());
    pod.failed(&look.spec) && !replaced
}

fn step(look: &Look<'_>, pod: &JobPod<'_>, ending: Option<&Ending>) -> Step {
    let (uid, uncounted) = (pod.item.uid(), &look.seen.uncounted);
    let among = |uids: &[String]| uids.iter().any(|known| known == uid);
    if among(&uncounted.succeeded) || among(&uncounted.failed) {
        return Step::Release;
    }
    if pod.succeeded() {
        return match pod.index {
            Some(index) if look.seen.completed_indexes.has(index) => Step::Release,
            Some(_) => Step::Index,
            None if look.spec.indexed => Step::Release,
            None => Step::Succeeds,
        };
    }
    let fails = match ending {
        None => pod.failed(&look.spec),
        // those that run are ended by the Job itself: when it fails they have failed, otherwise not
        Some(ending) => !ending.success || pod.pod.phase() == "Failed",
    };
    if fails && pod.counts(&look.spec) && !look.verdict(pod).ignored { Step::Fails } else { Step::Release }
}
