//! The container whose processes an ephemeral one sees.
use super::base::Executor;
use super::op::{OpContext, OpError};
use crate::pod::{TroubleKind, ephemerals};
use crate::runtime::RunState;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

/// The namespace of the target's processes; none for a container without a target.
pub async fn processes(executor: &Executor, job: &OpContext, name: &str) -> Result<Option<OwnedFd>, OpError> {
    let asked = ephemerals(&job.pod).iter().find(|c| c.name == name).and_then(|c| c.target_container_name.as_deref());
    let Some(target) = asked.filter(|target| !target.is_empty()) else { return Ok(None) };
    let absent = || OpError(TroubleKind::CreateContainerConfigError, format!("unable to find target container {target:?}"));
    let run = job.seen.newest(target).filter(|run| matches!(run.state, RunState::Running(_))).ok_or_else(absent)?;
    executor.runtime.process_namespace(&run.id).await.map_err(|e| OpError(TroubleKind::CreateContainerError, e.to_string()))
}

/// Where the runtime finds a namespace that is held here.
pub fn path(held: &OwnedFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), held.as_raw_fd()).into()
}
