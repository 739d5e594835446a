//! One thing that the agent does for a pod, and what it occupies until it is done.
use super::probe::ProbeKind;

/// Something that can be done once at a time; a [`PodOp`] occupies its slot until it is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Making or removing the sandbox.
    Sandbox,
    /// Setting volumes up.
    Volumes,
    /// Starting a container, by its name.
    Start(String),
    /// Changing the size of a container's run, by its name.
    Resize(String),
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

/// Why a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The pod ends.
    PodEnds,
    /// Its definition changed.
    Changed,
    /// It gets another size by a new run.
    Resized,
    /// A probe says that it must be restarted.
    Probe(ProbeKind),
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodOp {
    /// Set volumes and files up.
    Volumes,
    /// Make the sandbox.
    CreateSandbox,
    /// Fetch the image if needed, create and start a run, run its postStart hook.
    Start {
        /// Which container.
        container: String,
        /// Which run.
        attempt: u32,
    },
    /// Run the preStop hook, then stop.
    Stop {
        /// Which container.
        container: String,
        /// Which run.
        id: String,
        /// Seconds for both.
        grace: i64,
        /// Why.
        reason: StopReason,
    },
    /// Give a run its container's size while it runs.
    Resize {
        /// Which container.
        container: String,
        /// Which run.
        id: String,
    },
    /// Kill what is being stopped: its time was shortened.
    Kill {
        /// Which run.
        id: String,
    },
    /// Remove a run that has ended or never began.
    Remove {
        /// Which run.
        id: String,
    },
    /// Try a probe.
    Probe {
        /// Of which container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
        /// Of which run.
        id: String,
    },
    /// Take the network and the namespaces away.
    RemoveSandbox,
    /// Take volumes and files away.
    Release,
    /// Delete the object: nothing of the pod is left here.
    Confirm,
}

impl PodOp {
    /// What it occupies.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Volumes => Slot::Volumes,
            Self::CreateSandbox | Self::RemoveSandbox => Slot::Sandbox,
            Self::Start { container, .. } => Slot::Start(container.clone()),
            Self::Stop { id, .. } => Slot::Stop(id.clone()),
            Self::Resize { container, .. } => Slot::Resize(container.clone()),
            Self::Kill { id } => Slot::Kill(id.clone()),
            Self::Remove { id } => Slot::Remove(id.clone()),
            Self::Probe { container, kind, .. } => Slot::Probe(container.clone(), *kind),
            Self::Release | Self::Confirm => Slot::End,
        }
    }
}
