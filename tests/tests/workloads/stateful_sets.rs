use e2e::{Cluster, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A set of three pods.
fn set(name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {name}}}\nspec:\n  replicas: 3\n  serviceName: {name}s\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: c, image: v1}}]}}\n{more}"
    )
}

/// The names of a set's pods with their images, once as wanted.
fn run(cluster: &Cluster, wanted: &[(&str, &str)]) {
    eventually(&format!("{wanted:?}"), MINUTE, || {
        let pods = cluster.get(&["pods", "-l", "app=db"])["items"].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all: Vec<_> = pods.as_array().unwrap().iter().map(|pod| (text(&pod["metadata"]["name"]), text(&pod["spec"]["containers"][0]["image"]))).collect();
        let same = all.iter().map(|(name, image)| (name.as_str(), image.as_str())).eq(wanted.iter().copied());
        if same { Ok(()) } else { Err(format!("{all:?}")) }
    });
}

#[test]
fn pods_keep_their_names_through_rollouts_and_scaling() {
    let cluster = Cluster::start_hollow(2);
    cluster.node_ready("hollow-0");
    cluster.apply(&set("db", ""));
    cluster.k(&["rollout", "status", "statefulset/db", "--timeout=60s"]);
    run(&cluster, &[("db-0", "v1"), ("db-1", "v1"), ("db-2", "v1")]);
    let created = |name: &str| cluster.k(&["get", "pod", name, "-o", "jsonpath={.metadata.creationTimestamp}"]);
    assert!(created("db-0") <= created("db-1") && created("db-1") <= created("db-2"));

    cluster.k(&["patch", "statefulset", "db", "-p", r#"{"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}"#]);
    cluster.k(&["set", "image", "statefulset/db", "c=v2"]);
    cluster.k(&["rollout", "status", "statefulset/db", "--timeout=60s"]);
    run(&cluster, &[("db-0", "v1"), ("db-1", "v1"), ("db-2", "v2")]);
    cluster.k(&["patch", "statefulset", "db", "-p", r#"{"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0, "maxUnavailable": 2}}}}"#]);
    cluster.k(&["rollout", "status", "statefulset/db", "--timeout=60s"]);
    run(&cluster, &[("db-0", "v2"), ("db-1", "v2"), ("db-2", "v2")]);
    let history = cluster.k(&["rollout", "history", "statefulset/db"]);
    assert!(history.lines().any(|line| line.starts_with("1 ")) && history.lines().any(|line| line.starts_with("2 ")), "{history}");
    cluster.k(&["rollout", "undo", "statefulset/db", "--to-revision=1"]);
    cluster.k(&["rollout", "status", "statefulset/db", "--timeout=60s"]);
    run(&cluster, &[("db-0", "v1"), ("db-1", "v1"), ("db-2", "v1")]);
    let status = cluster.get(&["statefulset", "db"])["status"].clone();
    assert_eq!((&status["currentRevision"], &status["currentReplicas"]), (&status["updateRevision"], &json!(3)), "{status}");
    cluster.k(&["rollout", "restart", "statefulset/db"]);
    cluster.k(&["rollout", "status", "statefulset/db", "--timeout=60s"]);

    cluster.k(&["scale", "statefulset", "db", "--replicas=1"]);
    run(&cluster, &[("db-0", "v1")]);
    let events = cluster.k(&["get", "events", "--field-selector", "involvedObject.name=db", "-o", "jsonpath={.items[*].message}"]);
    assert!(events.contains("Delete Pod db-2 in StatefulSet db successful"), "{events}");
    cluster.k(&["delete", "statefulset", "db"]);
    run(&cluster, &[]);
}

#[test]
fn claims_are_made_with_the_owners_that_the_policy_says() {
    let cluster = Cluster::start_hollow(1);
    let claims = "  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n";
    let policy = "  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}\n";
    cluster.apply(&set("kept", claims));
    cluster.apply(&set("gone", &format!("{claims}{policy}")));
    let owners = |claim: &str| {
        eventually(&format!("the claim {claim}"), MINUTE, || {
            let claims = cluster.get(&["pvc"])["items"].clone();
            let found = claims.as_array().unwrap().iter().find(|c| c["metadata"]["name"] == claim).cloned();
            found.map(|c| c["metadata"]["ownerReferences"].clone()).ok_or_else(|| claims.to_string())
        })
    };
    assert_eq!(owners("data-kept-0"), Value::Null);
    assert_eq!(owners("data-gone-0")[0]["name"], "gone");
    cluster.k(&["delete", "statefulset", "kept", "gone"]);
    eventually("the claims of one set go with it", MINUTE, || match cluster.k(&["get", "pvc", "-o", "name"]) {
        left if left.contains("gone") || !left.contains("kept") => Err(left),
        _ => Ok(()),
    });
}
