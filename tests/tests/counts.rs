//! What a pod's life costs, in counts that don't depend on the machine. Each bound has a little room over what was counted when it was
//! written: who makes a pod's life cost a message more changes the bound, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, Syncs, eventually};
use serde_json::Value;
use std::time::Duration;

const PODS: i64 = 100;
const MINUTE: Duration = Duration::from_secs(60);

/// What NATS counts.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Messages in the log, deletion markers included: each is a write.
    log: i64,
    /// Messages in the stream of Events.
    events: i64,
    /// Messages from clients that are in no stream: heartbeats, questions for the log's end, acknowledgements.
    others: i64,
    /// Messages to clients: each write comes back once to the cache, and its batch is acknowledged.
    delivered: i64,
    /// Bytes from clients, headers included.
    bytes: i64,
}

fn monitored(cluster: &Cluster, path: &str) -> Value {
    serde_json::from_str(&cluster.machines[0].sh(&format!("curl -sS http://127.0.0.1:8222/{path}"))).unwrap()
}

impl Counts {
    fn now(cluster: &Cluster) -> Self {
        let (vars, streams) = (monitored(cluster, "varz"), monitored(cluster, "jsz?streams=1"));
        let all = streams["account_details"][0]["stream_detail"].as_array().unwrap();
        let stored =
            |end: &str| -> i64 { all.iter().filter(|s| s["name"].as_str().unwrap().ends_with(end)).map(|s| s["state"]["last_seq"].as_i64().unwrap()).sum() };
        let count = |name: &str| vars[name].as_i64().unwrap();
        Self {
            log: stored("-objects"),
            events: stored("-events"),
            others: count("in_msgs") - stored(""),
            delivered: count("out_msgs"),
            bytes: count("in_bytes"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            log: self.log - before.log,
            events: self.events - before.events,
            others: self.others - before.others,
            delivered: self.delivered - before.delivered,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// A NATS server that can be asked what it counts, and a cluster with two simulated nodes on it.
fn cluster() -> Cluster {
    let mut cluster = Cluster::booted();
    let disk = cluster.machines[0].disk().join("nats");
    let config = format!("listen: 127.0.0.1:4222, http: 127.0.0.1:8222, max_payload: 8MB, jetstream {{ store_dir: {disk:?}, sync_interval: always }}");
    std::fs::write(cluster.lab.path().join("nats.conf"), config).unwrap();
    cluster.run_beside("nats-server", &["-c", cluster.lab.path().join("nats.conf").to_str().unwrap()]);
    eventually("nats-server answers", MINUTE, || {
        let out = e2e::output(cluster.machines[0].command("curl").args(["-sSf", "http://127.0.0.1:8222/varz"]));
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    cluster.up(&["--no-node", "--hollow-nodes", "2", "--nats", "nats://127.0.0.1:4222", "--allow-unsafe-sync"]);
    cluster.node_ready("hollow-0");
    cluster.node_ready("hollow-1");
    cluster
}

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 100
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: app}]
"#;

/// Which of these counts are over their bounds.
fn over(bounds: &[(&str, i64, i64)]) -> Vec<String> {
    bounds.iter().filter(|(_, count, bound)| count > bound).map(|(what, count, bound)| format!("{what}: {count}, and at most {bound} are expected")).collect()
}

#[test]
fn the_life_of_a_pod() {
    let cluster = cluster();
    let (syncs, before) = (Syncs::count(&cluster), Counts::now(&cluster));
    cluster.apply(DEPLOYMENT);
    cluster.k(&["wait", "--for=jsonpath={.status.availableReplicas}=100", "deployment/many", "--timeout=60s"]);
    let (running, synced) = (Counts::now(&cluster), syncs.so_far());
    let found = running.since(before);
    let to_running = over(&[
        // created, bound, its containers starting, Running: 4 a pod; 11 to 13 for the Deployment, the ReplicaSet and their status
        ("writes", found.log, 4 * PODS + 40),
        // one that it was scheduled, a pod; one creation each of the first ten, and the rest as one
        ("events", found.events, PODS + 40),
        // 20 where nothing goes twice; a batch whose expectations one write doesn't meet goes again without it, and is counted here
        ("other messages", found.others, 4 * PODS),
        // each write and event once to the cache, 5 a pod; one acknowledgement for each batch, or each write that goes alone
        ("deliveries", found.delivered, 10 * PODS),
        // 34 kB a pod: 3.5 kB of JSON, a third of it the owners of its fields, four times to the log and as often to and from its node, an event, headers
        ("bytes", found.bytes, 38_000 * PODS),
        // 13 to 24 for 411 writes: they gather while the one before is synced
        ("syncs of the log", i64::try_from(synced).unwrap(), PODS),
    ]);
    cluster.k(&["delete", "deployment", "many", "--cascade=foreground", "--timeout=60s"]);
    let (gone, synced) = (Counts::now(&cluster), syncs.so_far() - synced);
    let found = gone.since(running);
    let to_gone = over(&[
        // without a grace period the agent has nothing to say first: one deletion a pod; 7 to 14 for the Deployment and the ReplicaSet
        ("writes", found.log, PODS + 40),
        ("events", found.events, 40),
        ("other messages", found.others, 3 * PODS),
        ("deliveries", found.delivered, 4 * PODS),
        // the marker carries the last object, and the node is told of it: 10 kB
        ("bytes", found.bytes, 12_000 * PODS),
        // 16 to 48 for 110 writes: deletions come as the controllers get to them
        ("syncs of the log", i64::try_from(synced).unwrap(), PODS),
    ]);
    syncs.stop(&cluster);
    assert!(to_running.is_empty() && to_gone.is_empty(), "until all ran: {to_running:#?}\nuntil all were gone: {to_gone:#?}");
}
