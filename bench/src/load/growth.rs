//! The same pods on few nodes and on many: what more nodes add to the cost of a pod.
use super::fleet::{Fleet, FleetError};
use crate::report::rounded;
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many.
#[derive(Args, Debug)]
pub struct Options {
    /// The binary that is measured
    #[arg(long)]
    whalesong: PathBuf,
    /// Simulated nodes, few
    #[arg(long, default_value_t = 100)]
    few: usize,
    /// Simulated nodes, many
    #[arg(long, default_value_t = 10_000)]
    many: usize,
    /// Pods
    #[arg(long, default_value_t = 5_000)]
    pods: usize,
}

/// How long the cluster is looked at before the pods come.
const REST: Duration = Duration::from_secs(20);

/// What pods cost on so many nodes, beyond what the nodes cost at rest.
async fn on(whalesong: &Path, nodes: usize, pods: usize) -> Result<Value, FleetError> {
    let fleet = Fleet::start(whalesong, nodes, &[]).await?;
    let first = fleet.used();
    tokio::time::sleep(REST).await;
    let (before, start) = (fleet.used(), Instant::now());
    fleet.run_pods(pods, 300).await?;
    let (after, seconds) = (fleet.used(), start.elapsed().as_secs_f64());
    let rest = before.server_cores(&first);
    let cpu = after.server_since(&before);
    Ok(json!({
        "nodes": nodes, "rest_cores": rounded(rest, 3), "pods_per_s": rounded(pods as f64 / seconds, 1),
        "cpu_ms_per_pod": rounded((cpu - rest * seconds) * 1e3 / pods.max(1) as f64, 3), "with_rest_ms_per_pod": rounded(cpu * 1e3 / pods.max(1) as f64, 3),
    }))
}

/// Runs both, one after the other.
///
/// # Errors
/// When a cluster, its nodes or its pods don't come up.
pub async fn run(options: &Options) -> Result<Value, FleetError> {
    let few = on(&options.whalesong, options.few, options.pods).await?;
    let many = on(&options.whalesong, options.many, options.pods).await?;
    let cost = |line: &Value| line["cpu_ms_per_pod"].as_f64().unwrap_or_default();
    Ok(json!({"what": "growth", "pods": options.pods, "few": few, "many": many, "times": rounded(cost(&many) / cost(&few), 2)}))
}
