//! Nodes that lose their power, their cluster or their agent, and what their pods and clients see of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually, output};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const WEB: &str = include_str!("../../demo/web.yaml");
const MINUTE: Duration = Duration::from_secs(60);

/// A control plane without pods on the first machine, and a node on the second.
fn apart() -> Cluster {
    let mut cluster = Cluster::start(&["--no-node", "--nats-listen", "0.0.0.0"]);
    cluster.join();
    cluster.node_ready("node2");
    cluster
}

/// Who answers at a Service's address, asked on the node.
fn who(cluster: &Cluster, address: &str) -> Result<String, String> {
    let url = format!("http://{address}/cgi-bin/who");
    let out = output(cluster.machines[1].command("curl").args(["-sSf", "--max-time", "5", &url]));
    if out.status.success() { Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

fn address(cluster: &Cluster, service: &str) -> String {
    cluster.k(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"])
}

/// A Service that brings each client back to the same of the web servers.
const STICKY: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: sticky}, spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: http}]}}";

fn clients_come_back_to_where_they_were(cluster: &Cluster) {
    cluster.apply(STICKY);
    let sticky = address(cluster, "sticky");
    let first = eventually("it answers", MINUTE, || who(cluster, &sticky));
    for other in ["a", "b", "c", "d", "e"] {
        cluster.apply(&STICKY.replace("sticky", other));
        let other = address(cluster, other);
        eventually("the other Service answers", MINUTE, || who(cluster, &other));
        assert_eq!(who(cluster, &sticky).unwrap(), first, "after another Service came");
    }
    cluster.k(&["delete", "service", "a", "b", "c", "d", "e"]);
    let gone = |name: &str| !cluster.machines[1].sh("nft list table ip whalesong-services").contains(&format!("default/{name}/"));
    eventually("the node forgets them", MINUTE, || if gone("a") && gone("e") { Ok(()) } else { Err("not yet".to_owned()) });
    assert_eq!(who(cluster, &sticky).unwrap(), first, "after others went");
}

/// A pod that ended, one that refers to what may be missing, and the marks that they leave.
fn others(marks: &str) -> String {
    let volume = format!("volumes: [{{name: v, hostPath: {{path: '{marks}'}}}}]");
    let mount = "volumeMounts: [{name: v, mountPath: /v}]";
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: there}}, data: {{word: whale}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: ended}}, spec: {{restartPolicy: OnFailure, containers: [
  {{name: c, image: 'localhost/busybox:1', command: [sh, -c, 'echo ran >> /v/ended'], {mount}}}], {volume}}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: reader}}, spec: {{terminationGracePeriodSeconds: 0, containers: [
  {{name: c, image: 'localhost/busybox:1', command: [sh, -c, 'echo $WORD $NONE $STICKY_SERVICE_HOST $KUBERNETES_SERVICE_HOST >> /v/reader; sleep 100000'], {mount},
   env: [{{name: WORD, valueFrom: {{configMapKeyRef: {{name: there, key: word}}}}}}, {{name: NONE, valueFrom: {{configMapKeyRef: {{name: nowhere, key: x, optional: true}}}}}}]}}], {volume}}}}}
"
    )
}

#[test]
fn a_node_comes_back_without_its_cluster() {
    let mut cluster = apart();
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    clients_come_back_to_where_they_were(&cluster);
    let marks = cluster.machines[1].disk().join("marks");
    std::fs::create_dir(&marks).unwrap();
    cluster.apply(&others(marks.to_str().unwrap()));
    cluster.k(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ended", "--timeout=60s"]);
    cluster.k(&["wait", "--for=condition=Ready", "pod/reader", "--timeout=60s"]);
    let pods = |cluster: &Cluster| cluster.k(&["get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.status.podIP}{\"\\n\"}{end}"]);
    let (before, web) = (pods(&cluster), address(&cluster, "web"));

    cluster.machines[1].pull_plug();
    cluster.machines[1].unplug();
    cluster.machines[1].power_on();
    cluster.agent(1);
    let mut seen = BTreeSet::new();
    eventually("all web servers answer at the Service's address", MINUTE, || {
        seen.insert(who(&cluster, &web)?);
        if seen.len() == 3 { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    let lines = eventually("the reader runs again", MINUTE, || {
        let text = std::fs::read_to_string(marks.join("reader")).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() == 2 { Ok(lines) } else { Err(text) }
    });
    assert!(lines[0].starts_with("whale 10.96.") && lines[0] == lines[1], "its environment is the same: {lines:?}");
    assert_eq!(std::fs::read_to_string(marks.join("ended")).unwrap(), "ran\n", "what had ended stays so");

    cluster.machines[1].plug();
    eventually("the restarts are told", MINUTE, || {
        let counts = cluster.k(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"]);
        if counts == "1 1 1" { Ok(()) } else { Err(counts) }
    });
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!(pods(&cluster), before, "the same pods with the same addresses");
}

const SCALED: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaled}
spec:
  replicas: 20
  selector: {matchLabels: {app: scaled}}
  template:
    metadata: {labels: {app: scaled}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: 'localhost/busybox:1', command: [sleep, '100000']}]
";

fn kill_agent(cluster: &Cluster) {
    cluster.machines[1].sh("pkill -9 -f 'whalesong[ ]agent'");
}

/// The pods that have containers on the node, one entry a container that runs.
fn running(cluster: &Cluster) -> Vec<String> {
    let list = cluster.machines[1].sh("podman ps --format '{{index .Labels \"io.whalesong.pod.name\"}}'");
    let mut names: Vec<String> = list.lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn exactly_the_desired_pods_run(cluster: &Cluster) {
    eventually("exactly the desired containers run", Duration::from_secs(90), || {
        let list = cluster.get(&["pods"]);
        let name = |p: &Value| p["metadata"]["name"].as_str().unwrap().to_owned();
        let mut desired: Vec<String> = list["items"].as_array().unwrap().iter().map(name).collect();
        desired.sort();
        let now = running(cluster);
        if now == desired && now.len() == 20 { Ok(()) } else { Err(format!("{} run, {} are desired", now.len(), desired.len())) }
    });
}

#[test]
fn an_agent_that_is_killed_under_load_loses_and_doubles_nothing() {
    let mut cluster = apart();
    cluster.apply(SCALED);
    for replicas in [4, 20, 20] {
        std::thread::sleep(Duration::from_millis(1500));
        kill_agent(&cluster);
        cluster.k(&["scale", "deployment/scaled", &format!("--replicas={replicas}")]);
        cluster.agent(1);
    }
    cluster.k(&["rollout", "status", "deployment/scaled", "--timeout=90s"]);
    exactly_the_desired_pods_run(&cluster);
    let count = format!("ls {} | wc -l", cluster.machines[1].disk().join("data/node/pods").display());
    eventually("nothing is left of pods that are gone", MINUTE, || match cluster.machines[1].sh(&count).trim() {
        "20" => Ok(()),
        left => Err(format!("{left} directories")),
    });
    strays_end_in_their_time(&mut cluster);
}

/// Pods that the agent's disk lost: the one that is still desired is adopted, the other gets its grace.
fn strays_end_in_their_time(cluster: &mut Cluster) {
    let disk = cluster.machines[1].disk().to_owned();
    for name in ["stays", "goes"] {
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 20, volumes: [{{name: v, hostPath: {{path: '{}'}}}}], containers: [
              {{name: c, image: 'localhost/busybox:1', volumeMounts: [{{name: v, mountPath: /v}}], command: [sh, -c, 'trap \"sleep 1; echo well > /v/{name}.end; exit 0\" TERM; while :; do sleep 0.1; done']}}]}}}}",
            disk.display()
        ));
        cluster.k(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=60s"]);
    }
    let id = |cluster: &Cluster| cluster.get(&["pod", "stays"])["status"]["containerStatuses"][0]["containerID"].clone();
    let before = id(cluster);
    kill_agent(cluster);
    for name in ["stays", "goes"] {
        let uid = cluster.k(&["get", "pod", name, "-o", "jsonpath={.metadata.uid}"]);
        std::fs::remove_file(disk.join("data/node/pods").join(uid).join("pod.json")).unwrap();
    }
    cluster.k(&["delete", "pod", "goes", "--force", "--grace-period=0"]);
    cluster.agent(1);
    eventually("the stray ends well", MINUTE, || std::fs::read_to_string(disk.join("goes.end")).map_err(|e| e.to_string()));
    eventually("nothing is left of it", MINUTE, || {
        let now = running(cluster);
        if now.contains(&"goes".to_owned()) { Err(format!("{now:?}")) } else { Ok(()) }
    });
    assert!(running(cluster).contains(&"stays".to_owned()) && id(cluster) == before, "what is desired is adopted");
}

/// The Node and its Lease are made again by the agent that runs on, as the kubelet does.
#[test]
fn a_node_that_was_deleted_registers_again() {
    let cluster = Cluster::start(&["--no-node", "--hollow-nodes", "1"]);
    let uid = |cluster: &Cluster| {
        eventually("the node is Ready", Duration::from_secs(60), || {
            let out = output(&mut cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=1s"]));
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
        cluster.k(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}"])
    };
    let before = uid(&cluster);
    cluster.k(&["delete", "node", "--all"]);
    assert_ne!(uid(&cluster), before);
}

fn hollow(cluster: &Cluster, args: &[&str]) -> String {
    let data = cluster.data();
    e2e::run(cluster.machines[0].command(e2e::whalesong()).args(["hollow", "--data", data.to_str().unwrap()]).args(args))
}

fn pod_on(cluster: &Cluster, name: &str, node: &str) {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {node}, terminationGracePeriodSeconds: 0, containers: [{{name: c, image: i}}]}}}}"
    ));
}

fn phase(cluster: &Cluster, pod: &str) -> String {
    cluster.k(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"])
}

fn runs(cluster: &Cluster, pod: &str) {
    cluster.k(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"]);
}

/// Something is the matter with simulated nodes, on demand: their pods wait for it to be over, and those of others don't.
#[test]
fn simulated_nodes_fail_in_the_ways_that_they_are_told_to() {
    let cluster = Cluster::start(&["--no-node", "--hollow-nodes", "4", "--hollow-start-delay", "20ms"]);
    for node in 0..4 {
        cluster.node_ready(&format!("hollow-{node}"));
    }
    assert_eq!(hollow(&cluster, &[]), "of all: 4 well\n");
    assert_eq!(hollow(&cluster, &["silent", "--count", "1"]), "hollow-0 is now silent; of all: 1 silent, 3 well\n");
    assert_eq!(hollow(&cluster, &["cut", "--nodes", "hollow-1"]), "hollow-1 is now cut; of all: 1 cut, 1 silent, 2 well\n");
    hollow(&cluster, &["flapping", "--nodes", "hollow-2", "--every", "1s"]);
    for (pod, node) in [("hung", "hollow-0"), ("alone", "hollow-1"), ("now-and-then", "hollow-2"), ("well", "hollow-3")] {
        pod_on(&cluster, pod, node);
    }
    runs(&cluster, "well");
    runs(&cluster, "now-and-then");
    assert_eq!((phase(&cluster, "hung"), phase(&cluster, "alone")), ("Pending".to_owned(), "Pending".to_owned()));
    let said = hollow(&cluster, &["well"]);
    assert_eq!(said, "3 nodes are now well, hollow-0 to hollow-2; of all: 4 well\n");
    runs(&cluster, "hung");
    runs(&cluster, "alone");
    // what it kept while it was cut off is confirmed when it is back
    hollow(&cluster, &["cut", "--nodes", "hollow-1", "--for", "2s"]);
    cluster.k(&["delete", "pod", "alone", "--wait=true", "--timeout=30s"]);
    hollow(&cluster, &["slow", "--delay", "1s", "--nodes", "hollow-3"]);
    let start = std::time::Instant::now();
    pod_on(&cluster, "late", "hollow-3");
    runs(&cluster, "late");
    assert!(start.elapsed() > Duration::from_secs(2), "to hear of it and to tell of it takes a second each");
}

/// A pod bound to the node by its author, with more in its spec and its container.
fn bound(cluster: &Cluster, name: &str, spec: &str, container: &str) {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: node2, terminationGracePeriodSeconds: 0, {spec} containers: [\
         {{name: c, image: 'localhost/web:v1', {container}}}]}}}}"
    ));
}

fn container_status(cluster: &Cluster, pod: &str) -> serde_json::Value {
    cluster.get(&["pod", pod])["status"]["containerStatuses"][0].clone()
}

fn restarts(cluster: &Cluster, pod: &str) -> i64 {
    container_status(cluster, pod)["restartCount"].as_i64().unwrap_or_default()
}

/// Who binds a pod to a node himself doesn't ask the scheduler whether it fits there: the node asks.
#[test]
fn a_node_refuses_what_it_cannot_run() {
    let mut cluster = apart();
    let port = "ports: [{containerPort: 8080, hostPort: 18097}]";
    bound(&cluster, "first", "", port);
    runs(&cluster, "first");
    let rows = [
        (
            "cpu",
            "",
            "resources: {requests: {cpu: '500', memory: 500Gi}}",
            "OutOfcpu",
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 500000, used: ",
        ),
        ("memory", "", "resources: {requests: {memory: 500Ti}}", "OutOfmemory", "Pod was rejected: Node didn't have enough resource: memory, requested: "),
        ("windows", "os: {name: windows},", "", "PodOSNotSupported", "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS"),
        (
            "elsewhere",
            "nodeSelector: {disk: ssd},",
            "",
            "NodeAffinity",
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        ("second", "", port, "NodePorts", "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"),
    ];
    for (name, spec, container, reason, message) in rows {
        bound(&cluster, name, spec, container);
        cluster.k(&["wait", "--for=jsonpath={.status.phase}=Failed", &format!("pod/{name}"), "--timeout=60s"]);
        let status = &cluster.get(&["pod", name])["status"];
        assert_eq!(status["reason"], reason);
        assert!(status["message"].as_str().unwrap().starts_with(message), "{status}");
        let about = format!("involvedObject.name={name},reason={reason},type=Warning");
        let told = || cluster.get(&["events", "--field-selector", &about])["items"].as_array().unwrap().len();
        eventually("an event says so", MINUTE, || if told() == 1 { Ok(()) } else { Err(told().to_string()) });
    }
    // what others say of the node counts at once, and what runs is not asked again
    cluster.k(&["label", "node", "node2", "disk=ssd"]);
    bound(&cluster, "labelled", "nodeSelector: {disk: ssd},", "");
    runs(&cluster, "labelled");
    cluster.k(&["label", "node", "node2", "disk-"]);
    what_failed_has_failed_for_the_next_agent(&mut cluster, port);
}

/// An agent that starts anew doesn't try again what has failed for good, nor count from the beginning.
fn what_failed_has_failed_for_the_next_agent(cluster: &mut Cluster, port: &str) {
    bound(cluster, "never", "restartPolicy: Never,", "command: [/no/such]");
    bound(cluster, "always", "", "command: [/bin/sh], workingDir: /etc/passwd");
    eventually("both have failed", MINUTE, || {
        if container_status(cluster, "never")["state"]["terminated"]["reason"] == "StartError" && restarts(cluster, "always") > 0 {
            Ok(())
        } else {
            Err(container_status(cluster, "always").to_string())
        }
    });
    let before = restarts(cluster, "always");
    kill_agent(cluster);
    cluster.agent(1);
    cluster.node_ready("node2");
    runs(cluster, "labelled");
    cluster.k(&["delete", "pod", "first"]);
    bound(cluster, "third", "", port);
    eventually("the port is free again", MINUTE, || {
        let status = cluster.get(&["pod", "third"])["status"].clone();
        if status["phase"] == "Running" { Ok(()) } else { Err(status.to_string()) }
    });
    let never = container_status(cluster, "never");
    assert_eq!(never["state"]["terminated"]["reason"], "StartError", "{never}");
    let after = restarts(cluster, "always");
    assert!(after >= before, "{before} restarts, and then {after}");
    let events = cluster.get(&["events", "--field-selector", "involvedObject.name=never,reason=Created"]);
    assert_eq!(events["items"][0]["count"], 1, "{events}");
}
