//! A rolling update: one Deployment on paper nodes gets a new template, and every pod of it is replaced, as its strategy says by default.
use crate::api::{Api, ApiError, Events};
use crate::load::Failures;
use crate::load::kubelet::{heartbeats, kubelets};
use crate::load::pods::{View, deployment, follow};
use crate::report::{rounded, usage};
use clap::Args;
use futures::io::AsyncBufRead;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many pods.
#[derive(Args, Debug)]
pub struct Options {
    /// Pods of the Deployment
    #[arg(long, default_value_t = 1000)]
    pods: usize,
    /// Seconds after which to give up
    #[arg(long, default_value_t = 300)]
    timeout: u64,
}

/// Whether all pods are of the newest template, and available.
fn complete(deployment: &Value, pods: usize) -> bool {
    let status = &deployment["status"];
    let all = ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|count| status[count].as_u64() == Some(pods as u64));
    all && status["observedGeneration"].as_u64() >= deployment["metadata"]["generation"].as_u64()
}

/// Waits until a Deployment of at least this generation is complete; whether it came to that in time.
async fn completed<S: AsyncBufRead>(events: &mut Events<S>, generation: u64, pods: usize, patience: Duration) -> Result<bool, ApiError> {
    let deadline = tokio::time::Instant::now() + patience;
    while let Ok(event) = tokio::time::timeout_at(deadline, events.next::<Value>()).await {
        let Some(event) = event? else { break };
        let object = &event["object"];
        if object["metadata"]["generation"].as_u64() >= Some(generation) && complete(object, pods) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the Deployment, waits until it is complete, changes its template and waits again.
///
/// # Errors
/// When the namespace, the Deployment or its watch fails.
pub async fn run(api: &Api, options: &Options, pids: &[u32]) -> Result<Value, ApiError> {
    let namespace = api.namespace("rollout").await?;
    let (pods, deployments): (Arc<str>, _) =
        (format!("/api/v1/namespaces/{namespace}/pods").into(), format!("/apis/apps/v1/namespaces/{namespace}/deployments"));
    let failures = Arc::new(Failures::default());
    let (duties, inbox) = mpsc::unbounded_channel();
    let mut events = api.fresh()?.watch(&format!("{pods}?watch=true&resourceVersion=0")).await?;
    let patience = Duration::from_secs(options.timeout);
    let (for_ever, counted) = (tokio::time::Instant::now() + patience * 4, failures.clone());
    let mut helpers = tokio::task::JoinSet::new();
    helpers.spawn(kubelets(api.fresh()?, pods, inbox, failures.clone()));
    helpers.spawn(heartbeats(api.fresh()?, failures.clone()));
    helpers.spawn(async move {
        let watched = follow(&mut events, &mut View::default(), Some(&duties), for_ever, |_| false).await;
        counted.ok("the watch of pods", watched).unwrap_or_default();
    });
    let mut progress = api.fresh()?.watch(&format!("{deployments}?watch=true&resourceVersion=0")).await?;
    api.post(&deployments, &deployment("d", options.pods)).await?;
    let made = completed(&mut progress, 1, options.pods, patience).await?;

    let ((cpu_before, _), start) = (usage(pids), Instant::now());
    let template = json!({"metadata": {"annotations": {"bench/rolled": "once"}}});
    api.merge(&format!("{deployments}/d"), &json!({"spec": {"template": template}})).await?;
    let rolled = made && completed(&mut progress, 2, options.pods, patience).await?;
    let (took, (cpu_after, resident)) = (start.elapsed().as_secs_f64(), usage(pids));
    api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await?;
    Ok(json!({
        "what": "rollout", "pods": options.pods, "rolled_s": rolled.then(|| rounded(took, 3)),
        "pods_per_s": rolled.then(|| rounded(options.pods as f64 / took, 1)),
        "cpu_ms_per_pod": rolled.then(|| rounded((cpu_after - cpu_before) * 1e3 / options.pods.max(1) as f64, 2)),
        "rss_mib_at_peak": resident, "errors": failures.count(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_is_all_of_the_newest_generation() {
        let deployment = |seen: u64, updated: u64, all: u64| json!({"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "replicas": all, "updatedReplicas": updated, "availableReplicas": all}});
        for (seen, updated, all, done) in [(2, 3, 3, true), (1, 3, 3, false), (2, 2, 3, false), (2, 3, 4, false)] {
            assert_eq!(complete(&deployment(seen, updated, all), 3), done, "{seen} {updated} {all}");
        }
        assert!(!complete(&json!({"metadata": {"generation": 1}}), 3));
    }
}
