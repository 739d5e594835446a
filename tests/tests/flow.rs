//! From `kubectl apply` to Podman containers, and what users do with them next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually, output};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

const WEB: &str = include_str!("../../demo/web.yaml");
const MINUTE: Duration = Duration::from_secs(60);

fn web(cluster: &Cluster) -> String {
    cluster.apply(WEB);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    cluster.k(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"])
}

fn ask(cluster: &Cluster, service: &str) -> Result<String, String> {
    let out = output(cluster.machines[0].command("curl").args(["-sSf", "--max-time", "5", &format!("http://{service}/cgi-bin/who")]));
    if out.status.success() { Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

/// Until so many pods, and only those of this version, answer in a row. A roll out is over when the old pods are told to go, which
/// is a moment before the Service has forgotten them.
fn all_answer(cluster: &Cluster, service: &str, version: &str, pods: usize) {
    let mut seen = BTreeSet::new();
    for _ in 0..400 {
        let answer = ask(cluster, service).unwrap();
        if !answer.starts_with(version) {
            seen.clear();
            continue;
        }
        seen.insert(answer);
        if seen.len() == pods {
            return;
        }
    }
    panic!("only {seen:?} answered");
}

fn names(cluster: &Cluster) -> BTreeSet<String> {
    cluster.k(&["get", "pods", "-l", "app=web", "-o", "name"]).lines().map(str::to_owned).collect()
}

#[test]
fn a_deployment_becomes_containers_behind_a_service() {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    let service = web(&cluster);
    all_answer(&cluster, &service, "v1", 3);

    // a container killed behind the cluster's back returns in the same pod
    let pod = names(&cluster).pop_first().unwrap();
    let pod = pod.trim_start_matches("pod/");
    cluster.machines[0].sh(&format!("for p in $(pgrep httpd); do [ \"$(nsenter -t $p -u hostname)\" = {pod} ] && kill -9 $p; done; true"));
    eventually("the restart is counted", MINUTE, || {
        let count = cluster.get(&["pod", pod])["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0);
        if count >= 1 { Ok(()) } else { Err(format!("restartCount {count}")) }
    });
    cluster.k(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"]);

    // a deleted pod is replaced by another
    cluster.k(&["delete", "pod", pod, "--timeout=60s"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert!(!names(&cluster).contains(&format!("pod/{pod}")));

    cluster.k(&["scale", "deployment", "web", "--replicas=5"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    all_answer(&cluster, &service, "v1", 5);
}

#[test]
fn a_rolling_update_fails_no_request_and_rolls_back() {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    let service = web(&cluster);
    let script = format!("while [ ! -e /tmp/stop ]; do curl -sf --max-time 5 http://{service}/cgi-bin/who || echo FAILED; done");
    let go = cluster.machines[0].disk().join("stop");
    let script = script.replace("/tmp/stop", go.to_str().unwrap());
    let requests = cluster.machines[0].command("bash").arg("-c").arg(script).stdout(Stdio::piped()).spawn().unwrap();
    cluster.k(&["set", "image", "deployment/web", "web=localhost/web:v2"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    std::fs::write(&go, "").unwrap();
    let answers = String::from_utf8(requests.wait_with_output().unwrap().stdout).unwrap();
    let failed = answers.lines().filter(|l| l.contains("FAILED")).count();
    assert_eq!(failed, 0, "of {} requests", answers.lines().count());
    assert!(answers.contains("v1 from") && answers.contains("v2 from"), "{answers}");
    all_answer(&cluster, &service, "v2", 3);

    let history = cluster.k(&["rollout", "history", "deployment/web"]);
    assert!(history.contains("1 ") && history.contains("2 "), "{history}");
    cluster.k(&["rollout", "undo", "deployment/web"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    all_answer(&cluster, &service, "v1", 3);
}

#[test]
fn logs_exec_and_port_forward() {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    cluster.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: talk}, spec: {terminationGracePeriodSeconds: 0, containers: [\
         {name: web, image: 'localhost/web:v1'},\
         {name: talk, image: 'localhost/busybox:1', command: [sh, -c, 'for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 100000']}]}}",
    );
    cluster.k(&["wait", "--for=condition=Ready", "pod/talk", "--timeout=60s"]);
    assert_eq!(cluster.k(&["logs", "talk", "-c", "talk", "--tail=2"]), "line 3\noops\n");
    let followed = output(
        std::process::Command::new("timeout").args(["3", "kubectl", "logs", "-f", "talk", "-c", "talk"]).env("KUBECONFIG", cluster.data().join("kubeconfig")),
    );
    assert!(String::from_utf8_lossy(&followed.stdout).contains("line 1\nline 2\nline 3\n"));

    assert_eq!(cluster.k(&["exec", "talk", "-c", "talk", "--", "hostname"]).trim(), "talk");
    let exit = output(&mut cluster.kubectl(&["exec", "talk", "-c", "talk", "--", "sh", "-c", "exit 7"]));
    assert_eq!(exit.status.code(), Some(7));
    assert!(cluster.k_fails(&["exec", "talk", "-c", "nobody", "--", "true"]).contains("container nobody is not valid for pod talk"));

    for websockets in ["true", "false"] {
        exec_and_port_forward_over(&cluster, websockets);
    }
}

/// `kubectl` streams over WebSockets, or over SPDY/3.1 as it did before version 1.31.
fn exec_and_port_forward_over(cluster: &Cluster, websockets: &str) {
    let kubectl = |args: &[&str]| {
        let mut command = cluster.kubectl(args);
        command.envs([("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)]);
        command
    };
    let ran = output(&mut kubectl(&["exec", "talk", "-c", "talk", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]));
    assert_eq!((ran.status.code(), &*ran.stdout), (Some(7), &b"out\n"[..]));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("err\n"));

    let mut forward = kubectl(&["port-forward", "pod/talk", "0:8080"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(forward.stdout.as_mut().unwrap()), &mut line).unwrap();
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_else(|| panic!("{line}"));
    let answer = e2e::run(std::process::Command::new("curl").args(["-sSf", "--max-time", "5", &format!("http://127.0.0.1:{port}/cgi-bin/who")]));
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert_eq!(answer.trim(), "v1 from talk");
}

#[test]
fn a_dead_nodes_pods_move() {
    let mut cluster = Cluster::start(&["--nats-listen", "0.0.0.0"]);
    cluster.node_ready("node1");
    cluster.join();
    cluster.node_ready("node2");
    cluster.apply(&include_str!("../../demo/mover.yaml").replace("node-2", "node2"));
    cluster.k(&["rollout", "status", "deployment/mover", "--timeout=60s"]);
    let on = |cluster: &Cluster| {
        cluster.k(&[
            "get",
            "pods",
            "-l",
            "app=mover",
            "-o",
            "jsonpath={range .items[*]}{.metadata.deletionTimestamp}{.spec.nodeName} {.status.phase}{\"\\n\"}{end}",
        ])
    };
    assert_eq!(on(&cluster), "node2 Running\nnode2 Running\n");
    cluster.machines[1].pull_plug();
    eventually("its pods run on the first node", Duration::from_secs(90), || {
        let now = on(&cluster);
        if now.matches("node1 Running").count() == 2 { Ok(()) } else { Err(now) }
    });
}

#[test]
fn each_role_in_a_process_of_its_own() {
    let mut cluster = Cluster::start_roles();
    cluster.node_ready("node1");
    let service = web(&cluster);
    all_answer(&cluster, &service, "v1", 3);
    let pod = names(&cluster).pop_first().unwrap();
    assert_eq!(cluster.k(&["exec", &pod, "--", "hostname"]).trim(), pod.trim_start_matches("pod/"));
    // each of them killed and started again disturbs nobody
    for role in ["scheduler", "controllers", "state", "gateway"] {
        cluster.machines[0].sh(&format!("pkill -9 -f 'whalesong[ ]{role}'"));
        cluster.again(role);
    }
    cluster.k(&["scale", "deployment", "web", "--replicas=4"]);
    cluster.k(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    all_answer(&cluster, &service, "v1", 4);
}
