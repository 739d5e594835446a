//! Processes killed, machines cut off: nothing acknowledged is lost, nothing that runs is disturbed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, Machine, eventually, output};
use std::collections::BTreeSet;
use std::time::Duration;

const WEB: &str = include_str!("../../demo/web.yaml");
const MINUTE: Duration = Duration::from_secs(60);

/// The web servers of a machine's containers; not what they fork for a request, which may be a probe's.
fn web_servers(machine: &Machine) -> BTreeSet<String> {
    machine.sh("pgrep -x httpd -P \"$(pgrep -d, conmon)\" || true").lines().map(str::to_owned).collect()
}

#[test]
fn pods_outlive_the_control_plane_and_are_adopted() {
    let mut cluster = Cluster::start(&[]);
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let (before, names) = (web_servers(&cluster.machines[0]), cluster.k(&["get", "pods", "-o", "name"]));
    assert_eq!(before.len(), 3);
    cluster.machines[0].sh("pkill -9 -x whalesong");
    cluster.control_plane().wait().unwrap();
    assert_eq!(web_servers(&cluster.machines[0]), before);
    cluster.up(&[]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!(cluster.k(&["get", "pods", "-o", "name"]), names);
    // a container killed now is noticed by the agent that adopted it
    cluster.machines[0].sh(&format!("kill -9 {}", before.first().unwrap()));
    eventually("the restart is counted", MINUTE, || {
        let counts = cluster.k(&["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"]);
        if counts.split(' ').filter(|c| *c == "1").count() == 1 { Ok(()) } else { Err(counts) }
    });
    assert_eq!(web_servers(&cluster.machines[0]).intersection(&before).count(), 2);
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
    let (before, names) = (web_servers(&cluster.machines[1]), cluster.k(&["get", "pods", "-o", "name"]));
    cluster.machines[1].unplug();
    // long enough that the node counts as lost
    cluster.k(&["wait", "--for=condition=Ready=Unknown", "node/node2", "--timeout=90s"]);
    cluster.machines[1].plug();
    cluster.k(&["wait", "--for=condition=Ready", "node/node2", "--timeout=60s"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!((web_servers(&cluster.machines[1]), cluster.k(&["get", "pods", "-o", "name"])), (before, names));
}

/// Longer than a node may be silent (40 s), with pods that tolerate a lost node for one second only: those who judge nodes heard as little as the nodes.
#[test]
fn nobody_is_evicted_because_the_bus_was_away() {
    let cluster = Cluster::start_roles();
    let lost = "[{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1},\
                 {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]";
    cluster.apply(&WEB.replace("      terminationGracePeriodSeconds: 5\n", &format!("      tolerations: {lost}\n")));
    assert_eq!(cluster.get(&["deployment", "web"])["spec"]["template"]["spec"]["tolerations"].as_array().unwrap().len(), 2);
    cluster.k(&["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"]);
    let pods = |cluster: &Cluster| cluster.k(&["get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.metadata.deletionTimestamp}{\"\\n\"}{end}"]);
    let (before, servers) = (pods(&cluster), web_servers(&cluster.machines[0]));
    cluster.machines[0].sh("pkill -STOP nats-server");
    std::thread::sleep(Duration::from_secs(75));
    cluster.machines[0].sh("pkill -CONT nats-server");
    eventually("the API answers again", MINUTE, || {
        let out = output(&mut cluster.kubectl(&["get", "--raw", "/readyz"]));
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    // a change of the Deployment has been through every component: had anybody planned an eviction, it would have been done by then
    std::thread::sleep(Duration::from_secs(15));
    cluster.k(&["annotate", "deployment/web", "after=the-silence"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!((pods(&cluster), web_servers(&cluster.machines[0])), (before, servers));
    let events = cluster.k(&["get", "events", "-A", "-o", "jsonpath={.items[*].reason}"]);
    assert!(!events.contains("NodeNotReady") && !events.contains("Evict"), "{events}");
}
