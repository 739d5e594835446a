//! Some of many nodes fall silent: how soon their pods run elsewhere, and who else is disturbed.
use super::fleet::{Fleet, FleetError, PODS, probe};
use super::is_ready;
use crate::api::{Api, ApiError};
use crate::report::rounded;
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
    #[arg(long, default_value_t = 50_000)]
    pods: usize,
    /// Nodes that fall silent
    #[arg(long, default_value_t = 1_000)]
    silent: usize,
    /// Seconds for which pods stay on a node that is lost
    #[arg(long, default_value_t = 10)]
    tolerates: u64,
    /// Seconds to wait for the end
    #[arg(long, default_value_t = 300)]
    timeout: u64,
}

/// What the watches of pods and nodes have shown since the nodes fell silent.
#[derive(Default)]
struct View {
    /// The nodes that fell silent.
    silent: BTreeSet<String>,
    /// Pods that were on them, or were bound to them before their silence was noticed, by name.
    lost: BTreeSet<String>,
    /// When a pod that is new was first bound, and whether it was to a silent node.
    bound: HashMap<String, Instant>,
    running: BTreeSet<String>,
    /// Nodes that were given up: when they were tainted, as their taint has it.
    tainted: BTreeMap<String, jiff::Timestamp>,
    /// Pods of well nodes that went or became unready, and well nodes that did.
    disturbed: BTreeSet<String>,
}

impl View {
    fn pod(&mut self, event: &Value, now: Instant) {
        let (pod, name) = (&event["object"], event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if self.lost.contains(&name) || node.is_empty() {
            return;
        }
        if self.silent.contains(node) {
            self.lost.insert(name);
            return;
        }
        let ready = is_ready(pod);
        if !self.bound.contains_key(&name) && !ready {
            // a pod that was well, on a well node, isn't seen as unready without having been new
            self.bound.insert(name.clone(), now);
        }
        if ready && self.bound.contains_key(&name) {
            self.running.insert(name.clone());
        }
        let going = event["type"] == "DELETED" || !pod["metadata"]["deletionTimestamp"].is_null();
        if going || (!ready && self.running.contains(&name)) {
            self.disturbed.insert(format!("pod {name}"));
        }
    }

    fn node(&mut self, event: &Value) {
        let (node, name) = (&event["object"], event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        if !self.silent.contains(&name) {
            if !is_ready(node) {
                self.disturbed.insert(format!("node {name}"));
            }
            return;
        }
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        let added = taints.filter(|t| t["effect"] == "NoExecute").filter_map(|t| t["timeAdded"].as_str()?.parse().ok()).max();
        if let Some(added) = added {
            self.tainted.insert(name, added);
        }
    }

    fn complete(&self) -> bool {
        self.tainted.len() >= self.silent.len() && self.running.len() >= self.lost.len()
    }
}

/// The nodes' pods, at a revision.
async fn pods_of(api: &Api, silent: &BTreeSet<String>) -> Result<(BTreeSet<String>, String), ApiError> {
    let (mut names, mut token, mut revision) = (BTreeSet::new(), String::new(), String::new());
    loop {
        let page = api.get(&format!("{PODS}?limit=5000&continue={token}")).await?;
        for pod in page["items"].as_array().into_iter().flatten() {
            if pod["spec"]["nodeName"].as_str().is_some_and(|node| silent.contains(node)) {
                names.extend(pod["metadata"]["name"].as_str().map(str::to_owned));
            }
        }
        if revision.is_empty() {
            revision = page["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        }
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Ok((names, revision));
        }
    }
}

/// Reads a watch to its end: a line that is read in part can't be left, so each watch has a task of its own.
async fn relay(api: Api, path: String, tell: mpsc::UnboundedSender<Value>) -> Result<(), ApiError> {
    let mut events = api.watch(&path).await?;
    while let Some(event) = events.next::<Value>().await? {
        if tell.send(event).is_err() {
            break;
        }
    }
    Ok(())
}

/// Follows both watches until all lost pods run elsewhere, or time is up.
async fn follow(fleet: &Fleet, view: &mut View, revision: &str, deadline: Instant) -> Result<(), FleetError> {
    let (tell, mut events) = mpsc::unbounded_channel();
    let mut watches = JoinSet::new();
    watches.spawn(relay(fleet.api.fresh()?, format!("{PODS}?watch=true&resourceVersion={revision}"), tell.clone()));
    watches.spawn(relay(fleet.api.fresh()?, "/api/v1/nodes?watch=true".to_owned(), tell));
    while !view.complete() {
        let Ok(Some(event)) = tokio::time::timeout_at(deadline, events.recv()).await else { break };
        if event["object"]["kind"] == "Node" { view.node(&event) } else { view.pod(&event, Instant::now()) }
    }
    while let Some(ended) = watches.try_join_next() {
        ended.unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// Makes the nodes and pods, silences some, and follows what becomes of their pods.
///
/// # Errors
/// When the cluster, the nodes or the pods don't come up.
pub async fn run(options: &Options) -> Result<Value, FleetError> {
    let rate = options.nodes.to_string();
    let fleet = Fleet::start(&options.whalesong, options.nodes, &["--node-eviction-rate", &rate]).await?;
    fleet.run_pods(options.pods, options.tolerates).await?;
    let silent: BTreeSet<String> = (0..options.silent).map(|i| format!("hollow-{i}")).collect();
    let (lost, revision) = pods_of(&fleet.api, &silent).await?;
    let mut view = View { silent, lost, ..View::default() };
    fleet.order(&["silent", "--count", &options.silent.to_string()])?;
    let (start, clock, before) = (Instant::now(), jiff::Timestamp::now(), fleet.used());
    let deadline = start + Duration::from_secs(options.timeout);
    let (done, ended) = tokio::sync::oneshot::channel::<()>();
    let probing = fleet.api.fresh()?;
    let until = async move { ended.await.unwrap_or_default() };
    let following = async {
        let followed = follow(&fleet, &mut view, &revision, deadline).await;
        // who waited has gone: then nobody minds
        done.send(()).unwrap_or_default();
        followed
    };
    let (followed, (latency, errors)) = tokio::join!(following, probe(&probing, until));
    followed?;
    let after = fleet.used();
    let tolerated = view.tainted.values().max().map(|last| last.duration_since(clock).as_secs_f64() + options.tolerates as f64);
    let rebound = view.bound.values().max().map(|last| last.duration_since(start).as_secs_f64());
    Ok(json!({
        "what": "failure", "nodes": options.nodes, "pods": options.pods, "silent": options.silent, "lost_pods": view.lost.len(),
        "given_up_nodes": view.tainted.len(), "rebound_pods": view.bound.len(), "running_pods": view.running.len(),
        "tolerated_s": tolerated.map(|t| rounded(t, 1)), "rebound_s": rebound.map(|t| rounded(t, 1)),
        "rebound_after_toleration_s": rebound.zip(tolerated).map(|(r, t)| rounded(r - t, 1)), "disturbed": view.disturbed.len(),
        "server_cpu_s": rounded(after.server_since(&before), 1), "server_rss_mib": after.server_memory(), "latency": latency, "errors": errors,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: &str, ready: &str) -> Value {
        json!({"type": "MODIFIED", "object": {"metadata": {"name": name}, "spec": {"nodeName": node}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}})
    }

    #[test]
    fn lost_pods_come_back_under_other_names_and_nobody_else_is_disturbed() {
        let mut view = View { silent: BTreeSet::from(["n0".to_owned()]), lost: BTreeSet::from(["old".to_owned()]), ..View::default() };
        let now = Instant::now();
        view.pod(&pod("old", "n0", "False"), now);
        view.pod(&pod("new", "", "False"), now);
        view.pod(&pod("unlucky", "n0", "False"), now);
        assert_eq!(view.lost.len(), 2);
        view.lost.remove("unlucky");
        assert!(view.bound.is_empty());
        view.pod(&pod("new", "n1", "False"), now);
        view.pod(&pod("new", "n1", "True"), now);
        view.node(&json!({"object": {"metadata": {"name": "n0"}, "spec": {"taints": [{"effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]}}}));
        assert!(view.complete() && view.disturbed.is_empty());
        view.pod(&pod("new", "n1", "False"), now);
        view.node(&json!({"object": {"metadata": {"name": "n1"}}}));
        assert_eq!(view.disturbed.len(), 2);
    }
}
