//! ConfigMaps created, read, patched and listed, by so many writers at once.
use crate::api::{Api, ApiError};
use crate::load::Failures;
use crate::report::percentiles;
use bytes::Bytes;
use clap::Args;
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long and how many at once.
#[derive(Args, Debug)]
pub struct Options {
    /// Seconds of each phase
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Requests at once
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
}

#[derive(Clone, Copy)]
enum Phase {
    Create,
    Get,
    Patch,
    List,
}

const PHASES: [(&str, Phase); 4] = [("create", Phase::Create), ("get", Phase::Get), ("update", Phase::Patch), ("list100", Phase::List)];

#[derive(Clone)]
struct Writer {
    api: Api,
    /// Path of the namespace's ConfigMaps.
    path: Arc<str>,
    made: Arc<AtomicUsize>,
    failures: Arc<Failures>,
}

impl Writer {
    async fn request(&self, phase: Phase, i: usize) -> Result<Bytes, ApiError> {
        let one = |i: usize| format!("{}/c{}", self.path, i % self.made.load(Ordering::Relaxed).max(1));
        match phase {
            Phase::Create => {
                let name = format!("c{}", self.made.fetch_add(1, Ordering::Relaxed));
                let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x".repeat(512)}});
                self.api.post(&self.path, &object).await
            }
            Phase::Get => self.api.read(&one(i)).await,
            Phase::Patch => self.api.merge(&one(i), &json!({"data": {"n": i.to_string()}})).await,
            Phase::List => self.api.read(&format!("{}?limit=100", self.path)).await,
        }
    }

    /// One request after the other until `end`; the milliseconds that each took.
    async fn work(self, phase: Phase, first: usize, step: usize, end: Instant) -> Vec<f64> {
        let (mut took, mut i) = (Vec::new(), first);
        while Instant::now() < end {
            let start = Instant::now();
            if self.failures.ok("request", self.request(phase, i).await).is_some() {
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
            i += step;
        }
        took
    }
}

/// Runs the four phases, one after the other.
///
/// # Errors
/// When the namespace can't be made.
pub async fn run(api: &Api, options: &Options) -> Result<Value, ApiError> {
    let namespace = api.namespace("writes").await?;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps").into();
    let writer = Writer { api: api.clone(), path, made: Arc::default(), failures: Arc::default() };
    let mut line = json!({"what": "writes", "concurrency": options.concurrency});
    for (name, phase) in PHASES {
        let writer = Writer { failures: Arc::default(), ..writer.clone() };
        let start = Instant::now();
        let end = start + Duration::from_secs(options.seconds);
        let tasks = (0..options.concurrency).map(|w| tokio::spawn(writer.clone().work(phase, w, options.concurrency, end)));
        let took: Vec<f64> = join_all(tasks).await.into_iter().flatten().flatten().collect();
        let rate = (took.len() as f64 / start.elapsed().as_secs_f64()).round();
        line[name] = json!({"per_s": rate, "errors": writer.failures.count(), "latency": percentiles(took)});
    }
    api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await?;
    Ok(line)
}
