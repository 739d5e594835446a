use e2e::{Cluster, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const AGENT: &str = "\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: v1}]}
";

/// The images that run on each node.
fn images(cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in cluster.get(&["pods", "-l", "app=agent"])["items"].as_array().unwrap().iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        images.entry(text(&pod["spec"]["nodeName"])).or_default().push(text(&pod["spec"]["containers"][0]["image"]));
    }
    images
}

fn run(cluster: &Cluster, nodes: usize, image: &str) {
    eventually(&format!("{image} on {nodes} nodes"), MINUTE, || {
        let images = images(cluster);
        if images.len() == nodes && images.values().all(|all| all == &[image]) { Ok(()) } else { Err(format!("{images:?}")) }
    });
}

#[test]
fn a_pod_on_every_node_that_is_meant_and_rollouts_back_and_forth() {
    let cluster = Cluster::start_hollow(3);
    cluster.node_ready("hollow-0");
    cluster.node_ready("hollow-1");
    cluster.node_ready("hollow-2");
    cluster.apply(AGENT);
    cluster.k(&["rollout", "status", "daemonset/agent", "--timeout=60s"]);
    run(&cluster, 3, "v1");

    cluster.k(&["set", "image", "daemonset/agent", "c=v2"]);
    cluster.k(&["annotate", "daemonset/agent", "kubernetes.io/change-cause=second"]);
    cluster.k(&["rollout", "status", "daemonset/agent", "--timeout=60s"]);
    run(&cluster, 3, "v2");
    let history = cluster.k(&["rollout", "history", "daemonset/agent"]);
    assert!(history.lines().any(|line| line.starts_with("1 ")) && history.lines().any(|line| line.starts_with("2 ")), "{history}");
    assert!(cluster.k(&["rollout", "history", "daemonset/agent", "--revision=1"]).contains("v1"));

    cluster.k(&["rollout", "undo", "daemonset/agent"]);
    cluster.k(&["rollout", "status", "daemonset/agent", "--timeout=60s"]);
    run(&cluster, 3, "v1");
    let history = cluster.k(&["rollout", "history", "daemonset/agent"]);
    assert!(!history.lines().any(|line| line.starts_with("1 ")) && history.lines().any(|line| line.starts_with("3 ")), "{history}");
    let before = cluster.k(&["get", "pods", "-l", "app=agent", "-o", "name"]);
    cluster.k(&["rollout", "restart", "daemonset/agent"]);
    cluster.k(&["rollout", "status", "daemonset/agent", "--timeout=60s"]);
    let after = cluster.k(&["get", "pods", "-l", "app=agent", "-o", "name"]);
    assert!(before.lines().all(|pod| !after.contains(pod)), "{before}{after}");

    // a surge, another selection of nodes, and nodes that are cordoned all the same
    cluster.k(&["label", "node", "hollow-0", "hollow-1", "where=here"]);
    cluster.k(&["cordon", "hollow-1"]);
    let patch = r#"{"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"spec": {"nodeSelector": {"where": "here"}, "containers": [{"name": "c", "image": "v3"}]}}}}"#;
    cluster.k(&["patch", "daemonset", "agent", "-p", patch]);
    cluster.k(&["rollout", "status", "daemonset/agent", "--timeout=60s"]);
    run(&cluster, 2, "v3");
    let status = &cluster.get(&["daemonset", "agent"])["status"];
    assert_eq!((&status["desiredNumberScheduled"], &status["numberAvailable"], &status["numberMisscheduled"]), (&2.into(), &2.into(), &0.into()), "{status}");
    cluster.k(&["delete", "daemonset", "agent"]);
    eventually("nothing is left", MINUTE, || {
        let left = cluster.k(&["get", "pods,controllerrevisions", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
