//! Sets a pod's volumes up, one after the other.
use super::base::Executor;
use super::op::{OpContext, OpError, OpOutcome};
use crate::pod::TroubleKind;
use jiff::Timestamp;

/// Sets up, or brings up to date, what the pod has of volumes.
pub async fn set_up(executor: &Executor, job: &OpContext) -> Result<OpOutcome, OpError> {
    let mut refresh: Option<Timestamp> = None;
    if !executor.runtime.uses_files() {
        return Ok(OpOutcome::Volumes(None));
    }
    let uid = job.pod_ref().uid;
    let failed = |why: String| OpError(TroubleKind::FailedMount, why);
    let objects = executor.references.get(&uid, crate::volumes::references(&job.pod)).await.map_err(|e| failed(e.to_string()))?;
    let ips = executor.pod_ips(job);
    let setup = crate::volumes::Setup { view: executor.view(job, &ips), objects: &objects, client: &executor.client, now: Timestamp::now() };
    let volumes = crate::pod::spec(&job.pod).volumes.as_deref().unwrap_or_default();
    crate::volumes::distinct(volumes).map_err(|e| failed(e.to_string()))?;
    for volume in volumes {
        match crate::volumes::set_up(&setup, &executor.dir(&uid), volume).await {
            Ok(again) => refresh = [refresh, again].into_iter().flatten().min(),
            Err(e) => {
                let message = format!("MountVolume.SetUp failed for volume \"{}\" : {e}", volume.name);
                executor.recorder.warning(&job.subject(), "FailedMount", &message);
                return Err(failed(message));
            }
        }
    }
    Ok(OpOutcome::Volumes(refresh))
}
