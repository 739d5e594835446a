use e2e::{Cluster, eventually};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const WEB: &str = "\
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: v1}]}
";

fn ready(cluster: &Cluster, replicas: u64) {
    eventually(&format!("{replicas} are ready"), MINUTE, || {
        let status = cluster.get(&["rc", "web"])["status"].clone();
        let counts = ["replicas", "readyReplicas", "availableReplicas"].map(|field| status[field].as_u64().unwrap_or_default());
        if counts == [replicas; 3] { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn it_keeps_scales_and_leaves_its_pods() {
    let cluster = Cluster::start_hollow(2);
    cluster.node_ready("hollow-0");
    cluster.apply(WEB);
    ready(&cluster, 2);
    cluster.k(&["scale", "rc", "web", "--replicas=3"]);
    ready(&cluster, 3);
    cluster.k(&["delete", "pods", "-l", "app=web"]);
    ready(&cluster, 3);
    cluster.k(&["delete", "rc", "web", "--cascade=orphan"]);
    let pods = cluster.get(&["pods", "-l", "app=web"]);
    assert_eq!(pods["items"].as_array().unwrap().len(), 3);
    cluster.apply(WEB);
    ready(&cluster, 2);
    cluster.k(&["delete", "rc", "web"]);
    eventually("nothing is left", MINUTE, || {
        let left = cluster.k(&["get", "pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
