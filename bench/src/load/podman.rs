//! Pods through the cluster, from the request until the watch shows them Ready, in turn with the same containers made by hand on the same Podman:
//! as a pod with Podman's own network, as a pod without network, and as the one container that an agent makes, without what it does around that.
use super::is_ready;
use crate::api::{Api, ApiError, Events};
use crate::podman::{Podman, PodmanError};
use crate::report::{machine_cpu, percentiles, rounded};
use clap::Args;
use futures::future::try_join_all;
use futures::io::AsyncBufRead;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is made, and how often.
#[derive(Args, Debug)]
pub struct Options {
    /// The socket of the Podman that the node's agent uses
    #[arg(long)]
    socket: PathBuf,
    /// An image that is present and has `sh`
    #[arg(long, default_value = "localhost/busybox:1")]
    image: String,
    /// Pods at once
    #[arg(long, default_value_t = 1)]
    pods: usize,
    /// Rounds that count; one more goes before them
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Seconds after which to give up on a round
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Ways by hand that are left out: `bridge_pod` where Podman has no network of its own
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
}

/// Why the load gave up.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The cluster's side.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Podman's side.
    #[error(transparent)]
    Podman(#[from] PodmanError),
    /// The watch said nothing more.
    #[error("after {0} s not all pods are {1}")]
    Late(u64, &'static str),
}

/// A way to a running pod.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Bridge,
    NoNetwork,
    Container,
    Cluster,
}

const WAYS: [(&str, Way); 4] = [("bridge_pod", Way::Bridge), ("pod_without_network", Way::NoNetwork), ("container", Way::Container), ("cluster", Way::Cluster)];

/// Ends at once when asked to, so that taking away costs no grace period.
fn command() -> Value {
    json!(["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"])
}

/// What a container needs besides its image to be as the agent's are.
fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image, "command": command(), "systemd": "false", "sdnotifyMode": "ignore",
        "seccomp_profile_path": "unconfined", "log_configuration": {"driver": "k8s-file"}, "restart_policy": "no",
    })
}

struct ByHand<'a> {
    podman: &'a Podman,
    image: &'a str,
}

impl ByHand<'_> {
    async fn post(&self, path: &str, body: &Value) -> Result<Value, PodmanError> {
        self.podman.call(Method::POST, path, body).await
    }

    /// A pod with its infra container, and the app's container in it.
    async fn pod(&self, name: &str, network: &str) -> Result<(), PodmanError> {
        self.post("/pods/create", &json!({"name": name, "netns": {"nsmode": network}})).await?;
        let mut app = container(&format!("{name}-app"), self.image);
        app["pod"] = json!(name);
        self.post("/containers/create", &app).await?;
        self.post(&format!("/pods/{name}/start"), &Value::Null).await.map(drop)
    }

    /// What an agent says to Podman for a pod: is the image there, a container in a network namespace, start it, what is it now.
    async fn container(&self, name: &str) -> Result<(), PodmanError> {
        let image = self.podman.call(Method::GET, &format!("/images/{}/json", self.image.replace('/', "%2F")), &Value::Null).await?;
        let mut app = container(name, image["Id"].as_str().unwrap_or(self.image));
        app["netns"] = json!({"nsmode": "none"});
        self.post("/containers/create", &app).await?;
        self.post(&format!("/containers/{name}/start"), &Value::Null).await?;
        self.podman.call(Method::GET, &format!("/containers/{name}/json"), &Value::Null).await.map(drop)
    }

    async fn make(&self, way: Way, name: &str) -> Result<(), PodmanError> {
        match way {
            Way::Bridge => self.pod(name, "bridge").await,
            Way::NoNetwork => self.pod(name, "none").await,
            Way::Container | Way::Cluster => self.container(name).await,
        }
    }

    async fn remove(&self, way: Way, name: &str) -> Result<(), PodmanError> {
        if way == Way::Container {
            return self.podman.call(Method::DELETE, &format!("/containers/{name}?force=true&timeout=0"), &Value::Null).await.map(drop);
        }
        self.post(&format!("/pods/{name}/kill"), &Value::Null).await?;
        self.podman.call(Method::DELETE, &format!("/pods/{name}?force=true"), &Value::Null).await.map(drop)
    }
}

/// Milliseconds and the machine's CPU milliseconds that something took.
async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<(f64, f64), E> {
    let (cpu, start) = (machine_cpu(), Instant::now());
    work.await?;
    Ok((start.elapsed().as_secs_f64() * 1e3, (machine_cpu() - cpu) * 1e3))
}

/// The cluster's side: where pods are made, and the watch that shows them.
struct Cluster<'a, S> {
    api: &'a Api,
    path: String,
    events: Events<S>,
    options: &'a Options,
}

impl<S: AsyncBufRead> Cluster<'_, S> {
    /// Reads the watch until it has said this of each of the names.
    async fn until(&mut self, names: &[String], word: &'static str, says: impl Fn(&Value) -> bool) -> Result<(), LoadError> {
        let late = || LoadError::Late(self.options.timeout, word);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(self.options.timeout);
        let mut open: HashMap<&str, ()> = names.iter().map(|n| (n.as_str(), ())).collect();
        while !open.is_empty() {
            let event: Value = tokio::time::timeout_at(deadline, self.events.next()).await.map_err(|_| late())??.ok_or_else(late)?;
            if says(&event) {
                open.remove(event["object"]["metadata"]["name"].as_str().unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn make(&mut self, names: &[String]) -> Result<(), LoadError> {
        let (api, path, image) = (self.api, self.path.clone(), self.options.image.clone());
        let posts = try_join_all(names.iter().map(|name| {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {"containers": [{"name": "app", "image": image, "imagePullPolicy": "IfNotPresent", "args": command()}]},
            });
            let path = &path;
            async move { api.post(path, &pod).await }
        }));
        let (posted, seen) = futures::join!(posts, self.until(names, "Ready", |e| is_ready(&e["object"])));
        posted?;
        seen
    }

    async fn remove(&mut self, names: &[String]) -> Result<(), LoadError> {
        let (api, path) = (self.api, &self.path);
        try_join_all(names.iter().map(|name| async move { api.delete(&format!("{path}/{name}"), &json!({})).await })).await?;
        self.until(names, "gone", |e| e["type"] == "DELETED").await
    }
}

#[derive(Default)]
struct Took {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Took {
    fn figures(self, pods: usize) -> Value {
        let cpu: f64 = self.cpu.iter().sum::<f64>() / (self.cpu.len() * pods).max(1) as f64;
        json!({"wall": percentiles(self.wall), "machine_cpu_ms_per_pod": rounded(cpu, 1)})
    }
}

fn median(line: &Value, way: &str) -> f64 {
    line[way]["wall"]["p50_ms"].as_f64().unwrap_or(f64::NAN)
}

/// How many times as long the cluster takes as each way by hand.
fn ratios(line: &Value) -> Value {
    let of = |(name, way): &(&str, Way)| (*way != Way::Cluster).then(|| ((*name).to_owned(), json!(rounded(median(line, "cluster") / median(line, name), 2))));
    Value::Object(WAYS.iter().filter_map(of).collect::<Map<_, _>>())
}

/// Makes pods in each way in turn, takes them away each time, and compares.
///
/// # Errors
/// When a way doesn't work at all.
pub async fn run(api: &Api, options: &Options) -> Result<Value, LoadError> {
    let namespace = api.namespace("podman").await?;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let events = api.fresh()?.watch(&format!("{path}?watch=true&resourceVersion=0")).await?;
    let mut cluster = Cluster { api, path, events, options };
    let podman = Podman::new(&options.socket);
    let hand = ByHand { podman: &podman, image: &options.image };
    let mut took: HashMap<&str, Took> = HashMap::new();
    let mut ways = WAYS.to_vec();
    ways.retain(|(name, _)| options.without.iter().all(|without| without != name));
    for round in 0..=options.rounds {
        for &(name, way) in &ways {
            let names: Vec<String> = (0..options.pods).map(|i| format!("{}-{round}-{i}", name.replace('_', "-"))).collect();
            let (wall, cpu) = if way == Way::Cluster {
                let figures = timed(cluster.make(&names)).await?;
                cluster.remove(&names).await?;
                figures
            } else {
                let figures = timed(try_join_all(names.iter().map(|name| hand.make(way, name)))).await?;
                try_join_all(names.iter().map(|name| hand.remove(way, name))).await?;
                figures
            };
            if round > 0 {
                let took = took.entry(name).or_default();
                took.wall.push(wall);
                took.cpu.push(cpu);
            }
        }
    }
    api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await?;
    let mut line = json!({"what": "podman", "pods": options.pods, "rounds": options.rounds});
    for (name, took) in took {
        line[name] = took.figures(options.pods);
    }
    line["cluster_to"] = ratios(&line);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared() {
        let wall = |ms: f64| json!({"wall": {"p50_ms": ms}});
        let line = json!({"bridge_pod": wall(100.0), "pod_without_network": wall(50.0), "container": wall(40.0), "cluster": wall(60.0)});
        assert_eq!(ratios(&line), json!({"bridge_pod": 0.6, "pod_without_network": 1.2, "container": 1.5}));
    }
}
