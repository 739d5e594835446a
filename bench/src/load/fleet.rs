//! A cluster with simulated nodes: the server as one process with its NATS, the nodes as another, so that each is measured apart.
use super::is_ready;
use crate::api::{Api, ApiError, Protocol};
use crate::report::{percentiles, rounded, usage};
use crate::suite::server::{Server, Software};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long nodes and pods may take to be there.
const PATIENCE: Duration = Duration::from_secs(3_000);
/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(250);
/// Pods of one Deployment, at most.
const REPLICAS: usize = 1_000;
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// Where pods are.
pub const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// Why a load on a cluster of its own has no figures.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A program can't be run.
    #[error("{0} can't be run: {1}")]
    Start(PathBuf, std::io::Error),
    /// It doesn't answer.
    #[error("the cluster doesn't come up: {0}")]
    Silent(String),
    /// Nodes or pods aren't there in time.
    #[error("after {PATIENCE:?} there were {found} of {wanted} {what}")]
    Missing {
        /// Of what.
        what: &'static str,
        /// So many.
        found: u64,
        /// Of so many.
        wanted: u64,
    },
    /// `whalesong hollow` failed.
    #[error("`whalesong hollow` failed: {0}")]
    Order(String),
}

/// A cluster and its simulated nodes.
pub struct Fleet {
    /// Its API.
    pub api: Api,
    /// How long the nodes took to be registered and Ready.
    pub registered_s: f64,
    whalesong: PathBuf,
    nodes: Option<Child>,
    server: Server,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(mut nodes) = self.nodes.take() {
            nodes.kill().and_then(|()| nodes.wait().map(drop)).unwrap_or_else(|error| eprintln!("the nodes' process can't be ended: {error}"));
        }
    }
}

/// What processes used: CPU seconds so far, and memory.
#[derive(Clone, Debug)]
pub struct Used {
    at: Instant,
    server: (f64, Value),
    nodes: (f64, Value),
}

impl Used {
    /// What the server has used since `before`, in CPU seconds.
    pub fn server_since(&self, before: &Self) -> f64 {
        self.server.0 - before.server.0
    }
    /// Cores that the server used since `before`.
    pub fn server_cores(&self, before: &Self) -> f64 {
        self.server_since(before) / self.at.duration_since(before.at).as_secs_f64()
    }
    /// The same of the nodes.
    pub fn node_cores(&self, before: &Self) -> f64 {
        (self.nodes.0 - before.nodes.0) / self.at.duration_since(before.at).as_secs_f64()
    }
    /// What the server's processes hold in memory: MiB by process.
    pub fn server_memory(&self) -> &Value {
        &self.server.1
    }
    /// The same of the nodes' process.
    pub fn node_memory(&self) -> &Value {
        &self.nodes.1
    }
    /// The server's memory in KiB, all processes together.
    pub fn server_kib(&self) -> f64 {
        self.server.1.as_object().into_iter().flat_map(|m| m.values()).filter_map(Value::as_f64).sum::<f64>() * 1024.0
    }
}

impl Fleet {
    /// Starts a cluster with so many simulated nodes and waits until all are Ready.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn start(whalesong: &Path, nodes: usize, args: &[&str]) -> Result<Self, FleetError> {
        let failed = |error| FleetError::Start(whalesong.to_owned(), error);
        let args = ["--no-node"].iter().chain(args).map(ToString::to_string).collect();
        let server = Server::start(Software::Whalesong { program: whalesong.to_owned(), args }, &std::env::temp_dir()).map_err(failed)?;
        let api = answering(&server).await?;
        let start = Instant::now();
        let child = if nodes == 0 { None } else { Some(hollow_nodes(whalesong, &server, nodes).map_err(failed)?) };
        let mut fleet = Self { api, registered_s: 0.0, whalesong: whalesong.to_owned(), nodes: child, server };
        fleet.wait("leases", nodes as u64, async |api: &Api| count(api, LEASES).await).await?;
        fleet.wait("ready nodes", nodes as u64, async |api: &Api| Ok(ready(&api.get("/api/v1/nodes").await?))).await?;
        fleet.registered_s = rounded(start.elapsed().as_secs_f64(), 2);
        Ok(fleet)
    }

    async fn wait(&self, what: &'static str, wanted: u64, look: impl AsyncFn(&Api) -> Result<u64, ApiError>) -> Result<(), FleetError> {
        let start = Instant::now();
        loop {
            let found = look(&self.api).await?;
            if found >= wanted {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(FleetError::Missing { what, found, wanted });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What it has used so far.
    pub fn used(&self) -> Used {
        let nodes: Vec<u32> = self.nodes.iter().map(Child::id).collect();
        Used { at: Instant::now(), server: usage(&self.server.pids()), nodes: usage(&nodes) }
    }

    /// Makes Deployments of so many pods together and waits until all are Ready. `tolerates`: for how long they stay on a node that is lost.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn run_pods(&self, pods: usize, tolerates: u64) -> Result<(), FleetError> {
        for (i, first) in (0..pods).step_by(REPLICAS).enumerate() {
            self.api.post(DEPLOYMENTS, &deployment(i, REPLICAS.min(pods - first), tolerates)).await?;
        }
        self.wait("ready pods", pods as u64, async |api: &Api| Ok(replicas(&api.get(DEPLOYMENTS).await?))).await
    }

    /// Tells the nodes what is to be the matter with them.
    ///
    /// # Errors
    /// [`FleetError::Order`] with its words.
    pub fn order(&self, args: &[&str]) -> Result<(), FleetError> {
        let output = Command::new(&self.whalesong).arg("hollow").args(args).arg("--data").arg(self.server.data()).stdin(Stdio::null()).output();
        let output = output.map_err(|error| FleetError::Start(self.whalesong.clone(), error))?;
        if output.status.success() { Ok(()) } else { Err(FleetError::Order(String::from_utf8_lossy(&output.stderr).trim().to_owned())) }
    }

    /// Kills the server and NATS, and starts them again on the same data. The seconds until the API answers, and until `path` has `wanted` objects.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn restart(&mut self, path: &str, wanted: u64) -> Result<(f64, f64), FleetError> {
        let start = Instant::now();
        self.server.restart().map_err(|error| FleetError::Start(self.whalesong.clone(), error))?;
        self.api = answering(&self.server).await?;
        let answers = start.elapsed().as_secs_f64();
        self.wait("objects", wanted, async |api: &Api| count(api, path).await).await?;
        Ok((rounded(answers, 2), rounded(start.elapsed().as_secs_f64(), 2)))
    }
}

/// A client, once the API is ready.
async fn answering(server: &Server) -> Result<Api, FleetError> {
    let start = Instant::now();
    loop {
        let answer = match Api::new(&server.kubeconfig(), Protocol::Http1).await {
            Ok(api) => api.read("/readyz").await.map(|_| api),
            Err(error) => Err(error),
        };
        match answer {
            Ok(api) => return Ok(api),
            Err(error) if start.elapsed() > Duration::from_secs(120) => return Err(FleetError::Silent(format!("{error}; it said: {}", server.log()))),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn hollow_nodes(whalesong: &Path, server: &Server, nodes: usize) -> std::io::Result<Child> {
    let log = std::fs::File::create(server.data().join("nodes.log"))?;
    let mut command = Command::new(whalesong);
    command.args(["agent", "--hollow", &nodes.to_string(), "--data"]).arg(server.data());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// How many objects are at a path.
///
/// # Errors
/// When the API doesn't say.
pub async fn count(api: &Api, path: &str) -> Result<u64, ApiError> {
    let page = api.get(&format!("{path}?limit=1")).await?;
    let shown = page["items"].as_array().map_or(0, Vec::len) as u64;
    Ok(shown + page["metadata"]["remainingItemCount"].as_u64().unwrap_or_default())
}

/// How many nodes of a list are Ready.
pub fn ready(nodes: &Value) -> u64 {
    nodes["items"].as_array().into_iter().flatten().filter(|node| is_ready(node)).count() as u64
}

fn replicas(deployments: &Value) -> u64 {
    deployments["items"].as_array().into_iter().flatten().filter_map(|d| d["status"]["readyReplicas"].as_u64()).sum()
}

fn deployment(i: usize, replicas: usize, tolerates: u64) -> Value {
    let name = format!("d{i}");
    let toleration = |key| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": tolerates});
    let tolerations = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"].map(toleration);
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}});
    let spec = json!({"tolerations": tolerations, "terminationGracePeriodSeconds": 0, "containers": [container]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
    })
}

/// Reads and small writes, one after the other, until `end` completes; what the API took for each.
pub async fn probe(api: &Api, end: impl Future<Output = ()>) -> (Value, usize) {
    let (mut took, mut failed) = (Vec::new(), 0);
    tokio::pin!(end);
    for i in 0_u64.. {
        let start = Instant::now();
        let answer = match i % 3 {
            0 => api.read("/api/v1/namespaces/default").await,
            1 => api.read(&format!("{PODS}?limit=100")).await,
            _ => api.merge("/api/v1/namespaces/default", &json!({"metadata": {"annotations": {"probe": i.to_string()}}})).await,
        };
        match answer {
            Ok(_) => took.push(start.elapsed().as_secs_f64() * 1e3),
            Err(_) => failed += 1,
        }
        tokio::select! {
            () = &mut end => break,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    (percentiles(took), failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_nodes_and_replicas_are_counted() {
        let node = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert_eq!(ready(&json!({"items": [node("True"), node("Unknown"), {}]})), 1);
        assert_eq!(replicas(&json!({"items": [{"status": {"readyReplicas": 3}}, {"status": {}}]})), 3);
        assert_eq!(deployment(1, 5, 7)["spec"]["template"]["spec"]["tolerations"][0]["tolerationSeconds"], 7);
    }
}
