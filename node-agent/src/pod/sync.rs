//! Decides what to do next for a pod: a pure function of the desired object, what is observed, and the time.
use super::life::{Life, begun, deadline};
use super::object::{RestartPolicy, ephemerals, init_policy, inits, is_made_from, is_sidecar, restart_policy, restarts, spec};
use super::observed::Observed;
pub use super::op::PodOp;
use super::op::{Slot, StopReason};
use super::probe::{ProbeKind, ProbeState};
use super::resize::Step;
use super::trouble::{TroubleKind, shown_until};
use crate::runtime::{Container, Exit, RunState};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as Spec, Pod};

/// The kubelet gives at least this much, even to a forced deletion.
pub const GRACE_MIN: i64 = 2;

/// What to do now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// In no particular order; none of them occupies a slot that is busy.
    pub ops: Vec<PodOp>,
    /// When something becomes due that no event will tell.
    pub wake: Option<Timestamp>,
    /// Containers that wait before they are tried again.
    pub waiting: Vec<Waiting>,
}

/// A container that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub container: String,
    /// Until when.
    pub until: Timestamp,
    /// Whether for its image; otherwise for its restart.
    pub pull: bool,
}

struct Planner<'a> {
    pod: &'a Pod,
    seen: &'a Observed,
    now: Timestamp,
    plan: SyncPlan,
}

/// Decides.
pub fn sync(pod: &Pod, seen: &Observed, now: Timestamp) -> SyncPlan {
    let mut planner = Planner { pod, seen, now, plan: SyncPlan::default() };
    match Life::of(pod, seen, now) {
        Life::Leaving => planner.leave(),
        Life::Failing(_) | Life::Over => planner.finish(),
        Life::Lives => planner.live(),
    }
    planner.plan
}

impl Planner<'_> {
    fn push(&mut self, op: PodOp) {
        let slot = op.slot();
        if self.seen.busy.contains(&slot) {
            return;
        }
        match self.seen.troubles.get(&slot).map(|t| t.retry) {
            Some(retry) if retry > self.now => self.wake(retry),
            _ => self.plan.ops.push(op),
        }
    }

    fn wake(&mut self, at: Timestamp) {
        self.plan.wake = Some(self.plan.wake.map_or(at, |w| w.min(at)));
    }

    /// The object is being deleted: stop, remove, release, confirm.
    fn leave(&mut self) {
        if !self.stopped() {
            return;
        }
        let runs: Vec<String> = self.seen.all().map(|r| r.id.clone()).collect();
        if !runs.is_empty() {
            runs.into_iter().for_each(|id| self.push(PodOp::Remove { id }));
        } else if self.seen.sandbox.is_some() {
            self.push(PodOp::RemoveSandbox);
        } else if !self.seen.released {
            self.push(PodOp::Release);
        } else if !self.seen.gone && !self.seen.confirmed {
            self.push(PodOp::Confirm);
        }
    }

    /// The pod has ended but its object stays: its containers too, for their logs.
    fn finish(&mut self) {
        if self.stopped() && self.seen.sandbox.is_some() {
            self.push(PodOp::RemoveSandbox);
        }
    }

    /// Stops what runs, sidecars last and in reverse order; whether nothing runs and nothing is being started.
    fn stopped(&mut self) -> bool {
        let grace = grace(self.pod, self.seen);
        let pod = self.pod;
        let running: Vec<&Container> = self.seen.all().filter(|r| matches!(r.state, RunState::Running(_))).collect();
        let sidecar = |r: &Container| inits(pod).iter().position(|c| is_sidecar(c) && c.name == r.name);
        let main: Vec<&Container> = running.iter().copied().filter(|r| sidecar(r).is_none()).collect();
        let next: Vec<&Container> = if main.is_empty() { running.iter().copied().max_by_key(|r| sidecar(r)).into_iter().collect() } else { main };
        for run in next {
            self.stop(run, grace, StopReason::PodEnds);
        }
        let starting = self.seen.busy.iter().any(|s| matches!(s, Slot::Start(_) | Slot::Sandbox | Slot::Volumes | Slot::Stop(_) | Slot::Remove(_)));
        running.is_empty() && !starting
    }

    fn stop(&mut self, run: &Container, grace: i64, reason: StopReason) {
        let until = self.now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(self.now);
        match self.seen.stopping.get(&run.id) {
            None => self.push(PodOp::Stop { container: run.name.clone(), id: run.id.clone(), grace, reason }),
            Some(deadline) if until.saturating_add(SignedDuration::from_secs(1)).unwrap_or(until) < *deadline && reason == StopReason::PodEnds => {
                if grace <= GRACE_MIN || self.asked_grace_is_over() {
                    self.push(PodOp::Kill { id: run.id.clone() });
                }
            }
            Some(_) => {}
        }
    }

    fn asked_grace_is_over(&self) -> bool {
        self.pod.metadata.deletion_timestamp.as_ref().is_some_and(|t| t.0 <= self.now)
    }

    fn live(&mut self) {
        if !self.seen.volumes {
            self.push(PodOp::Volumes);
        }
        if self.seen.sandbox.is_none() {
            self.push(PodOp::CreateSandbox);
        }
        if let Some(deadline) = deadline(self.pod, self.seen) {
            self.wake(deadline);
        }
        if self.seen.volumes && self.seen.sandbox.is_some() {
            let pod = self.pod;
            ephemerals(pod).iter().for_each(|c| self.ephemeral(&c.name));
            if self.initialized() {
                spec(pod).containers.iter().for_each(|c| self.container(c, restart_policy(pod)));
            }
        }
        self.collect_garbage();
        self.changes_of_trouble();
    }

    /// Moves the init containers on; whether the others may run.
    fn initialized(&mut self) -> bool {
        let pod = self.pod;
        for init in inits(pod) {
            let newest = self.seen.newest(&init.name);
            if is_sidecar(init) {
                self.container(init, RestartPolicy::Always);
                if !self.seen.started(init) && !self.has_begun() {
                    return false;
                }
            } else if !newest.is_some_and(|r| self.completed(r)) {
                self.container(init, init_policy(pod, init));
                return false;
            }
        }
        true
    }

    /// Whether an app container was ever started in this sandbox: a sidecar that fails later doesn't stop the others.
    fn has_begun(&self) -> bool {
        spec(self.pod).containers.iter().any(|c| self.seen.newest(&c.name).is_some_and(|r| self.of_this_sandbox(r)))
    }

    fn of_this_sandbox(&self, run: &Container) -> bool {
        self.seen.sandbox.as_ref().is_some_and(|s| s.id == run.sandbox)
    }

    fn completed(&self, run: &Container) -> bool {
        self.of_this_sandbox(run) && matches!(&run.state, RunState::Exited(exit) if exit.code == 0)
    }

    /// Starts an ephemeral container, once, whatever became of the pod's other ones.
    fn ephemeral(&mut self, name: &str) {
        match self.seen.newest(name) {
            None if begun(self.pod, self.seen, name).is_none() => self.push(PodOp::Start { container: name.to_owned(), attempt: 0 }),
            Some(run) if run.state == RunState::Created && !self.seen.busy.contains(&Slot::Start(name.to_owned())) => {
                self.push(PodOp::Remove { id: run.id.clone() });
            }
            Some(run) if matches!(run.state, RunState::Running(_)) && !self.of_this_sandbox(run) => {
                self.stop(run, grace(self.pod, self.seen), StopReason::Changed);
            }
            _ => {}
        }
    }

    fn container(&mut self, container: &Spec, policy: RestartPolicy) {
        let Some(run) = self.seen.newest(&container.name) else {
            let attempt = self.seen.attempts.get(&container.name).copied().unwrap_or_default();
            return self.push(PodOp::Start { container: container.name.clone(), attempt });
        };
        match &run.state {
            RunState::Created if self.seen.busy.contains(&Slot::Start(container.name.clone())) => {}
            RunState::Created => self.push(PodOp::Remove { id: run.id.clone() }),
            RunState::Running(_) if !is_made_from(run, container) || !self.of_this_sandbox(run) => {
                self.stop(run, grace(self.pod, self.seen), StopReason::Changed);
            }
            RunState::Running(started) => match self.seen.resize(container, run) {
                Step::Restart => self.stop(run, grace(self.pod, self.seen), StopReason::Resized),
                step => {
                    if step == Step::Apply {
                        self.push(PodOp::Resize { container: container.name.clone(), id: run.id.clone() });
                    }
                    self.probes(container, run, *started);
                }
            },
            RunState::Exited(exit) => self.ended(container, run, exit, policy),
        }
    }

    fn ended(&mut self, container: &Spec, run: &Container, exit: &Exit, policy: RestartPolicy) {
        // A new sandbox, or a new definition, runs an init container again, whatever became of the old run.
        let changed = !is_made_from(run, container) || self.seen.outgrown.contains(&run.id);
        let stale = changed || (!self.of_this_sandbox(run) && policy != RestartPolicy::Never);
        if !stale && !restarts(policy, exit.code) {
            return;
        }
        let start = PodOp::Start { container: container.name.clone(), attempt: run.attempt.saturating_add(1) };
        match self.seen.backoffs.get(&container.name).and_then(|b| b.until(exit.finished)) {
            Some(until) if until > self.now && !stale => {
                self.wake(until);
                self.plan.waiting.push(Waiting { container: container.name.clone(), until, pull: false });
            }
            _ => self.push(start),
        }
    }

    fn probes(&mut self, container: &Spec, run: &Container, started: Timestamp) {
        if self.seen.busy.contains(&Slot::Start(container.name.clone())) {
            return; // the postStart hook hasn't ended
        }
        let begun = self.seen.started(container);
        for kind in ProbeKind::ALL {
            let Some(probe) = kind.of(container) else { continue };
            if (kind == ProbeKind::Startup) == begun {
                continue; // startup until it passes, the others after
            }
            let fresh = || ProbeState::new(&run.id, kind, probe, started);
            let state = self.seen.probe(&container.name, kind, &run.id).cloned().unwrap_or_else(fresh);
            if state.failed && kind != ProbeKind::Readiness {
                let grace = probe.termination_grace_period_seconds.unwrap_or_else(|| grace(self.pod, self.seen));
                self.stop(run, grace, StopReason::Probe(kind));
            } else if state.due > self.now {
                self.wake(state.due);
            } else {
                self.push(PodOp::Probe { container: container.name.clone(), kind, id: run.id.clone() });
            }
        }
    }

    /// Of each container the newest run stays and the one before it, which `kubectl logs -p` shows.
    fn collect_garbage(&mut self) {
        let old = |runs: &Vec<Container>| -> Vec<String> {
            let ended = runs.iter().rev().skip(2).filter(|r| !matches!(r.state, RunState::Running(_)));
            ended.map(|r| r.id.clone()).collect()
        };
        let ids: Vec<String> = self.seen.runs.values().flat_map(old).collect();
        ids.into_iter().for_each(|id| self.push(PodOp::Remove { id }));
    }

    /// A pull's failure shows as such at first, then as the waiting that follows.
    fn changes_of_trouble(&mut self) {
        let shown: Vec<Timestamp> = self.seen.troubles.values().filter_map(|t| shown_until(t, self.now)).collect();
        shown.into_iter().for_each(|at| self.wake(at));
        for (slot, trouble) in &self.seen.troubles {
            if let Slot::Start(container) = slot
                && trouble.kind == TroubleKind::ErrImagePull
                && shown_until(trouble, self.now).is_none()
                && trouble.retry > self.now
            {
                self.plan.waiting.push(Waiting { container: container.clone(), until: trouble.retry, pull: true });
            }
        }
    }
}

/// Seconds that containers get to end.
pub fn grace(pod: &Pod, seen: &Observed) -> i64 {
    let own = spec(pod).termination_grace_period_seconds.unwrap_or(30);
    let asked = match pod.metadata.deletion_grace_period_seconds {
        Some(seconds) => seconds,
        None if seen.gone => 0,
        None => own,
    };
    asked.max(GRACE_MIN)
}
