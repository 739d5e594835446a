use e2e::{Cluster, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn claim(name: &str, class: Option<&str>) -> Value {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}});
    if let Some(class) = class {
        spec["storageClassName"] = json!(class);
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
}

/// A pod on a node, whose container does what `script` says with its volume at `/data`.
fn pod(name: &str, node: &str, volume: &Value, script: &str) -> Value {
    let mut volume = volume.clone();
    volume["name"] = json!("data");
    let container = json!({
        "name": "c", "image": "localhost/busybox:1", "command": ["sh", "-c", script], "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    });
    let spec = json!({"nodeName": node, "terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container], "volumes": [volume]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

fn of_claim(claim: &str) -> Value {
    json!({"persistentVolumeClaim": {"claimName": claim}})
}

/// Chooses the node of a claim's volume, as the scheduler does for the first pod.
fn select(cluster: &Cluster, claim: &str, node: &str) {
    cluster.k(&["annotate", "pvc", claim, "--overwrite", &format!("volume.kubernetes.io/selected-node={node}")]);
}

fn bound(cluster: &Cluster, claim: &str) -> String {
    cluster.k(&["wait", "--for=jsonpath={.status.phase}=Bound", &format!("pvc/{claim}"), "--timeout=60s"]);
    cluster.k(&["get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"])
}

fn gone(cluster: &Cluster, what: &[&str]) {
    eventually(&format!("{what:?} is gone"), MINUTE, || {
        let left = cluster.k(&[&["get", "-o", "name", "--ignore-not-found"][..], what].concat());
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

fn has_event(cluster: &Cluster, about: &str, reason: &str) {
    eventually(&format!("{about} {reason}"), MINUTE, || {
        let selector = format!("involvedObject.name={about},reason={reason}");
        let found = cluster.k(&["get", "events", "-A", "--field-selector", &selector, "-o", "name"]);
        if found.is_empty() { Err(cluster.k(&["get", "events", "-A"])) } else { Ok(()) }
    });
}

#[test]
fn claims_find_volumes_and_keep_them_over_simulated_nodes() {
    let cluster = Cluster::start_hollow(2);
    cluster.node_ready("hollow-0");
    let row = cluster.k(&["get", "storageclass", "local-path", "--no-headers"]);
    assert!(row.contains("(default)") && row.contains("whalesong.dev/local-path") && row.contains("WaitForFirstConsumer"), "{row}");

    // one that somebody made, by its class
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "made"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual", "hostPath": {"path": "/x"}},
    });
    cluster.apply(&volume.to_string());
    cluster.apply(&claim("static", Some("manual")).to_string());
    assert_eq!(bound(&cluster, "static"), "made");
    cluster.k(&["delete", "pvc", "static"]);
    cluster.k(&["wait", "--for=jsonpath={.status.phase}=Released", "pv/made", "--timeout=60s"]);
    cluster.k(&["delete", "pv", "made"]);

    // one that is made for the node of the first pod
    cluster.apply(&claim("data", None).to_string());
    has_event(&cluster, "data", "WaitForFirstConsumer");
    select(&cluster, "data", "hollow-1");
    let name = bound(&cluster, "data");
    let affinity = cluster.get(&["pv", &name])["spec"]["nodeAffinity"].to_string();
    assert!(affinity.contains("hollow-1"), "{affinity}");
    for reason in ["ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"] {
        has_event(&cluster, "data", reason);
    }
    cluster.k(&["patch", "pvc", "data", "-p", r#"{"spec": {"resources": {"requests": {"storage": "32Mi"}}}}"#]);
    cluster.k(&["wait", "--for=jsonpath={.status.capacity.storage}=32Mi", "pvc/data", "--timeout=60s"]);

    // a pod keeps its claim, and the claim its volume
    cluster.apply(&pod("user", "hollow-1", &of_claim("data"), "sleep 100000").to_string());
    cluster.k(&["delete", "pvc", "data", "--wait=false"]);
    cluster.k(&["delete", "pv", &name, "--wait=false"]);
    assert_eq!(cluster.k(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"]), "Bound");
    cluster.k(&["delete", "pod", "user"]);
    gone(&cluster, &["pvc,pv"]);
}

#[test]
fn data_outlives_its_pod_and_goes_with_its_claim() {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    cluster.apply(&claim("data", None).to_string());
    cluster.apply(&pod("writer", "node1", &of_claim("data"), "echo kept > /data/file").to_string());
    has_event(&cluster, "writer", "FailedMount");
    select(&cluster, "data", "node1");
    let name = bound(&cluster, "data");
    let ended = |pod: &str| {
        eventually("the pod has ended well", MINUTE, || {
            let told = cluster.get(&["pod", pod]);
            if told["status"]["phase"] == "Succeeded" { Ok(()) } else { Err(told["status"].to_string()) }
        });
        cluster.k(&["logs", pod])
    };
    ended("writer");
    cluster.k(&["delete", "pod", "writer"]);
    cluster.apply(&pod("reader", "node1", &of_claim("data"), "cat /data/file").to_string());
    assert_eq!(ended("reader").trim(), "kept");
    let path = cluster.k(&["get", "pv", &name, "-o", "jsonpath={.spec.local.path}"]);
    assert_eq!(std::fs::read_to_string(format!("{path}/file")).unwrap().trim(), "kept");
    let enforced = cluster.k(&["get", "pv", &name, "-o", r"jsonpath={.metadata.annotations.whalesong\.dev/size-enforced}"]);
    if enforced == "false" {
        has_event(&cluster, &name, "SizeNotEnforced");
    }

    // a claim of the pod's own; images can't be mounted here, as these machines share a store of them that Podman only reads
    let template = json!({"spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "16Mi"}}}});
    cluster.apply(&pod("own", "node1", &json!({"ephemeral": {"volumeClaimTemplate": template}}), "touch /data/x; echo done").to_string());
    eventually("the pod's own claim", MINUTE, || {
        let left = cluster.k(&["get", "pvc", "own-data", "-o", "name", "--ignore-not-found"]);
        if left.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    });
    select(&cluster, "own-data", "node1");
    assert_eq!(ended("own").trim(), "done");

    cluster.k(&["delete", "pod", "reader", "own"]);
    cluster.k(&["delete", "pvc", "data"]);
    gone(&cluster, &["pvc,pv"]);
    assert!(!std::path::Path::new(&path).exists());
}
