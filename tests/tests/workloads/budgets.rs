//! A drain is held up by a disruption budget, and goes on as far as that allows.
use e2e::{Cluster, eventually};
use serde_json::Value;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: none}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 100%, selector: {matchLabels: {app: web}}}
";

fn pods(cluster: &Cluster) -> Vec<Value> {
    cluster.get(&["pods", "-l", "app=web"])["items"].as_array().unwrap().clone()
}

fn allows(cluster: &Cluster, count: i64) {
    eventually("the budget is counted", MINUTE, || {
        let budget = cluster.get(&["pdb", "web"]);
        let (status, generation) = (&budget["status"], &budget["metadata"]["generation"]);
        let right = status["disruptionsAllowed"] == count && status["expectedPods"] == 3 && status["observedGeneration"] == *generation;
        if right { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn a_drain_waits_for_a_budget() {
    let cluster = Cluster::start_hollow(3);
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    allows(&cluster, 0);
    let shown = cluster.k(&["get", "pdb", "web", "--no-headers"]);
    assert_eq!(shown.split_whitespace().take(4).collect::<Vec<_>>(), ["web", "100%", "N/A", "0"], "{shown}");
    let before = pods(&cluster);
    let node = before[0]["spec"]["nodeName"].as_str().unwrap().to_owned();
    let drain = |timeout: &str| ["drain", &node, "--ignore-daemonsets", timeout].map(str::to_owned);
    let held = cluster.k_fails(&drain("--timeout=7s").each_ref().map(String::as_str));
    assert!(held.contains("(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget."), "{held}");
    assert!(pods(&cluster).iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null()), "nothing was evicted");
    let shown = cluster.k(&["describe", "pdb", "web"]);
    assert!(shown.contains("Min available:  100%") && shown.contains("Allowed disruptions:  0") && shown.contains("Desired:"), "{shown}");

    cluster.k(&["patch", "pdb", "web", "--type=merge", "-p", r#"{"spec":{"minAvailable":null,"maxUnavailable":1}}"#]);
    cluster.k(&drain("--timeout=60s").each_ref().map(String::as_str));
    assert!(pods(&cluster).iter().all(|pod| pod["spec"]["nodeName"] != *node), "the node is empty");
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    allows(&cluster, 1);
}

#[test]
fn a_namespace_has_limits() {
    let cluster = Cluster::start_hollow(1);
    let limits = "apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec:
  limits:
  - {type: Container, default: {cpu: 200m}, defaultRequest: {cpu: 100m}, max: {cpu: 500m}}
";
    cluster.apply(limits);
    let pod = |name: &str, cpu: &str| {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: none, resources: {{limits: {{{cpu}}}}}}}]}}\n")
    };
    cluster.apply(&pod("small", ""));
    let made = cluster.get(&["pod", "small"]);
    assert_eq!(made["spec"]["containers"][0]["resources"]["limits"]["cpu"], "200m");
    assert_eq!(made["metadata"]["annotations"]["kubernetes.io/limit-ranger"], "LimitRanger plugin set: cpu request for container c; cpu limit for container c");
    let file = cluster.lab.path().join("large.yaml");
    std::fs::write(&file, pod("large", "cpu: 600m")).unwrap();
    let refused = cluster.k_fails(&["create", "-f", file.to_str().unwrap()]);
    assert!(refused.contains("pods \"large\" is forbidden: maximum cpu usage per Container is 500m, but limit is 600m"), "{refused}");
}
