//! Pods whose Job is gone or over aren't counted any more: nothing but the Job's finalizer holds them, and it is taken off.
use super::brief::brief;
use super::pods::TRACKING;
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, controller_key};
use model::Key;

/// Takes the finalizer off pods that no Job counts.
pub struct OrphanPods;

impl Controller for OrphanPods {
    fn name(&self) -> &'static str {
        "job-orphan-pods-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![Input::new(Resource::PODS, orphan), Input::new(Resource::JOBS, left_behind)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::PODS, Part::Portion, "finalizer batch.kubernetes.io/job-tracking of Jobs that are gone or over")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(pod) = view.at(key) else { return plan };
        match counted_by(view, pod) {
            Counted::Nobody => _ = plan.drop_finalizer(pod, TRACKING),
            Counted::Absent(guard) => _ = plan.drop_finalizer(pod, TRACKING).guard(guard),
            Counted::Somebody => {}
        }
        plan
    }
}

/// Who counts a pod.
enum Counted {
    /// A Job, or whoever else it belongs to.
    Somebody,
    /// A Job that isn't seen: nobody, if `state` says so, too.
    Absent(Guard),
    /// Nobody.
    Nobody,
}

fn counted_by(view: &View, pod: &Item) -> Counted {
    if !pod.has_finalizer(TRACKING) {
        return Counted::Somebody;
    }
    let Some(owner) = pod.controller() else { return Counted::Nobody };
    let Some(key) = controller_key(view, pod, &Resource::JOBS) else { return Counted::Somebody };
    match view.at(&key).filter(|job| job.uid() == owner.uid) {
        None => Counted::Absent(Guard::Absent { key, uid: owner.uid.clone() }),
        Some(job) if brief(job).end.is_some() && !brief(job).managed_elsewhere => Counted::Nobody,
        Some(_) => Counted::Somebody,
    }
}

fn orphan(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let orphan = |pod: &&Item| !matches!(counted_by(view, pod), Counted::Somebody);
    change.new.filter(orphan).map(|pod| pod.key().clone()).into_iter().collect()
}

/// The pods of a Job that went or came to its end.
fn left_behind(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let over = change.new.is_none_or(|job| brief(job).end.is_some());
    let replaced = change.both().filter(|job| over || change.new.is_some_and(|new| new.uid() != job.uid()));
    let pods = replaced.flat_map(|job| view.controlled_by(&Resource::PODS, job.uid()));
    pods.filter(|pod| pod.has_finalizer(TRACKING)).map(|pod| pod.key().clone()).collect()
}
