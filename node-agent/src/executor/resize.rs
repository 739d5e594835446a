//! Gives a container's run another size while it runs.
use super::base::Executor;
use super::op::{OpContext, OpError, OpOutcome};
use crate::pod::TroubleKind;

/// Changes what the run may use. Less memory than it has in use would have the kernel end it.
pub async fn apply(executor: &Executor, job: &OpContext, name: &str, id: &str) -> Result<OpOutcome, OpError> {
    let failed = |why: String| OpError(TroubleKind::Failed, why);
    let (Some(c), Some(run)) = (crate::pod::container(&job.pod, name), job.seen.newest(name)) else {
        return Err(failed(format!("the pod has no container {name}")));
    };
    let limits = crate::resources::limits(&job.pod, &c, executor.node.memory);
    if let (Some(limit), Some(used)) = (limits.memory, executor.runtime.memory(id).await?)
        && used > limit
    {
        return Err(failed(format!("attempting to set container {name:?} memory limit ({limit}) below current usage ({used})")));
    }
    // the score by which the kernel chooses whom to end stays that of the run's beginning
    executor.runtime.limit(id, &limits).await?;
    Ok(OpOutcome::Resized { container: name.to_owned(), attempt: run.attempt, size: c.resources.clone().unwrap_or_default() })
}
