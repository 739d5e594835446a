//! What a volume is set up with, and why that fails.
use crate::admission::Allocations;
use crate::downward::DownwardSource;
use crate::objects::Objects;
use jiff::Timestamp;
use model::Stored;
use state_client::Client;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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

/// Work that waits for a disk, which may be somebody else's: nobody else's work waits with it.
///
/// # Errors
/// Those of the work.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, VolumeError> + Send + 'static) -> Result<T, VolumeError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(VolumeError(e.to_string())))
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
    /// The volumes that the pod's claims are bound to, by the names of the pod's own volumes.
    pub claimed: BTreeMap<String, Arc<Stored>>,
    /// The node.
    pub place: Place<'a>,
}

/// Where volumes are set up.
pub struct Place<'a> {
    /// The node's name.
    pub node: &'a str,
    /// A directory a pod below this one.
    pub pods: &'a Path,
    /// Where the directories of volumes are.
    pub directories: &'a Path,
    /// What is known of the node's labels.
    pub admission: &'a Allocations,
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
    /// Whether a volume whose root is that group's is left as it is.
    pub fn gives_on_mismatch(&self) -> bool {
        let context = crate::pod::spec(self.view.pod).security_context.as_ref();
        context.and_then(|context| context.fs_group_change_policy.as_deref()) == Some("OnRootMismatch")
    }
}
