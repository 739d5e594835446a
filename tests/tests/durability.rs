//! What was acknowledged lasts, and nothing is applied twice: processes killed while many write, a disk that is full, and how often it is synced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::history::{Writers, client};
use e2e::{Cluster, Syncs, eventually};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::json;
use std::time::Duration;

/// Long enough for hundreds of writes between two kills.
const BREATH: Duration = Duration::from_millis(700);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(flavor = "multi_thread")]
async fn writes_outlive_kills_of_nats_and_a_pulled_plug() {
    let mut cluster = Cluster::start(&["--no-node"]);
    let kubeconfig = cluster.data().join("kubeconfig");
    let writers = Writers::start(&kubeconfig, 16, 4).await;
    for _ in 0..4 {
        tokio::time::sleep(BREATH).await;
        cluster.machines[0].sh("pkill -9 nats-server");
    }
    tokio::time::sleep(BREATH).await;
    // everything at once, and all read anew from the disk
    cluster.machines[0].pull_plug();
    cluster.control_plane().wait().unwrap();
    cluster.machines[0].power_on();
    cluster.up(&["--no-node"]);
    tokio::time::sleep(BREATH).await;
    let (acknowledged, unknown) = writers.check().await;
    assert!(acknowledged > 200, "only {acknowledged} writes, {unknown} of unknown fate");
}

/// Hundreds at once are committed in batches: each kill meets some of them half written.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_whole_or_its_writes_are_told_so() {
    let cluster = Cluster::start(&["--no-node"]);
    let writers = Writers::start(&cluster.data().join("kubeconfig"), 256, 8).await;
    for _ in 0..6 {
        tokio::time::sleep(BREATH).await;
        cluster.machines[0].sh("pkill -9 nats-server");
    }
    tokio::time::sleep(BREATH).await;
    let (acknowledged, unknown) = writers.check().await;
    assert!(acknowledged > 500, "only {acknowledged} writes, {unknown} of unknown fate");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_outlive_a_kill_of_each_role() {
    let mut cluster = Cluster::start_roles();
    let writers = Writers::start(&cluster.data().join("kubeconfig"), 16, 4).await;
    for role in ["state", "gateway", "controllers", "scheduler", "agent", "state", "gateway"] {
        tokio::time::sleep(BREATH).await;
        cluster.machines[0].sh(&format!("pkill -9 -f 'whalesong[ ]{role}'"));
        cluster.again(role);
    }
    tokio::time::sleep(BREATH).await;
    let (acknowledged, unknown) = writers.check().await;
    assert!(acknowledged > 200, "only {acknowledged} writes, {unknown} of unknown fate");
}

fn create(cluster: &Cluster, name: &str) -> e2e::cluster::Answer {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"pad": "x".repeat(100_000)}});
    cluster.http("POST", MAPS, &["Content-Type: application/json"], Some(body.to_string().as_bytes()))
}

/// A write that finds no space says so, reads go on, and with space again so do writes: nothing that was acknowledged is missing.
#[test]
fn a_full_disk_refuses_writes_and_loses_none() {
    let mut cluster = Cluster::booted();
    // where the log is
    let disk = cluster.data().join("nats");
    cluster.machines[0].sh(&format!("mkdir -p {0}; mount -t tmpfs -o size=64m disk {0}", disk.display()));
    cluster.up(&["--no-node"]);
    let mut acknowledged = vec!["early".to_owned()];
    assert_eq!(create(&cluster, "early").code, 201);
    // somebody else fills it, but for a few MiB
    cluster.machines[0].sh(&format!("cd {}; dd if=/dev/zero of=ballast bs=1M count=60 2>/dev/null || true", disk.display()));
    let refused = (0..1000).find_map(|n| {
        let answer = create(&cluster, &format!("map-{n}"));
        match answer.code {
            201 => acknowledged.push(format!("map-{n}")),
            code => return Some((code, answer.text)),
        }
        None
    });
    let (code, text) = refused.expect("4 MiB take less than 1000 objects of 100 kB");
    assert!(matches!(code, 503 | 504) && text.contains("disk is full"), "{code} {text}");
    let held = |cluster: &Cluster| -> Vec<String> {
        let list = cluster.http("GET", MAPS, &[], None);
        assert_eq!(list.code, 200, "{}", list.text);
        list.body["items"].as_array().unwrap().iter().map(|m| m["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let missing = |held: &[String]| acknowledged.iter().filter(|name| !held.contains(name)).cloned().collect::<Vec<_>>();
    let one = cluster.http("GET", &format!("{MAPS}/early"), &[], None);
    assert_eq!(one.code, 200, "{}", one.text);
    cluster.machines[0].sh(&format!("rm {}/ballast", disk.display()));
    eventually("writes are taken again", Duration::from_secs(20), || {
        let answer = create(&cluster, "after");
        if matches!(answer.code, 201 | 409) { Ok(()) } else { Err(answer.text) }
    });
    assert_eq!(missing(&held(&cluster)), Vec::<String>::new());
    // the same from the disk alone
    cluster.machines[0].sh("pkill -9 whalesong; pkill -9 nats-server");
    cluster.control_plane().wait().unwrap();
    cluster.up(&["--no-node"]);
    assert_eq!(missing(&held(&cluster)), Vec::<String>::new());
}

/// One at a time, each write is synced before its answer; many at once share syncs.
#[tokio::test(flavor = "multi_thread")]
async fn each_write_is_synced_and_many_share_a_sync() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster.data().join("kubeconfig")).await);
    let named = |name: String| ConfigMap { metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() }, ..ConfigMap::default() };
    let syncs = Syncs::count(&cluster);
    for n in 0..20 {
        let before = syncs.so_far();
        maps.create(&PostParams::default(), &named(format!("alone-{n}"))).await.unwrap();
        assert!(syncs.so_far() > before, "write {n} was acknowledged without a sync");
    }
    let before = syncs.so_far();
    let all = (0..1024).map(|n| {
        let (maps, map) = (maps.clone(), named(format!("together-{n}")));
        async move { maps.create(&PostParams::default(), &map).await }
    });
    for made in futures::stream::iter(all).buffer_unordered(256).collect::<Vec<_>>().await {
        made.unwrap();
    }
    let together = syncs.so_far() - before;
    syncs.stop(&cluster);
    assert!(together > 0 && together < 1024 / 4, "{together} syncs for 1024 writes, 256 at once");
}
