//! What is known of a pod on this node.
use super::backoff::RestartBackoff;
use super::object::{inits, spec};
use super::op::{PodOp, Slot, StopReason};
use super::probe::{ProbeKind, ProbeState};
use super::resize::{Pending, Step, step};
use super::trouble::{Rejection, Trouble};
use crate::runtime::{Container, RunState, Sandbox};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as Spec, Pod, PodStatus, ResourceRequirements};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a pod on this node.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// When the agent first saw it.
    pub start_time: Option<Timestamp>,
    /// Its network and namespaces.
    pub sandbox: Option<Sandbox>,
    /// Whether its volumes and files are there.
    pub volumes: bool,
    /// Runs of its containers by name, oldest first.
    pub runs: BTreeMap<String, Vec<Container>>,
    /// The number that the next run of a container has when the runtime remembers none: after those whose logs are there.
    pub attempts: BTreeMap<String, u32>,
    /// What didn't work, by slot.
    pub troubles: BTreeMap<Slot, Trouble>,
    /// Restart delays by container.
    pub backoffs: BTreeMap<String, RestartBackoff>,
    /// Probes' results; an entry belongs to one run.
    pub probes: BTreeMap<(String, ProbeKind), ProbeState>,
    /// What each run has of CPU and memory, by container and attempt; of those that aren't here nothing is known.
    pub sizes: BTreeMap<(String, u32), ResourceRequirements>,
    /// Runs that are stopped, by id, so that new ones get another size.
    pub outgrown: BTreeSet<String>,
    /// Why the pod has not the size that is wanted.
    pub pending: Option<Pending>,
    /// What is being done.
    pub busy: BTreeSet<Slot>,
    /// Until when runs that are being stopped may take, by id.
    pub stopping: BTreeMap<String, Timestamp>,
    /// What containers left in their termination message, by run id.
    pub messages: BTreeMap<String, String>,
    /// Whether the object is gone from the cluster.
    pub gone: bool,
    /// Whether nothing is left on the node.
    pub released: bool,
    /// Whether the object was deleted by us.
    pub confirmed: bool,
    /// Why this node doesn't run it.
    pub rejected: Option<Rejection>,
    /// The status computed last: transition times are taken from it.
    pub reported: Option<PodStatus>,
}

impl Observed {
    /// What has to be done so that a run has its container's size.
    pub fn resize(&self, spec: &Spec, run: &Container) -> Step {
        step(spec, self.sizes.get(&(run.name.clone(), run.attempt)))
    }

    /// Containers of the pod that run and have another size than theirs.
    pub fn resizing<'a>(&self, pod: &'a Pod) -> impl Iterator<Item = &'a Spec> {
        let sized = spec(pod).containers.iter().chain(inits(pod));
        sized.filter(|c| self.newest(&c.name).is_some_and(|r| matches!(r.state, RunState::Running(_)) && self.resize(c, r) != Step::Nothing))
    }

    /// The newest run of a container.
    pub fn newest(&self, name: &str) -> Option<&Container> {
        self.runs.get(name)?.last()
    }

    /// What is known as soon as an op begins: a restart's backoff, and until when a container may take to stop.
    pub fn begins(&mut self, op: &PodOp, now: Timestamp) {
        match op {
            PodOp::Start { container, .. } => {
                if let Some(RunState::Exited(exit)) = self.newest(container).map(|r| &r.state) {
                    let next = RestartBackoff::next(self.backoffs.get(container).copied(), exit.finished, now);
                    self.backoffs.insert(container.clone(), next);
                }
            }
            PodOp::Stop { id, grace, reason, .. } => {
                if *reason == StopReason::Resized {
                    self.outgrown.insert(id.clone());
                }
                let until = now.saturating_add(SignedDuration::from_secs(*grace)).unwrap_or(now);
                self.stopping.insert(id.clone(), until);
            }
            _ => {}
        }
    }

    /// Puts a run where it belongs, in place of what was known of it.
    pub fn put(&mut self, mut run: Container) {
        let runs = self.runs.entry(run.name.clone()).or_default();
        match (&mut run.state, runs.iter().find(|r| r.id == run.id).map(|r| &r.state)) {
            // The kernel's log, which may have told it, forgets.
            (RunState::Exited(exit), Some(RunState::Exited(known))) => exit.oom |= known.oom,
            // Since when is said once: the runtime's clock reading and the agent's differ a little.
            (RunState::Running(since), Some(RunState::Running(known))) => *since = *known,
            _ => {}
        }
        // A run that could not be started looks to the runtime as if nobody had tried: it would be tried again at once, and for ever.
        if run.state == RunState::Created && runs.iter().any(|r| r.id == run.id && matches!(r.state, RunState::Exited(_))) {
            return;
        }
        runs.retain(|r| r.id != run.id);
        let at = runs.partition_point(|r| r.attempt <= run.attempt);
        runs.insert(at, run);
    }

    /// Whether a run that was just begun is known to have ended since: its end may be told before its beginning.
    pub fn has_ended(&self, id: &str) -> bool {
        self.all().any(|r| r.id == id && matches!(r.state, RunState::Exited(_)))
    }

    /// Forgets a run.
    pub fn forget(&mut self, id: &str) {
        self.outgrown.remove(id);
        let gone = self.runs.values_mut().find_map(|runs| runs.iter().position(|r| r.id == id).map(|at| runs.remove(at)));
        if let Some(gone) = gone {
            self.sizes.remove(&(gone.name, gone.attempt));
        }
        self.stopping.remove(id);
        self.messages.remove(id);
    }

    /// All runs.
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        self.runs.values().flatten()
    }

    /// Whether a container has not ended.
    pub fn any_running(&self) -> bool {
        self.all().any(|r| matches!(r.state, RunState::Running(_)))
    }

    /// Whether the run of a container has passed its startup probe, if it has one.
    pub fn started(&self, spec: &Spec) -> bool {
        let Some(run) = self.newest(&spec.name) else { return false };
        let running = matches!(run.state, RunState::Running(_)) && !self.busy.contains(&Slot::Start(spec.name.clone()));
        running && (spec.startup_probe.is_none() || self.probe(&spec.name, ProbeKind::Startup, &run.id).is_some_and(|p| p.passing))
    }

    /// Whether a container is ready.
    pub fn ready(&self, spec: &Spec) -> bool {
        let Some(run) = self.newest(&spec.name) else { return false };
        self.started(spec) && (spec.readiness_probe.is_none() || self.probe(&spec.name, ProbeKind::Readiness, &run.id).is_some_and(|p| p.passing))
    }

    /// A probe's state, if it is of this run.
    pub fn probe(&self, name: &str, kind: ProbeKind, run: &str) -> Option<&ProbeState> {
        self.probes.get(&(name.to_owned(), kind)).filter(|p| p.run == run)
    }
}
