//! How long a write takes to reach every watcher, measured from before the request.
use crate::api::{Api, ApiError};
use crate::load::Failures;
use crate::report::percentiles;
use clap::Args;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

/// How many watch and how much is written.
#[derive(Args, Debug)]
pub struct Options {
    /// Watches at once
    #[arg(long, default_value_t = 100)]
    watchers: usize,
    /// ConfigMaps written, one after the other
    #[arg(long, default_value_t = 500)]
    writes: usize,
}

/// Watches of one connection: servers limit its streams.
const PER_CONNECTION: usize = 100;
/// How long after the last write deliveries are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of an event.
#[derive(Deserialize)]
struct Delivered {
    object: Written,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    data: Sent,
}

/// When it was written, in milliseconds since the load's beginning.
#[derive(Default, Deserialize)]
struct Sent {
    t: Option<String>,
}

/// Follows until `writes` events came; the milliseconds from writing to delivery of each. `ready` is passed with the watch open.
async fn follow(api: Api, path: String, writes: usize, epoch: Instant, ready: Arc<Barrier>) -> Result<Vec<f64>, ApiError> {
    let opened = api.watch(&path).await;
    ready.wait().await;
    let (mut events, mut took) = (opened?, Vec::with_capacity(writes));
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    while took.len() < writes {
        tokio::select! {
            event = events.next::<Delivered>() => {
                let Some(event) = event? else { break };
                if let Some(sent) = event.object.data.t.and_then(|t| t.parse::<f64>().ok()) {
                    took.push(epoch.elapsed().as_secs_f64() * 1e3 - sent);
                    deadline.as_mut().reset(tokio::time::Instant::now() + PATIENCE);
                }
            }
            () = &mut deadline => break,
        }
    }
    Ok(took)
}

/// Opens the watches, writes, and gathers what came.
///
/// # Errors
/// When the namespace can't be made.
pub async fn run(api: &Api, options: &Options) -> Result<Value, ApiError> {
    let namespace = api.namespace("watch").await?;
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let (epoch, ready) = (Instant::now(), Arc::new(Barrier::new(options.watchers + 1)));
    let mut connection = api.fresh()?;
    let mut watchers = Vec::with_capacity(options.watchers);
    for i in 0..options.watchers {
        if i % PER_CONNECTION == PER_CONNECTION - 1 {
            connection = api.fresh()?;
        }
        let path = format!("{maps}?watch=true&resourceVersion=0");
        watchers.push(tokio::spawn(follow(connection.clone(), path, options.writes, epoch, ready.clone())));
    }
    ready.wait().await;
    let (start, failures) = (Instant::now(), Failures::default());
    for i in 0..options.writes {
        let now = epoch.elapsed().as_secs_f64() * 1e3;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("w{i}")}, "data": {"t": now.to_string()}});
        failures.ok("write", api.post(&maps, &map).await);
    }
    let rate = (options.writes as f64 / start.elapsed().as_secs_f64()).round();
    let followed = join_all(watchers).await.into_iter().flatten();
    let took: Vec<f64> = followed.filter_map(|result| failures.ok("watch", result)).flatten().collect();
    api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await?;
    Ok(json!({
        "what": "watch", "watchers": options.watchers, "writes": options.writes, "delivered": took.len(), "expected": options.watchers * options.writes,
        "writes_per_s": rate, "errors": failures.count(), "latency": percentiles(took),
    }))
}
