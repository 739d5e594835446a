//! A pod as the agent sees it: what is wanted (the object), what is there ([`Observed`]), and pure functions between them.
pub mod backoff;
pub mod probe;
pub mod status;
pub mod sync;
#[cfg(test)]
mod tests;

use crate::runtime::{Container, RunState, Sandbox};
use backoff::Backoff;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as Spec, Pod, PodSpec, PodStatus};
use probe::{ProbeKind, ProbeState};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use sync::PodOp;

/// Something that can be done once at a time; an [`sync::Op`] occupies its slot until it is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Making or removing the sandbox.
    Sandbox,
    /// Setting volumes up.
    Volumes,
    /// Starting a container, by its name.
    Start(String),
    /// Stopping a run, by its id.
    Stop(String),
    /// Killing a run that is being stopped, by its id.
    Kill(String),
    /// Removing a run, by its id.
    Remove(String),
    /// A container's probe.
    Probe(String, ProbeKind),
    /// Removing what is left of the pod, and the object.
    End,
}

/// Why something isn't there yet, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// The `waiting` state's message.
    pub message: String,
    /// How often in a row.
    pub failures: u32,
    /// Since when (the last failure).
    pub since: Timestamp,
    /// When it is tried again.
    pub retry: Timestamp,
}

/// The kinds of trouble, in the kubelet's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// The registry said no, or didn't answer.
    ErrImagePull,
    /// `imagePullPolicy: Never` and no image.
    ErrImageNeverPull,
    /// Not a reference.
    InvalidImageName,
    /// A referenced ConfigMap, Secret or field is missing.
    CreateContainerConfigError,
    /// The runtime refused to create it.
    CreateContainerError,
    /// The sandbox could not be made.
    FailedCreatePodSandBox,
    /// A volume could not be set up.
    FailedMount,
    /// Anything else of the executor.
    Failed,
}

impl TroubleKind {
    /// Whether an object that comes, or changes, may be what is missing.
    pub fn may_lack_an_object(self) -> bool {
        matches!(self, Self::CreateContainerConfigError | Self::FailedMount | Self::ErrImagePull)
    }

    /// The reason, as statuses and events show it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ErrImagePull => "ErrImagePull",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::InvalidImageName => "InvalidImageName",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::CreateContainerError => "CreateContainerError",
            Self::FailedCreatePodSandBox => "FailedCreatePodSandBox",
            Self::FailedMount => "FailedMount",
            Self::Failed => "Failed",
        }
    }
}

/// Why a node doesn't run a pod that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, as statuses and events show it.
    pub reason: Cow<'static, str>,
    /// In the kubelet's words.
    pub message: String,
}

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
    pub backoffs: BTreeMap<String, Backoff>,
    /// Probes' results; an entry belongs to one run.
    pub probes: BTreeMap<(String, ProbeKind), ProbeState>,
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
    /// The newest run of a container.
    pub fn newest(&self, name: &str) -> Option<&Container> {
        self.runs.get(name)?.last()
    }

    /// What is known as soon as an op begins: a restart's backoff, and until when a container may take to stop.
    pub fn begins(&mut self, op: &PodOp, now: Timestamp) {
        match op {
            PodOp::Start { container, .. } => {
                if let Some(RunState::Exited(exit)) = self.newest(container).map(|r| &r.state) {
                    let next = Backoff::next(self.backoffs.get(container).copied(), exit.finished, now);
                    self.backoffs.insert(container.clone(), next);
                }
            }
            PodOp::Stop { id, grace, .. } => {
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
        for runs in self.runs.values_mut() {
            runs.retain(|r| r.id != id);
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

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever the exit code.
    Always,
    /// Unless the exit code is 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// A pod's spec; an empty one for an object that has none.
pub fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
    pod.spec.as_ref().unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
}

/// The pod's own restart policy.
pub fn restart_policy(pod: &Pod) -> RestartPolicy {
    match spec(pod).restart_policy.as_deref() {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

/// Init containers, in order.
pub fn inits(pod: &Pod) -> &[Spec] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// Whether an init container goes on beside the others.
pub fn is_sidecar(container: &Spec) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// A container of the pod by its name, init containers included.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Spec> {
    spec(pod).containers.iter().chain(inits(pod)).find(|c| c.name == name)
}

/// The restart policy of an init container: a sidecar's is Always, and Always for the pod means OnFailure for the others.
pub fn init_policy(pod: &Pod, container: &Spec) -> RestartPolicy {
    match restart_policy(pod) {
        _ if is_sidecar(container) => RestartPolicy::Always,
        RestartPolicy::Never => RestartPolicy::Never,
        RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::OnFailure,
    }
}

/// `name_namespace(uid)`, as messages of the kubelet name a pod.
pub fn full_name(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    format!("{}_{}({})", text(&meta.name), text(&meta.namespace), text(&meta.uid))
}

/// Hash of what makes a container another one when it changes.
pub fn container_hash(container: &Spec) -> String {
    use sha2::{Digest, Sha256};
    let json = serde_json::to_vec(container).unwrap_or_default();
    Sha256::digest(&json).iter().take(8).map(|b| format!("{b:02x}")).collect()
}
