//! Many nodes, and pods on them, at rest: what that costs, and how quickly the API answers meanwhile.
use super::fleet::{Fleet, FleetError, PODS, count, probe, ready};
use crate::report::rounded;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How many.
#[derive(Args, Debug)]
pub struct Options {
    /// The binary that is measured
    #[arg(long)]
    whalesong: PathBuf,
    /// Simulated nodes
    #[arg(long, default_value_t = 10_000)]
    nodes: usize,
    /// Pods on them
    #[arg(long, default_value_t = 0)]
    pods: usize,
    /// Seconds to look at it
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds to let it settle before
    #[arg(long, default_value_t = 20)]
    settle: u64,
}

/// Makes the nodes and pods, lets them settle, and measures.
///
/// # Errors
/// When the cluster, the nodes or the pods don't come up.
pub async fn run(options: &Options) -> Result<Value, FleetError> {
    let fleet = Fleet::start(&options.whalesong, options.nodes, &[]).await?;
    let empty = fleet.used();
    fleet.run_pods(options.pods, 300).await?;
    let full = fleet.used();
    // how long is part of what is measured, not a guess at when something has happened: at rest is what it is after the making
    tokio::time::sleep(Duration::from_secs(options.settle)).await;
    let before = fleet.used();
    let (latency, errors) = probe(&fleet.api, tokio::time::sleep(Duration::from_secs(options.seconds))).await;
    let after = fleet.used();
    let per_pod = |x: f64| (options.pods > 0).then(|| rounded(x / options.pods as f64, 2));
    let json_kib =
        if options.pods > 0 { fleet.api.read(&format!("{PODS}?limit=500")).await?.len() as f64 / 1024.0 / options.pods.min(500) as f64 } else { 0.0 };
    Ok(json!({
        "what": "rest", "nodes": options.nodes, "pods": count(&fleet.api, PODS).await?, "registered_s": fleet.registered_s,
        "server_cores": rounded(after.server_cores(&before), 3), "node_cores": rounded(after.node_cores(&before), 3),
        "server_rss_mib": after.server_memory(), "nodes_rss_mib": after.node_memory(),
        "json_kib_per_pod": rounded(json_kib, 2), "server_kib_per_pod": per_pod(after.server_kib() - empty.server_kib()),
        "cpu_ms_per_pod": per_pod(full.server_since(&empty) * 1e3),
        "latency": latency, "errors": errors, "unready": (options.nodes as u64).saturating_sub(ready(&fleet.api.get("/api/v1/nodes").await?)),
    }))
}
