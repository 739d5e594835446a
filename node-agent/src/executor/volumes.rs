//! Sets a pod's volumes up, one after the other.
use super::base::Executor;
use super::op::{OpContext, OpError, OpOutcome};
use crate::objects::{Objects, RefKey};
use crate::pod::TroubleKind;
use crate::volumes::{self, Place, Setup, claim};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Volume;
use model::Stored;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sets up, or brings up to date, what the pod has of volumes.
pub async fn set_up(executor: &Executor, job: &OpContext) -> Result<OpOutcome, OpError> {
    let mut refresh: Option<Timestamp> = None;
    if !executor.runtime.uses_files() {
        return Ok(OpOutcome::Volumes(None));
    }
    let uid = job.pod_ref().uid;
    let failed = |why: String| OpError(TroubleKind::FailedMount, why);
    let objects = executor.references.get(&uid, volumes::references(&job.pod)).await.map_err(|e| failed(e.to_string()))?;
    let ips = executor.pod_ips(job);
    let all = crate::pod::spec(&job.pod).volumes.as_deref().unwrap_or_default();
    volumes::distinct(all).map_err(|e| failed(e.to_string()))?;
    let directories = executor.directories();
    let place = Place { node: &executor.node.name, pods: &executor.pods, directories: &directories, admission: &executor.admission };
    let claimed = claimed(executor, job, all, &objects).await?;
    let setup = Setup { view: executor.view(job, &ips), objects: &objects, client: &executor.client, now: Timestamp::now(), claimed, place };
    for volume in all {
        // what a claim gave once stays, whatever becomes of the claim
        if job.seen.volumes && claim::key(&job.pod, volume).is_some() {
            continue;
        }
        match volumes::set_up(&setup, &executor.dir(&uid), volume).await {
            Ok(again) => refresh = [refresh, again].into_iter().flatten().min(),
            Err(e) => return Err(tell(executor, job, format!("MountVolume.SetUp failed for volume \"{}\" : {e}", shown(&setup, volume)))),
        }
    }
    Ok(OpOutcome::Volumes(refresh))
}

fn tell(executor: &Executor, job: &OpContext, message: String) -> OpError {
    executor.recorder.warning(&job.subject(), "FailedMount", &message);
    OpError(TroubleKind::FailedMount, message)
}

/// A volume as the kubelet names it: one of a claim by its own name.
fn shown<'a>(setup: &'a Setup<'_>, volume: &'a Volume) -> &'a str {
    setup.claimed.get(&volume.name).map_or(volume.name.as_str(), |stored| &*stored.key.name)
}

/// The volumes that the pod's claims are bound to, by the names of the pod's own volumes.
async fn claimed(executor: &Executor, job: &OpContext, all: &[Volume], objects: &Objects) -> Result<BTreeMap<String, Arc<Stored>>, OpError> {
    if job.seen.volumes {
        return Ok(BTreeMap::new());
    }
    let unprocessed = |volume: &str, why: String| {
        let message = format!(
            "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[{volume}], failed to process volumes=[{volume}]: {why}"
        );
        tell(executor, job, message)
    };
    let mut wanted = Vec::new();
    for (volume, (claim, own)) in all.iter().filter_map(|volume| Some((volume, claim::key(&job.pod, volume)?))) {
        let bound = claim::volume_of(&job.pod, &claim, own, objects).map_err(|why| unprocessed(&volume.name, why))?;
        wanted.push((volume, claim, bound));
    }
    // asked for together with the claims: a claim and its volume name each other
    let keys: Vec<RefKey> = wanted.iter().flat_map(|(_, claim, bound)| [claim.clone(), bound.clone()]).collect();
    let found = executor.references.get(&job.pod_ref().uid, keys).await.map_err(|e| OpError(TroubleKind::FailedMount, e.to_string()))?;
    let mut claimed = BTreeMap::new();
    for (volume, claim, bound) in wanted {
        let stored = claim::checked(&claim, &bound, &found).map_err(|why| unprocessed(&volume.name, why))?;
        claimed.insert(volume.name.clone(), stored);
    }
    Ok(claimed)
}
