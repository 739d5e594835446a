//! Why something of a pod isn't there, and why a node doesn't run a pod at all.
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;

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

/// Until when a failed pull shows as `ErrImagePull`, before it shows as `ImagePullBackOff`; `None` when that is over or it is no pull.
pub fn shown_until(trouble: &Trouble, now: Timestamp) -> Option<Timestamp> {
    let until = trouble.since.saturating_add(SignedDuration::from_secs(1)).ok()?;
    (trouble.kind == TroubleKind::ErrImagePull && until > now).then_some(until)
}
