//! Removes what has ended: a run with its files, what is left of a pod on the node, and at last the pod's object.
use super::base::Executor;
use super::log_files::log_files;
use super::op::{OpContext, OpError, OpOutcome};
use super::paths::{log_path, message_path};
use super::start_error;
use crate::pod::TroubleKind;
use crate::runtime::PodRef;
use state_client::{Request, Verb};

/// Removes a run that has ended, with its files.
pub async fn run(executor: &Executor, job: &OpContext, id: &str) -> Result<OpOutcome, OpError> {
    executor.runtime.remove(id).await?;
    if let Some(run) = job.seen.all().find(|r| r.id == id).filter(|_| executor.runtime.uses_files()) {
        let dir = executor.dir(&run.pod.uid);
        let logs = log_files(&log_path(&dir, &run.name, run.attempt));
        let others = [message_path, start_error::path].map(|path| path(&dir, &run.name, run.attempt));
        for path in logs.into_iter().chain(others) {
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::debug!(path = %path.display(), %error, "a run left no such file");
            }
        }
    }
    Ok(OpOutcome::Removed(id.to_owned()))
}

/// Takes away what is left of a pod on the node.
pub async fn release(executor: &Executor, uid: &str) -> Result<OpOutcome, OpError> {
    if !executor.runtime.uses_files() {
        return Ok(OpOutcome::Released);
    }
    executor.references.forget(uid);
    crate::volumes::release(executor.dir(uid)).await.map_err(|e| OpError(TroubleKind::Failed, e.0))?;
    Ok(OpOutcome::Released)
}

/// Deletes a pod's object, of which nothing is left here.
pub async fn object(executor: &Executor, pod: &PodRef) -> Result<OpOutcome, OpError> {
    let mut request = Request::new(Verb::Delete, "", "pods", &pod.namespace, &pod.name);
    request.options.grace_period_seconds = Some(0);
    request.options.precondition_uid = pod.uid.clone();
    match executor.client.call(request).await {
        Ok(_) => Ok(OpOutcome::Confirmed),
        Err(e) if e.is_not_found() || e.is_conflict() => Ok(OpOutcome::Confirmed),
        Err(e) => Err(OpError(TroubleKind::Failed, e.to_string())),
    }
}
