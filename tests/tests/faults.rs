//! Processes killed, machines cut off: nothing acknowledged is lost, nothing that runs is disturbed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually, output};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WEB: &str = include_str!("../../demo/web.yaml");
const MINUTE: Duration = Duration::from_secs(60);

async fn client(kubeconfig: &Path) -> kube::Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    kube::Client::try_from(kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap()).unwrap()
}

fn map(name: &str) -> ConfigMap {
    let data = BTreeMap::from([("k".to_owned(), "x".repeat(200))]);
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, data: Some(data), ..ConfigMap::default() }
}

/// Creates objects until told to stop; which names were acknowledged.
async fn write(maps: Api<ConfigMap>, writer: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("w{writer}-{n}");
        if maps.create(&PostParams::default(), &map(&name)).await.is_ok() {
            acknowledged.push(name);
        }
    }
    acknowledged
}

/// 16 writers while `nats-server` is killed again and again.
async fn write_through_kills(cluster: &Cluster) -> Vec<String> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster.data().join("kubeconfig")).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..16).map(|w| tokio::spawn(write(maps.clone(), w, stop.clone()))).collect();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.machines[0].sh("pkill -9 nats-server");
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kills_of_nats() {
    let mut cluster = Cluster::start(&["--no-node"]);
    let acknowledged = write_through_kills(&cluster).await;
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
    // a plug pulled, and everything read anew from the disk
    cluster.machines[0].pull_plug();
    cluster.control_plane().wait().unwrap();
    cluster.machines[0].power_on();
    cluster.up(&["--no-node"]);
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster.data().join("kubeconfig")).await);
    let held: BTreeSet<String> = maps.list(&ListParams::default()).await.unwrap().into_iter().filter_map(|m| m.metadata.name).collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|name| !held.contains(*name)).collect();
    assert!(lost.is_empty(), "of {} acknowledged writes these are lost: {lost:?}", acknowledged.len());
}

fn web_servers(cluster: &Cluster) -> BTreeSet<String> {
    cluster.machines[0].sh("pgrep -x httpd || true").lines().map(str::to_owned).collect()
}

#[test]
fn pods_outlive_the_control_plane_and_are_adopted() {
    let mut cluster = Cluster::start(&[]);
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let (before, names) = (web_servers(&cluster), cluster.k(&["get", "pods", "-o", "name"]));
    assert_eq!(before.len(), 3);
    cluster.machines[0].sh("pkill -9 -x whalesong");
    cluster.control_plane().wait().unwrap();
    assert_eq!(web_servers(&cluster), before);
    cluster.up(&[]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!(cluster.k(&["get", "pods", "-o", "name"]), names);
    // a container killed now is noticed by the agent that adopted it
    cluster.machines[0].sh("kill -9 $(pgrep -x httpd | head -1)");
    eventually("the restart is counted", MINUTE, || {
        let counts = cluster.k(&["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"]);
        if counts.split(' ').filter(|c| *c == "1").count() == 1 { Ok(()) } else { Err(counts) }
    });
    assert_eq!(web_servers(&cluster).intersection(&before).count(), 2);
}

#[test]
fn a_node_that_was_cut_off_keeps_its_pods() {
    let mut cluster = Cluster::start(&["--nats-listen", "0.0.0.0", "--no-node"]);
    cluster.join();
    cluster.apply(WEB);
    eventually("the web servers run", MINUTE, || {
        let out = output(&mut cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=20s"]));
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    let servers = |cluster: &Cluster| cluster.machines[1].sh("pgrep -x httpd || true");
    let (before, names) = (servers(&cluster), cluster.k(&["get", "pods", "-o", "name"]));
    cluster.machines[1].unplug();
    // long enough that the node counts as lost
    cluster.k(&["wait", "--for=condition=Ready=Unknown", "node/node2", "--timeout=90s"]);
    cluster.machines[1].plug();
    cluster.k(&["wait", "--for=condition=Ready", "node/node2", "--timeout=60s"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!((servers(&cluster), cluster.k(&["get", "pods", "-o", "name"])), (before, names));
}
