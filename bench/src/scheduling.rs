//! `schedule()` alone: no bus, no state, one thread. What a batch of pods costs, with the snapshot's own upkeep beside it.
use crate::report::rounded;
use clap::Args;
use model::{ApiError, Key, Object, Stored};
use scheduler::node::{NodeInfo, ParseError};
use scheduler::pod::PodInfo;
use scheduler::{Outcome, Snapshot, schedule};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

/// What to measure.
#[derive(Args, Debug)]
pub struct Options {
    /// Nodes, in three zones
    #[arg(long, default_value_t = 5000)]
    nodes: usize,
    /// Pods of each load, by ten templates
    #[arg(long, default_value_t = 10_000)]
    pods: usize,
    /// Pods decided at once
    #[arg(long, default_value_t = 4096)]
    batch: usize,
}

/// A load: its name and what its pods' spec has beside the containers.
pub type Load = (&'static str, fn(&str) -> Value);

/// The loads that are measured, and a mix of them after.
pub const LOADS: [Load; 6] = [
    ("plain", |_| json!({})),
    ("workload (spread by default)", |_| json!({})),
    ("required spread over zones", |app| spread(app, ZONE, 5, "DoNotSchedule")),
    ("required spread over nodes", |app| spread(app, HOST, 1, "DoNotSchedule")),
    ("preferred spread over zones", |app| spread(app, ZONE, 5, "ScheduleAnyway")),
    ("anti-affinity by node", |app| {
        let term = json!({"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": app}}});
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
    }),
];

/// Why a measurement didn't take place.
#[derive(Debug, thiserror::Error)]
pub enum SchedulingError {
    /// A fixture that isn't an object.
    #[error(transparent)]
    Fixture(#[from] ApiError),
    /// A fixture that the scheduler doesn't take.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

fn spread(app: &str, key: &str, max_skew: i64, when: &str) -> Value {
    let constraint = json!({"topologyKey": key, "maxSkew": max_skew, "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"app": app}}});
    json!({"topologySpreadConstraints": [constraint]})
}

fn stored(resource: &str, object: Value) -> Result<Stored, ApiError> {
    let object = Object::from_value(object)?;
    Stored::from_object(Key::new("", resource, object.namespace(), object.name()), object)
}

/// Nodes in three zones, with nothing on them.
///
/// # Errors
/// [`SchedulingError`] when a fixture is refused.
pub fn cluster(nodes: usize) -> Result<Snapshot, SchedulingError> {
    let mut snapshot = Snapshot::default();
    for i in 0..nodes {
        let name = format!("node-{i:05}");
        let labels = json!({HOST: name, ZONE: format!("zone-{}", i % 3)});
        let allocatable = json!({"cpu": "32", "memory": "256Gi", "pods": "110"});
        let node =
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}, "status": {"allocatable": allocatable}});
        snapshot.apply_node(&name, NodeInfo::parse(&stored("nodes", node)?)?);
    }
    Ok(snapshot)
}

/// Pod `i` of a load, by one of its templates.
///
/// # Errors
/// When the fixture is refused.
pub fn pod(load: &Load, i: usize, template: usize) -> Result<Stored, ApiError> {
    let app = format!("app-{template}");
    let mut spec = json!({"containers": [{"name": "c", "image": "app", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), (load.1)(&app)) {
        spec.extend(more);
    }
    let mut meta = json!({"name": format!("pod-{i}"), "namespace": "bench", "uid": format!("uid-{i}"), "labels": {"app": app}});
    if load.0.starts_with("workload") {
        meta["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": app, "controller": true}]);
    }
    stored("pods", json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}))
}

fn measure(options: &Options, name: &str, load_of: impl Fn(usize) -> Load) -> Result<Value, SchedulingError> {
    let mut snapshot = cluster(options.nodes)?;
    let objects = (0..options.pods).map(|i| pod(&load_of(i), i, i * 10 / options.pods.max(1))).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let pods = objects.iter().map(|o| PodInfo::parse(o).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let parsed = start.elapsed();
    let start = Instant::now();
    let decisions: Vec<_> = (0..).zip(pods.chunks(options.batch.max(1))).flat_map(|(seed, batch)| schedule(&mut snapshot, batch, seed)).collect();
    let decided = start.elapsed();
    let bound = decisions.iter().filter(|d| matches!(d.outcome, Outcome::Bind(_))).count();
    let seconds = decided.as_secs_f64();
    Ok(json!({
        "what": "schedule", "load": name, "nodes": options.nodes, "pods": options.pods, "batch": options.batch, "bound": bound,
        "seconds": rounded(seconds, 4), "pods_per_s": (options.pods as f64 / seconds).round(), "us_per_pod": rounded(seconds * 1e6 / options.pods.max(1) as f64, 2),
        "parse_us_per_pod": rounded(parsed.as_secs_f64() * 1e6 / options.pods.max(1) as f64, 2),
    }))
}

/// Pods on each node, of one core each, that fill it.
const FILLING: usize = 32;
/// Pods that need room made, of two cores each.
const PREEMPTORS: usize = 1000;

fn asks(name: &str, cores: usize, priority: i64, node: Option<&str>) -> Result<Stored, ApiError> {
    let container = json!({"name": "c", "image": "app", "resources": {"requests": {"cpu": cores.to_string()}}});
    let meta = json!({"name": name, "namespace": "bench", "uid": name, "labels": {"app": "a"}});
    let mut spec = json!({"containers": [container], "priority": priority});
    if let Some(node) = node {
        spec["nodeName"] = node.into();
    }
    stored("pods", json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}))
}

/// More important pods on full nodes, `batch` at once: each gets a node on which others have to go.
///
/// # Errors
/// [`SchedulingError`] when a fixture is refused.
fn preemption(nodes: usize, batch: usize) -> Result<Value, SchedulingError> {
    let mut snapshot = cluster(nodes)?;
    for node in 0..nodes {
        for i in 0..FILLING {
            let pod = asks(&format!("low-{node}-{i}"), 1, (i % 5) as i64, Some(&format!("node-{node:05}")))?;
            snapshot.apply_pod(&PodInfo::parse(&pod)?);
        }
    }
    let preemptor = |i: usize| -> Result<_, SchedulingError> { Ok(Arc::new(PodInfo::parse(&asks(&format!("high-{i}"), 2, 100, None)?)?)) };
    let pods = (0..PREEMPTORS).map(preemptor).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let decisions: Vec<_> = (0..).zip(pods.chunks(batch.max(1))).flat_map(|(seed, batch)| schedule(&mut snapshot, batch, seed)).collect();
    let seconds = start.elapsed().as_secs_f64();
    let victims: usize = decisions.iter().map(|d| d.outcome.victims().len()).sum();
    Ok(json!({
        "what": "preempt", "nodes": nodes, "pods": PREEMPTORS, "batch": batch, "victims": victims, "seconds": rounded(seconds, 4),
        "pods_per_s": (PREEMPTORS as f64 / seconds).round(), "us_per_pod": rounded(seconds * 1e6 / PREEMPTORS as f64, 2),
    }))
}

/// Measures each load on a cluster of its own, then all in turn on one, and preemption.
///
/// # Errors
/// [`SchedulingError`] when a fixture is refused.
pub fn run(options: &Options) -> Result<Vec<Value>, SchedulingError> {
    let mut lines = Vec::new();
    for load in LOADS {
        lines.push(measure(options, load.0, |_| load)?);
    }
    for batch in [PREEMPTORS, 50] {
        lines.push(preemption(options.nodes, batch)?);
    }
    lines.push(measure(options, "mix", |i| LOADS.get(i % LOADS.len()).copied().unwrap_or(("plain", |_| json!({}))))?);
    Ok(lines)
}
