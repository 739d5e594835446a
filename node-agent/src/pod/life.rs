//! Where a pod is in its life: whether its containers are to run, to be stopped, or have ended for good.
use super::object::{init_policy, inits, restart_policy, restarts, spec};
use super::observed::Observed;
use super::op::Slot;
use crate::runtime::{Exit, RunState};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as Spec, ContainerStatus, Pod, PodStatus};

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its containers are to run.
    Lives,
    /// It ran longer than it may: stop it.
    Failing(Failure),
    /// Its containers have ended for good.
    Over,
    /// Its object is being deleted, or gone.
    Leaving,
}

/// Why a pod fails as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `activeDeadlineSeconds`.
    DeadlineExceeded,
    /// The node doesn't run it: [`Observed::rejected`] says why.
    Rejected,
}

impl Life {
    /// Decides.
    pub fn of(pod: &Pod, seen: &Observed, now: Timestamp) -> Self {
        if seen.gone || pod.metadata.deletion_timestamp.is_some() {
            return Self::Leaving;
        }
        if was_over(pod) || is_over(pod, seen) {
            return Self::Over;
        }
        if seen.rejected.is_some() {
            return Self::Failing(Failure::Rejected);
        }
        match deadline(pod, seen) {
            Some(at) if at <= now => Self::Failing(Failure::DeadlineExceeded),
            _ => Self::Lives,
        }
    }
}

/// Whether the cluster knows that the pod has ended: it never runs again.
pub fn was_over(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(says_over)
}

/// Whether a status says that its pod has ended.
pub fn says_over(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// Whether all containers have ended, and none is started again.
fn is_over(pod: &Pod, seen: &Observed) -> bool {
    if inits(pod).iter().any(|c| init_failed(pod, seen, c)) {
        return true;
    }
    let policy = restart_policy(pod);
    let containers = &spec(pod).containers;
    !containers.is_empty() && containers.iter().all(|c| exit_of(seen, c).is_some_and(|e| !restarts(policy, e.code)))
}

/// Whether an init container has failed for good.
pub fn init_failed(pod: &Pod, seen: &Observed, container: &Spec) -> bool {
    exit_of(seen, container).is_some_and(|e| e.code != 0 && !restarts(init_policy(pod, container), e.code))
}

fn exit_of<'a>(seen: &'a Observed, container: &Spec) -> Option<&'a Exit> {
    let run = seen.newest(&container.name).filter(|run| !seen.outgrown.contains(&run.id))?;
    match &run.state {
        RunState::Exited(exit) if !seen.busy.contains(&Slot::Start(container.name.clone())) => Some(exit),
        _ => None,
    }
}

/// What was said of an ephemeral container that has begun: it never begins again, though nothing of it may be here any more.
pub fn begun<'a>(pod: &'a Pod, seen: &'a Observed, name: &str) -> Option<&'a ContainerStatus> {
    let said = seen.reported.as_ref().or(pod.status.as_ref())?.ephemeral_container_statuses.iter().flatten();
    said.filter(|s| s.state.as_ref().is_some_and(|s| s.running.is_some() || s.terminated.is_some())).find(|s| s.name == name)
}

/// When `activeDeadlineSeconds` is over.
pub fn deadline(pod: &Pod, seen: &Observed) -> Option<Timestamp> {
    let seconds = spec(pod).active_deadline_seconds?;
    seen.start_time?.saturating_add(SignedDuration::from_secs(seconds)).ok()
}
