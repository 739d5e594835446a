//! The server killed and started again on many objects: how long until it serves.
use super::fleet::{Fleet, FleetError};
use crate::load::Failures;
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::path::PathBuf;

/// How many.
#[derive(Args, Debug)]
pub struct Options {
    /// The binary that is measured
    #[arg(long)]
    whalesong: PathBuf,
    /// Objects, of some 2 kB each
    #[arg(long, default_value_t = 300_000)]
    objects: usize,
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Requests at once while the objects are made.
const AT_ONCE: usize = 256;

/// Makes the objects, kills, starts, and waits until all of them are listed.
///
/// # Errors
/// When the cluster doesn't come up, before or after.
pub async fn run(options: &Options) -> Result<Value, FleetError> {
    let mut fleet = Fleet::start(&options.whalesong, 0, &[]).await?;
    let (failures, text) = (Failures::default(), "x".repeat(1_800));
    {
        let make = |i| {
            let (api, failures, text) = (&fleet.api, &failures, &text);
            async move {
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{i}")}, "data": {"k": text}});
                failures.ok("object", api.post(MAPS, &map).await);
            }
        };
        stream::iter(0..options.objects).for_each_concurrent(AT_ONCE, make).await;
    }
    let before = fleet.used();
    let made = options.objects.saturating_sub(failures.count()) as u64;
    let (answers, serves) = fleet.restart(MAPS, made).await?;
    let after = fleet.used();
    Ok(json!({
        "what": "restart", "objects": made, "errors": failures.count(), "answers_s": answers, "serves_s": serves,
        "rss_mib_before": before.server_memory(), "rss_mib_after": after.server_memory(),
    }))
}
