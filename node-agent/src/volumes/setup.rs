//! What a volume is set up with, and why that fails.
use crate::downward::DownwardSource;
use crate::objects::Objects;
use jiff::Timestamp;
use state_client::Client;
use std::path::Path;

/// Why a volume isn't there: the second half of the `FailedMount` event's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VolumeError(pub String);

impl VolumeError {
    /// What went wrong at a path.
    pub fn at(path: &Path, e: &std::io::Error) -> Self {
        Self(format!("{}: {e}", path.display()))
    }
}

/// What a volume may use.
pub struct Setup<'a> {
    /// The pod's fields.
    pub view: DownwardSource<'a>,
    /// Objects that [`super::references`] named.
    pub objects: &'a Objects,
    /// For tokens.
    pub client: &'a Client,
    /// The time.
    pub now: Timestamp,
}

impl Setup<'_> {
    /// The pod's namespace.
    pub fn namespace(&self) -> &str {
        self.view.pod.metadata.namespace.as_deref().unwrap_or_default()
    }
    /// The group that may read and write the pod's volumes.
    pub fn fs_group(&self) -> Option<u32> {
        let context = crate::pod::spec(self.view.pod).security_context.as_ref()?;
        u32::try_from(context.fs_group?).ok()
    }
}
