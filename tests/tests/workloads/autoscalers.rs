//! What nodes and pods use, and autoscalers that go by it.
use e2e::{Cluster, eventually};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// What simulated pods use; nodes say it every ten seconds.
const USED: &str = "whalesong.io/simulated-usage";

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {whalesong.io/simulated-usage: 'cpu=100m,memory=64Mi'}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: none, resources: {requests: {cpu: 200m}}}
      - {name: side, image: none, resources: {requests: {cpu: 200m}}}
";

fn replicas(cluster: &Cluster, want: u64) {
    eventually(&format!("{want} replicas"), MINUTE, || {
        let web = cluster.get(&["deployment", "web"]);
        if web["spec"]["replicas"] == want && web["status"]["readyReplicas"] == want { Ok(()) } else { Err(web["spec"]["replicas"].to_string()) }
    });
}

fn shown(cluster: &Cluster, what: &str, args: &[&str], words: &[&str]) -> String {
    eventually(what, MINUTE, || {
        let output = cluster.kubectl(args).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() && words.iter().all(|word| text.contains(word)) { Ok(text) } else { Err(text) }
    })
}

/// Has all pods use so much of a processor in each of their containers.
fn load(cluster: &Cluster, cpu: &str) {
    cluster.k(&["annotate", "pods", "--all", "--overwrite", &format!("{USED}=cpu={cpu},memory=64Mi")]);
}

#[test]
fn load_up_more_replicas_load_down_fewer() {
    let cluster = Cluster::start_hollow(2);
    cluster.node_ready("hollow-0");
    cluster.node_ready("hollow-1");
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);

    let pods = shown(&cluster, "what pods use", &["top", "pods", "--containers", "-l", "app=web"], &["main", "side", "64Mi"]);
    assert!(pods.lines().skip(1).all(|line| ["99m", "100m", "101m"].iter().any(|used| line.contains(used))), "{pods}");
    assert_eq!(pods.lines().count(), 5, "{pods}");
    let nodes = shown(&cluster, "what nodes use", &["top", "nodes"], &["hollow-0", "hollow-1"]);
    assert!(nodes.lines().skip(1).all(|line| line.contains('%') && !line.contains("unknown")), "{nodes}");
    let tables = cluster.k(&["get", "pods.metrics.k8s.io", "-l", "app=web"]);
    assert!(tables.starts_with("NAME") && tables.contains("CPU") && tables.contains("128Mi"), "{tables}");
    let absent = cluster.k_fails(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/x"]);
    assert!(absent.contains("podmetrics.metrics.k8s.io \"default/x\" not found"), "{absent}");

    cluster.k(&["autoscale", "deployment", "web", "--cpu-percent=50", "--min=2", "--max=6"]);
    cluster.k(&["patch", "hpa", "web", "--type=merge", "-p", r#"{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}"#]);
    shown(&cluster, "the autoscaler knows", &["get", "hpa", "web"], &["cpu: 50%/50%"]);
    load(&cluster, "200m");
    // its new pods use what their template says: with four, (2 · 400 + 2 · 200) of 1600 are still too much
    replicas(&cluster, 6);
    let described = shown(&cluster, "it is described", &["describe", "hpa", "web"], &["SuccessfulRescale", "ScalingActive", "ValidMetricFound"]);
    // how many steps it takes depends on which pods were heard of first
    assert!(described.contains("reason: cpu resource utilization (percentage of request) above target"), "{described}");
    load(&cluster, "5m");
    replicas(&cluster, 2);
    let described = cluster.k(&["describe", "hpa", "web"]);
    assert!(described.contains("New size: 2; reason: All metrics below target"), "{described}");
}

#[test]
fn of_a_custom_resource_and_of_metrics_that_nobody_has() {
    let cluster = Cluster::start_hollow(1);
    cluster.node_ready("hollow-0");
    cluster.apply(
        "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: farms.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: farms, kind: Farm}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size, labelSelectorPath: .status.selector}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
",
    );
    cluster.k(&["wait", "--for=condition=Established", "crd/farms.example.com", "--timeout=10s"]);
    eventually("a farm", MINUTE, || {
        let manifest = br#"{"apiVersion": "example.com/v1", "kind": "Farm", "metadata": {"name": "f"}, "spec": {"size": 1}}"#;
        let answer = cluster.http("POST", "/apis/example.com/v1/namespaces/default/farms", &["Content-Type: application/json"], Some(manifest));
        if answer.code == 201 { Ok(()) } else { Err(answer.text) }
    });
    cluster.k(&["patch", "farm", "f", "--subresource=status", "--type=merge", "-p", r#"{"status":{"selector":"app=f","size":1}}"#]);
    cluster.apply(
        "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: f}
spec:
  scaleTargetRef: {apiVersion: example.com/v1, kind: Farm, name: f}
  minReplicas: 3
  maxReplicas: 5
  metrics:
  - {type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: '10'}}}
",
    );
    eventually("the farm grows", MINUTE, || {
        let farm = cluster.get(&["farm", "f"]);
        if farm["spec"]["size"] == 3 { Ok(()) } else { Err(farm["spec"].to_string()) }
    });
    let words = ["FailedGetExternalMetric", "unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API"];
    shown(&cluster, "nobody has the metric", &["describe", "hpa", "f"], &words);
}
