//! The state of the scheduler as one value without I/O: it takes changes and outcomes, and returns what is to be written. The time is an argument.
use crate::events::Note;
use crate::inputs;
use crate::outcome::{Decision, Outcome, Preemption, Refusal};
use crate::pod::{self, PodClass, PodInfo};
use crate::prebind::{PreBinding, PreBindings};
use crate::queue::Queue;
use crate::requests::{Eviction, Refused, dismissal, refusal};
use crate::snapshot::Snapshot;
use crate::wake::Wake;
use crate::writes::Write;
use jiff::Timestamp;
use model::ApiError;
use state_client::{Change, Request};
use std::sync::Arc;

/// A pod's binding and what became of it.
#[derive(Debug)]
pub struct BindingResult {
    /// Which pod.
    pub pod: Arc<PodInfo>,
    /// To which node.
    pub node: Arc<str>,
    /// Whether it was written.
    pub result: Result<(), ApiError>,
}

/// What is to be written before a pod is bound.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// Its node.
    pub node: Arc<str>,
    /// What.
    pub writes: Vec<Write>,
}

/// What decisions come to.
#[derive(Debug, Default)]
pub struct SchedulerOutput {
    /// Pods and the nodes that they are to be bound to: see [`crate::requests::binding`].
    pub bindings: Vec<(Arc<PodInfo>, Arc<str>)>,
    /// Writes of pods' conditions and nominations, with the pods' UIDs.
    pub refusals: Vec<(Arc<str>, Request)>,
    /// Pods that are to go.
    pub evictions: Vec<Eviction>,
    /// What pods need before they are bound.
    pub reservations: Vec<Reservation>,
}

/// All that the scheduler knows.
#[derive(Default)]
pub struct SchedulerCore {
    snapshot: Snapshot,
    queue: Queue,
    /// Pods that have a node, and are bound once what was reserved for them has come about.
    prebindings: PreBindings,
    seed: u64,
    /// Shared by the next pod if it is alike, as pods of one template come together.
    class: Option<Arc<PodClass>>,
    notes: Vec<Note>,
}

impl SchedulerCore {
    /// An empty one; `seed` tells equal nodes apart.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Whether pods can be tried.
    pub fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    /// When there is something to do though nothing comes.
    pub fn next(&self) -> Option<Timestamp> {
        self.queue.next().into_iter().chain(self.prebindings.deadline()).min()
    }

    /// Lets those be tried whose time has come.
    pub fn move_due(&mut self, now: Timestamp) {
        self.queue.ripen(now);
    }

    /// What is to be told since the last call.
    pub fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Changes of what [`inputs::watched`] names, as watches show them.
    pub fn apply(&mut self, changes: Vec<Change>, now: Timestamp) {
        let wake = changes.into_iter().fold(Wake::NONE, |all, change| all | self.one(change, now));
        self.wake(wake, now);
    }

    fn wake(&mut self, wake: Wake, now: Timestamp) {
        let freed = if self.snapshot.nominations.take_freed() { Wake::POD_GONE } else { Wake::NONE };
        if wake | freed != Wake::NONE {
            self.queue.wake(wake | freed, now);
        }
    }

    fn one(&mut self, change: Change, now: Timestamp) -> Wake {
        match change {
            Change::Applied { old, new } if &*new.key.resource == "pods" => {
                let pod = PodInfo::parse(&new).inspect_err(|error| tracing::warn!(object = ?new, %error, "left out of the snapshot"));
                let Ok(pod) = pod else { return Wake::NONE };
                let replaced = old.and_then(|old| pod::uid(&old)).filter(|uid| *uid != pod.uid);
                let gone = replaced.map_or(Wake::NONE, |uid| self.remove_pod(&uid));
                gone | self.upsert_pod(pod, now)
            }
            Change::Deleted(last) if &*last.key.resource == "pods" => pod::uid(&last).map_or(Wake::NONE, |uid| self.remove_pod(&uid)),
            change => inputs::apply(&mut self.snapshot, &change),
        }
    }

    fn upsert_pod(&mut self, mut pod: PodInfo, now: Timestamp) -> Wake {
        match &self.class {
            Some(class) if *class == pod.class => pod.class = class.clone(),
            _ => self.class = Some(pod.class.clone()),
        }
        let wake = self.snapshot.apply_pod(&pod);
        if pod.node.is_some() || pod.finished || pod.class.terminating || !pod.ours {
            self.leave_queue(&pod.uid, pod.node.as_ref());
            return wake;
        }
        let pod = Arc::new(pod);
        self.follow_nomination(&pod);
        self.queue.upsert(pod, now);
        wake
    }

    /// What the scheduler decided itself stands until the pod says something else than before.
    fn follow_nomination(&mut self, pod: &Arc<PodInfo>) {
        if self.queue.get(&pod.uid).is_some_and(|was| was.nominated == pod.nominated) {
            return;
        }
        match &pod.nominated {
            Some(node) if self.snapshot.node_of(&pod.uid).is_none() => self.snapshot.nominations.nominate(pod.clone(), node.clone()),
            Some(_) => {}
            None => self.dismiss(&pod.uid, None),
        }
    }

    fn dismiss(&mut self, uid: &str, bound: Option<&Arc<str>>) {
        if self.snapshot.nominations.dismiss(uid).is_some_and(|was| bound != Some(&was)) {
            self.snapshot.nominations.free();
        }
    }

    fn remove_pod(&mut self, uid: &Arc<str>) -> Wake {
        self.leave_queue(uid, None);
        self.snapshot.remove_pod(uid)
    }

    fn leave_queue(&mut self, uid: &Arc<str>, bound: Option<&Arc<str>>) {
        self.queue.remove(uid);
        self.prebindings.remove(uid);
        self.dismiss(uid, bound);
    }

    /// The pods whose turn it is, at most `limit`, and what is to be passed to [`crate::schedule()`] with them. The snapshot comes back by
    /// [`SchedulerCore::decided`].
    pub fn take(&mut self, limit: usize, now: Timestamp) -> (Snapshot, Vec<Arc<PodInfo>>, u64) {
        let pods = self.queue.take(limit, now);
        self.seed = self.seed.wrapping_add(1);
        (std::mem::take(&mut self.snapshot), pods, self.seed)
    }

    /// What was decided over the snapshot.
    pub fn decided(&mut self, snapshot: Snapshot, decisions: Vec<Decision>, now: Timestamp) -> SchedulerOutput {
        self.snapshot = snapshot;
        let mut output = SchedulerOutput::default();
        for Decision { pod, outcome, before } in decisions {
            match outcome {
                Outcome::Bind(node) if before.is_empty() => output.bindings.push((pod, node)),
                Outcome::Bind(node) => {
                    self.prebindings.add(PreBinding::new(pod.clone(), node.clone(), now));
                    output.reservations.push(Reservation { pod, node, writes: before });
                }
                Outcome::Unschedulable(refusal) => self.unschedulable(&pod, refusal, now, &mut output),
            }
        }
        self.wake(Wake::NONE, now);
        output
    }

    fn unschedulable(&mut self, pod: &Arc<PodInfo>, refused: Refusal, now: Timestamp, output: &mut SchedulerOutput) {
        let message: Arc<str> = refused.message().into();
        let wakes = refused.diagnosis.wakes;
        if let Preemption::Planned { node, victims, displaced } = refused.preemption {
            self.queue.expects(&pod.uid, wakes);
            let goes = |victim| Eviction { victim, preemptor: pod.clone(), node: node.clone() };
            output.evictions.extend(victims.into_iter().map(goes));
            for lower in displaced {
                self.queue.activate(&lower.uid);
                self.write_status(&lower, dismissal(&lower), output);
            }
        } else {
            self.queue.failed(&pod.uid, wakes, now);
        }
        let nominated = self.snapshot.nominations.node_of(&pod.uid);
        let request = refusal(pod, &Refused { reason: "Unschedulable", message: &message, nominated }, now);
        self.write_status(pod, request, output);
        self.notes.push(Note::Refused(pod.clone(), message));
    }

    /// The pod isn't tried again before this is written: it would say of a bound pod that it isn't.
    fn write_status(&mut self, pod: &PodInfo, request: Option<Request>, output: &mut SchedulerOutput) {
        if let Some(request) = request {
            self.queue.writes(&pod.uid);
            output.refusals.push((pod.uid.clone(), request));
        }
    }

    /// Writes of these pods' statuses have come to an end.
    pub fn refused(&mut self, uids: &[Arc<str>]) {
        uids.iter().for_each(|uid| self.queue.wrote(uid));
    }

    /// What became of bindings: those that weren't written are tried again.
    pub fn written(&mut self, written: Vec<BindingResult>, now: Timestamp) {
        let mut wake = Wake::NONE;
        for BindingResult { pod, node, result } in written {
            let Err(error) = result else {
                self.notes.push(Note::Scheduled(pod, node));
                continue;
            };
            tracing::debug!(pod = %pod.name, namespace = %pod.namespace, %node, %error, "a binding was not written");
            wake |= self.give_back(&pod, error.is_not_found(), now);
        }
        self.wake(wake, now);
    }

    /// Takes back what a pod was given that isn't bound after all.
    fn give_back(&mut self, pod: &Arc<PodInfo>, gone: bool, now: Timestamp) -> Wake {
        self.prebindings.remove(&pod.uid);
        let wake = self.snapshot.forget(&pod.uid);
        if gone {
            self.leave_queue(&pod.uid, None);
            return wake;
        }
        let waits = self.queue.get(&pod.uid).cloned();
        if let Some((pod, node)) = waits.and_then(|pod| Some((pod.clone(), pod.nominated.clone()?))) {
            self.snapshot.nominations.nominate(pod, node);
        }
        self.queue.retry(&pod.uid, now);
        wake
    }

    /// What became of evictions: a victim that wasn't told to go stays, and the pod that it was to go for is tried again.
    pub fn evicted(&mut self, evicted: Vec<(Eviction, Result<(), ApiError>)>) {
        for (eviction, result) in evicted {
            match result {
                Ok(()) => self.notes.push(Note::Preempted(Box::new(eviction))),
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::debug!(victim = %eviction.victim.name, namespace = %eviction.victim.namespace, %error, "a pod was not told to go");
                    self.snapshot.spare(&eviction.victim.uid);
                    self.queue.activate(&eviction.preemptor.uid);
                }
            }
        }
    }

    /// What became of reservations: names and revisions of what was written, by the writes' order.
    pub fn reserved(&mut self, reserved: Vec<(Reservation, Vec<Result<u64, ApiError>>)>, now: Timestamp) -> SchedulerOutput {
        for (Reservation { pod, writes, .. }, results) in reserved {
            let mut failed = None;
            for (write, result) in writes.iter().zip(results) {
                match result {
                    Ok(revision) => crate::reserve::written(&mut self.snapshot.volumes, &pod.uid, write, revision),
                    Err(error) => failed = Some(error.message),
                }
            }
            self.prebindings.written(&pod.uid, failed);
        }
        self.come_about(now)
    }

    /// Bindings of the pods for which all has come about that was reserved, and what there is to say of those for which it won't.
    pub fn come_about(&mut self, now: Timestamp) -> SchedulerOutput {
        let mut output = SchedulerOutput::default();
        if self.prebindings.is_empty() {
            return output;
        }
        let (done, failed) = self.prebindings.settle(&self.snapshot, now);
        output.bindings = done;
        let mut wake = Wake::NONE;
        for (pod, why) in failed {
            wake |= self.give_back(&pod, false, now);
            let message: Arc<str> = why.into();
            let said = Refused { reason: "SchedulerError", message: &message, nominated: pod.nominated.as_ref() };
            self.write_status(&pod, refusal(&pod, &said, now), &mut output);
            self.notes.push(Note::Refused(pod, message));
        }
        self.wake(wake, now);
        output
    }
}
