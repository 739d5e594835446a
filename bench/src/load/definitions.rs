//! Many definitions of custom resources with many objects: how long all of it takes to be made and to be read again after a restart, what an object costs in
//! memory, and what OpenAPI and the requests of other kinds take beside it.
use super::fleet::{Fleet, FleetError, count};
use crate::api::Api;
use crate::load::Failures;
use crate::report::{percentiles, rounded};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many.
#[derive(Args, Debug)]
pub struct Options {
    /// The binary that is measured
    #[arg(long)]
    whalesong: PathBuf,
    /// Definitions
    #[arg(long, default_value_t = 500)]
    definitions: usize,
    /// Objects of all of them together, of some 1 kB each
    #[arg(long, default_value_t = 100_000)]
    objects: usize,
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Requests at once while objects are made.
const AT_ONCE: usize = 64;
/// Requests of another kind that are timed, one after the other.
const OTHERS: usize = 500;
/// How long the last definition may take to be served.
const PATIENCE: Duration = Duration::from_secs(60);

fn definition(i: usize) -> Value {
    let text = json!({"type": "string"});
    let spec = json!({"type": "object", "required": ["text"], "properties": {
        "text": text, "size": {"type": "integer", "minimum": 0, "default": 1}, "tags": {"type": "array", "items": text},
        "steps": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": text, "run": text}}},
    }});
    let status = json!({"type": "object", "properties": {"phase": text}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("things{i}.bench.example.com")},
        "spec": {"group": "bench.example.com", "scope": "Namespaced", "names": {"plural": format!("things{i}"), "kind": format!("Thing{i}")},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}}]},
    })
}

fn things(i: usize) -> String {
    format!("/apis/bench.example.com/v1/namespaces/default/things{i}")
}

fn thing(kind: usize, i: usize) -> Value {
    let steps: Vec<Value> = (0..8).map(|n| json!({"name": format!("step{n}"), "run": "x".repeat(64)})).collect();
    json!({"apiVersion": "bench.example.com/v1", "kind": format!("Thing{kind}"), "metadata": {"name": format!("t{i}")},
        "spec": {"text": "y".repeat(256), "tags": ["a", "b"], "steps": steps}})
}

/// Milliseconds of creates of another kind, one after the other.
async fn others(api: &Api, round: &str, failures: &Failures) -> Value {
    let mut took = Vec::with_capacity(OTHERS);
    for i in 0..OTHERS {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{round}-{i}")}, "data": {"k": "v"}});
        let start = Instant::now();
        failures.ok("another kind", api.post(MAPS, &map).await);
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    percentiles(took)
}

/// Milliseconds that a document takes, the second time it is asked for.
async fn cached(api: &Api, path: &str) -> Result<(f64, usize), FleetError> {
    api.read(path).await?;
    let start = Instant::now();
    let size = api.read(path).await?.len();
    Ok((rounded(start.elapsed().as_secs_f64() * 1e3, 1), size))
}

/// Waits until the last definition is served.
async fn served(api: &Api, last: usize) -> Result<(), FleetError> {
    let start = Instant::now();
    loop {
        match api.read(&things(last)).await {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Makes definitions and objects, looks at what they cost, kills the server and starts it again.
///
/// # Errors
/// When the cluster doesn't come up, before or after, or a definition isn't served.
pub async fn run(options: &Options) -> Result<Value, FleetError> {
    let mut fleet = Fleet::start(&options.whalesong, 0, &[]).await?;
    let (failures, api) = (Failures::default(), fleet.api.clone());
    let before = others(&api, "before", &failures).await;
    let start = Instant::now();
    let define = |i| {
        let (api, failures) = (&api, &failures);
        async move { _ = failures.ok("definition", api.post(DEFINITIONS, &definition(i)).await) }
    };
    stream::iter(0..options.definitions).for_each_concurrent(AT_ONCE, define).await;
    for last in (0..options.definitions).rev().take(AT_ONCE) {
        served(&api, last).await?;
    }
    let defined = start.elapsed().as_secs_f64();
    let empty = fleet.used();
    let start = Instant::now();
    let make = |i| {
        let (api, failures, kind) = (&api, &failures, i % options.definitions.max(1));
        async move { _ = failures.ok("object", api.post(&things(kind), &thing(kind, i)).await) }
    };
    stream::iter(0..options.objects).for_each_concurrent(AT_ONCE, make).await;
    let made = start.elapsed().as_secs_f64();
    let full = fleet.used();
    let json = api.read(&format!("{}/t0", things(0))).await?.len() as f64;
    let after = others(&api, "after", &failures).await;
    let (v2, v2_bytes) = cached(&api, "/openapi/v2").await?;
    let (v3, _) = cached(&api, "/openapi/v3/apis/bench.example.com/v1").await?;
    let of_one = count(&api, &things(0)).await?;
    let (answers, serves) = fleet.restart(&things(0), of_one).await?;
    Ok(json!({
        "what": "definitions", "definitions": options.definitions, "objects": options.objects, "errors": failures.count(),
        "defined_s": rounded(defined, 2), "made_s": rounded(made, 2), "answers_s": answers, "serves_s": serves,
        "json_bytes_per_object": json, "server_bytes_per_object": rounded((full.server_kib() - empty.server_kib()) * 1024.0 / options.objects.max(1) as f64, 0),
        "memory_times_json": rounded((full.server_kib() - empty.server_kib()) * 1024.0 / options.objects.max(1) as f64 / json, 2),
        "openapi_v2_ms": v2, "openapi_v2_bytes": v2_bytes, "openapi_v3_ms": v3, "others_before": before, "others_after": after,
        "server_rss_mib": full.server_memory(),
    }))
}
