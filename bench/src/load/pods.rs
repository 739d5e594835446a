//! Deployments on paper nodes: how long from the first request until all pods run, and until all are gone again. Who plays the kubelet is a choice:
//! this load marks bound pods Running and confirms deletions, or the server's own hollow nodes do.
use crate::api::{Api, ApiError};
use crate::load::Failures;
use crate::load::kubelet::{Duty, heartbeats, kubelets};
use crate::report::{percentiles, rounded, usage};
use clap::Args;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many pods.
#[derive(Args, Debug)]
pub struct Options {
    /// Pods in all
    #[arg(long, default_value_t = 1000)]
    pods: usize,
    /// Deployments that they are of
    #[arg(long, default_value_t = 10)]
    deployments: usize,
    /// Leave the status of bound pods alone: the server has hollow nodes of its own
    #[arg(long)]
    no_kubelet: bool,
    /// Seconds after which to give up
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Leave everything there at the end
    #[arg(long)]
    keep: bool,
}

/// What is read of an event: the client shares its machine with what it measures.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    of: String,
    object: Pod,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    added: Option<Instant>,
    bound: Option<Instant>,
    running: Option<Instant>,
}

/// What the watch showed, and how far it has come.
#[derive(Default)]
pub struct View {
    pods: HashMap<String, Seen>,
    /// Pods that have been seen running.
    pub running: usize,
    alive: HashSet<String>,
}

impl View {
    /// Takes in an event of the watch; what it makes the kubelet's duty.
    fn apply(&mut self, event: Event, now: Instant) -> Option<Duty> {
        let Pod { metadata: Metadata { name, deletion_timestamp }, spec, status } = event.object;
        if event.of == "DELETED" {
            self.alive.remove(&name);
            return None;
        }
        self.alive.insert(name.clone());
        let seen = self.pods.entry(name.clone()).or_default();
        seen.added.get_or_insert(now);
        if status.phase == "Running" && seen.running.is_none() {
            seen.running = Some(now);
            self.running += 1;
        }
        if deletion_timestamp.is_some() {
            return Some(Duty::Confirm(name));
        }
        let bound = spec.node_name.is_some() && seen.bound.is_none();
        bound.then(|| {
            seen.bound = Some(now);
            Duty::Run(name)
        })
    }

    fn between(&self, from: fn(&Seen) -> Option<Instant>, to: fn(&Seen) -> Option<Instant>) -> Value {
        percentiles(self.pods.values().filter_map(|s| Some(to(s)?.duration_since(from(s)?).as_secs_f64() * 1e3)).collect())
    }

    fn last(&self, of: fn(&Seen) -> Option<Instant>, start: Instant) -> Option<f64> {
        self.pods.values().filter_map(of).max().map(|t| rounded((t - start).as_secs_f64(), 3))
    }
}

/// A Deployment of small pods that end at once.
pub fn deployment(name: &str, replicas: usize) -> Value {
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}});
    let spec = json!({"tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0, "containers": [container]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
    })
}

/// How many pods Deployment `i` has.
fn share(i: usize, options: &Options) -> usize {
    let of = options.deployments.max(1);
    options.pods / of + usize::from(i < options.pods % of)
}

/// Applies the watch's events until `done` says so or time is up.
pub async fn follow<S: futures::io::AsyncBufRead>(
    events: &mut crate::api::Events<S>,
    view: &mut View,
    duties: Option<&mpsc::UnboundedSender<Duty>>,
    deadline: tokio::time::Instant,
    done: impl Fn(&View) -> bool,
) -> Result<(), ApiError> {
    while !done(view) {
        let Ok(event) = tokio::time::timeout_at(deadline, events.next()).await else { break };
        let Some(event) = event? else { break };
        let duty = view.apply(event, Instant::now());
        if let Some((duties, duty)) = duties.zip(duty) {
            // the kubelets outlive the load: their end would be seen as pods that never run
            duties.send(duty).unwrap_or_default();
        }
    }
    Ok(())
}

/// Makes the Deployments, waits until all pods run, deletes them, waits until none is left.
///
/// # Errors
/// When the namespace, a Deployment or the watch fails.
pub async fn run(api: &Api, options: &Options, pids: &[u32]) -> Result<Value, ApiError> {
    let namespace = api.namespace("bench").await?;
    let (pods, deployments): (Arc<str>, _) =
        (format!("/api/v1/namespaces/{namespace}/pods").into(), format!("/apis/apps/v1/namespaces/{namespace}/deployments"));
    let mut events = api.fresh()?.watch(&format!("{pods}?watch=true&resourceVersion=0")).await?;
    let failures = Arc::new(Failures::default());
    let (duties, inbox) = mpsc::unbounded_channel();
    let kubelet = (!options.no_kubelet).then_some(&duties);
    let mut helpers = tokio::task::JoinSet::new();
    helpers.spawn(kubelets(api.fresh()?, pods, inbox, failures.clone()));
    if kubelet.is_some() {
        helpers.spawn(heartbeats(api.fresh()?, failures.clone()));
    }
    let mut view = View::default();
    let (cpu_before, _) = usage(pids);
    let start = Instant::now();
    for i in 0..options.deployments {
        api.post(&deployments, &deployment(&format!("d{i}"), share(i, options))).await?;
    }
    let patience = Duration::from_secs(options.timeout);
    follow(&mut events, &mut view, kubelet, tokio::time::Instant::now() + patience, |v| v.running >= options.pods).await?;
    let (cpu_after, resident) = usage(pids);
    let (created, bound, running) = (view.last(|s| s.added, start), view.last(|s| s.bound, start), view.last(|s| s.running, start));
    let mut line = json!({
        "what": "pods", "pods": options.pods, "deployments": options.deployments, "running": view.running,
        "created_s": created, "bound_s": bound, "running_s": running, "pods_per_s": running.map(|t| rounded(view.running as f64 / t, 1)),
        "added_to_bound": view.between(|s| s.added, |s| s.bound), "bound_to_running": view.between(|s| s.bound, |s| s.running),
        "added_to_running": view.between(|s| s.added, |s| s.running),
        "cpu_ms_per_pod": rounded((cpu_after - cpu_before) * 1e3 / view.running.max(1) as f64, 2), "rss_mib_at_peak": resident,
    });
    if !options.keep {
        let start = Instant::now();
        for i in 0..options.deployments {
            api.delete(&format!("{deployments}/d{i}"), &json!({"propagationPolicy": "Background"})).await?;
        }
        follow(&mut events, &mut view, kubelet, tokio::time::Instant::now() + patience, |v| v.alive.is_empty()).await?;
        line["deleted_s"] = json!(view.alive.is_empty().then(|| rounded(start.elapsed().as_secs_f64(), 3)));
        api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await?;
    }
    line["errors"] = json!(failures.count());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: Value) -> Event {
        serde_json::from_value(json!({"type": kind, "object": object})).expect("an event")
    }

    #[test]
    fn a_view_counts_each_step_once_and_knows_the_kubelets_duties() {
        let (mut view, now) = (View::default(), Instant::now());
        let named = |more: Value| {
            let mut pod = json!({"metadata": {"name": "p"}});
            pod.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            pod
        };
        assert!(view.apply(event("ADDED", named(json!({}))), now).is_none());
        let bound = named(json!({"spec": {"nodeName": "n"}}));
        assert!(matches!(view.apply(event("MODIFIED", bound.clone()), now), Some(Duty::Run(name)) if name == "p"));
        assert!(view.apply(event("MODIFIED", bound), now).is_none(), "a duty is done once");
        for _ in 0..2 {
            view.apply(event("MODIFIED", named(json!({"status": {"phase": "Running"}}))), now);
        }
        assert_eq!((view.running, view.alive.len()), (1, 1));
        let ending = json!({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert!(matches!(view.apply(event("MODIFIED", ending.clone()), now), Some(Duty::Confirm(_))));
        view.apply(event("DELETED", ending), now);
        assert!(view.alive.is_empty());
    }

    #[test]
    fn replicas_add_up_to_the_pods() {
        let options = Options { pods: 103, deployments: 10, no_kubelet: false, timeout: 1, keep: false };
        assert_eq!((0..10).map(|i| share(i, &options)).sum::<usize>(), 103);
    }
}
