//! Ends one run of a container: preStop hook, then the stop signal, then the kill.
use super::base::Executor;
use super::hook;
use super::op::{OpContext, OpError, OpOutcome};
use crate::pod::op::StopReason;
use crate::pod::{container, full_name};
use crate::runtime::RuntimeError;
use std::time::{Duration, Instant};

/// Ends it within `grace` seconds.
pub async fn stop(executor: &Executor, job: &OpContext, name: &str, id: &str, grace: i64, reason: StopReason) -> Result<OpOutcome, OpError> {
    let began = Instant::now();
    let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
    if let Some(c) = container(&job.pod, name).as_deref() {
        let words = match reason {
            StopReason::PodEnds => format!("Stopping container {name}"),
            StopReason::Changed => format!("Container {name} definition changed, will be restarted"),
            StopReason::Resized => format!("Container {name} resize requires restart"),
            StopReason::Probe(kind) => format!("Container {name} failed {} probe, will be restarted", kind.name().to_lowercase()),
        };
        executor.recorder.container(&job.pod, c, "Killing", &words);
        if let Some(handler) = c.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref()) {
            match tokio::time::timeout(grace, hook::run(executor, job, c, id, handler)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => executor.recorder.container_warning(&job.pod, c, "FailedPreStopHook", &format!("PreStopHook failed: {why}")),
                Err(_) => tracing::info!(pod = full_name(&job.pod), container = name, "the preStop hook took the whole grace period"),
            }
        }
    }
    // After a long hook there are two more seconds, as the kubelet gives.
    let left = grace.saturating_sub(began.elapsed()).max(Duration::from_secs(2).min(grace));
    executor.runtime.stop(id, Some(left.max(Duration::from_secs(1)))).await?;
    match executor.runtime.inspect(id).await {
        Ok(run) => Ok(OpOutcome::Run(run)),
        Err(RuntimeError::NotFound(_)) => Ok(OpOutcome::Removed(id.to_owned())),
        Err(e) => Err(e.into()),
    }
}
