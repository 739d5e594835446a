//! What a node does with a pod's containers, as users see it: sessions, hooks, limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::machine::REGISTRY;
use e2e::{Cluster, Terminal, eventually, output};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// A cluster of one node that is Ready.
fn node() -> Cluster {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    cluster
}

fn ready(cluster: &Cluster, pod: &str) {
    cluster.k(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"]);
}

/// The first container's status, once `wanted` finds in it what it looks for.
fn status<T>(cluster: &Cluster, pod: &str, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
    eventually(what, MINUTE, || {
        let status = cluster.get(&["pod", pod])["status"]["containerStatuses"][0].clone();
        wanted(&status).ok_or_else(|| status.to_string())
    })
}

/// Messages of a pod's events with this reason.
fn events(cluster: &Cluster, pod: &str, reason: &str) -> Vec<String> {
    let all = cluster.get(&["events", "--field-selector", &format!("involvedObject.name={pod},reason={reason}")]);
    all["items"].as_array().unwrap().iter().map(|e| e["message"].as_str().unwrap().to_owned()).collect()
}

fn has_event(cluster: &Cluster, pod: &str, reason: &str, text: &str) {
    eventually(&format!("an event {reason} says {text:?}"), MINUTE, || {
        let found = events(cluster, pod, reason);
        if found.iter().any(|m| m.contains(text)) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

const TALKERS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: shell}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'localhost/busybox:1', command: [sleep, '100000']}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: parrot}, spec: {terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: 'localhost/busybox:1', stdin: true, command: [sh, -c, 'while read line; do echo got $line; echo heard $line >&2; done; echo end; sleep 100000']}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: once}, spec: {restartPolicy: Never, containers: [
  {name: c, image: 'localhost/busybox:1', stdin: true, stdinOnce: true, command: [sh, -c, 'wc -c; exit 3']}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: screen}, spec: {terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: 'localhost/busybox:1', stdin: true, tty: true, command: [sh]}]}}
";

#[test]
fn sessions_reach_containers() {
    let cluster = node();
    cluster.apply(TALKERS);
    for pod in ["shell", "parrot", "once", "screen"] {
        ready(&cluster, pod);
    }
    commands_end_with_their_code(&cluster);
    a_terminal_follows_its_window(&cluster, &["exec", "-it", "shell", "--", "sh"]);
    attached_output_and_input(&cluster);
    a_terminal_follows_its_window(&cluster, &["attach", "-it", "screen"]);
    stdin_that_is_given_once(&cluster);
    containers_that_are_added(&cluster);
    requests_that_are_passed_on(&cluster);
}

/// `kubectl debug`: a container that is added sees its target's processes, runs once, and stays as it was added.
fn containers_that_are_added(cluster: &Cluster) {
    let debug = |more: &[&str]| cluster.k(&[&["debug", "shell", "--image=localhost/busybox:1", "--profile=general", "-q"], more].concat());
    debug(&["-c", "looks", "--target=c", "--", "sh", "-c", "ps; sleep 100000"]);
    eventually("the target's processes are seen", MINUTE, || {
        let seen = cluster.kubectl(&["logs", "shell", "-c", "looks"]).output().unwrap();
        let text = String::from_utf8_lossy(&seen.stdout).into_owned();
        if text.contains("sleep 100000") && text.contains("    1 ") { Ok(()) } else { Err(text) }
    });
    assert!(cluster.k(&["exec", "shell", "-c", "looks", "--", "cat", "/proc/1/cmdline"]).starts_with("sleep"));
    debug(&["-c", "ends", "--", "sh", "-c", "exit 3"]);
    let ended = eventually("it ends", MINUTE, || {
        let pod = cluster.get(&["pod", "shell"]);
        let all = pod["status"]["ephemeralContainerStatuses"].as_array().cloned().unwrap_or_default();
        let status = all.into_iter().find(|s| s["name"] == "ends").unwrap_or_default();
        if status["state"]["terminated"].is_object() { Ok(status) } else { Err(status.to_string()) }
    });
    assert_eq!((&ended["state"]["terminated"]["exitCode"], &ended["restartCount"]), (&3.into(), &0.into()));
    let patch = |patch: &str| cluster.k_fails(&["patch", "pod", "shell", "--subresource=ephemeralcontainers", "-p", patch]);
    let refused = patch(r#"{"spec":{"ephemeralContainers":[{"name":"ends","image":"other"}]}}"#);
    assert!(refused.contains("existing ephemeral containers \"ends\" may not be changed"), "{refused}");
    let refused = patch(r#"{"spec":{"ephemeralContainers":[{"name":"x","image":"i","targetContainerName":"none"}]}}"#);
    assert!(refused.contains("spec.ephemeralContainers[0].targetContainerName: Not found: \"none\""), "{refused}");
}

const SERVED: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: served, labels: {app: served}}, spec: {terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: 'localhost/web:v1', ports: [{containerPort: 8080, name: web}], readinessProbe: {httpGet: {port: 8080, path: /cgi-bin/who}, periodSeconds: 1}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: hostly}, spec: {hostNetwork: true, terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: 'localhost/busybox:1', command: [sleep, '100001']}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: served}, spec: {selector: {app: served}, ports: [{name: http, port: 80, targetPort: web}]}}
";

/// `pods/proxy` and `services/proxy` lead to pods, and nowhere else.
fn requests_that_are_passed_on(cluster: &Cluster) {
    cluster.apply(SERVED);
    ready(cluster, "served");
    ready(cluster, "hostly");
    let get = |path: &str| cluster.http("GET", &format!("/api/v1/namespaces/default/{path}"), &[], None);
    cluster.k(&["exec", "served", "--", "sh", "-c", "echo '<a href=\"/x\">x</a>' > /www/page.html; echo '<a href=\"/x\">x</a>' > /www/page.txt"]);
    for path in ["pods/served", "pods/served:8080", "pods/http:served:8080", "services/served", "services/served:http", "services/served:80"] {
        eventually("it answers", MINUTE, || {
            let answer = get(&format!("{path}/proxy/cgi-bin/who"));
            if answer.code == 200 && answer.text.contains("v1 from") { Ok(()) } else { Err(format!("{path}: {} {}", answer.code, answer.text)) }
        });
        let page = get(&format!("{path}/proxy/page.html")).text;
        assert_eq!(page, format!("<a href=\"/api/v1/namespaces/default/{path}/proxy/x\">x</a>\n"));
    }
    assert_eq!(get("pods/served/proxy/page.txt").text, "<a href=\"/x\">x</a>\n");
    assert_eq!(get("pods/served/proxy").code, 301);
    assert_eq!(get("pods/served/proxy/none").code, 404);
    let refused = [
        ("pods/hostly:22/proxy/", 400, "address not allowed"),
        ("pods/served:1/proxy/", 503, "error trying to reach service"),
        ("pods/ftp:served:21/proxy/", 400, "invalid pod request"),
        ("services/served:other/proxy/", 503, "no service port \\\"other\\\" found"),
        ("services/kubernetes/proxy/", 503, "no endpoints available"),
    ];
    for (path, code, why) in refused {
        let answer = get(path);
        assert!(answer.code == code && answer.text.contains(why), "{path}: {} {}", answer.code, answer.text);
    }
    let reader = cluster.http("POST", "/api/v1/namespaces/default/pods/served/proxy/", &["Impersonate-User: nobody"], None);
    assert!(reader.code == 403 && reader.text.contains("cannot create resource \\\"pods/proxy\\\""), "{}", reader.text);
}

fn commands_end_with_their_code(cluster: &Cluster) {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("exit 255", 255)] {
        let out = output(&mut cluster.kubectl(&["exec", "shell", "--", "sh", "-c", script]));
        assert_eq!(out.status.code(), Some(code), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let refused = cluster.k_fails(&["exec", "shell", "--", "/no/such/program"]);
    assert!(refused.contains("no such file") || refused.contains("not found"), "{refused}");
    let out = output(&mut cluster.kubectl(&["exec", "shell", "--", "sh", "-c", "echo to stdout; echo to stderr >&2"]));
    assert_eq!((out.stdout.as_slice(), out.stderr.as_slice()), (&b"to stdout\n"[..], &b"to stderr\n"[..]));
    // a megabyte there and back, none of it lost at the end of stdin
    let mut cat = cluster.kubectl(&["exec", "-i", "shell", "--", "sh", "-c", "cat; exit 4"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let (mut stdin, bytes) = (cat.stdin.take().unwrap(), sent.clone());
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let mut received = Vec::new();
    cat.stdout.take().unwrap().read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());
    assert_eq!(cat.wait().unwrap().code(), Some(4));
}

fn a_terminal_follows_its_window(cluster: &Cluster, session: &[&str]) {
    let mut terminal = Terminal::start(&cluster.kubectl(session), 97, 31);
    has_size(&mut terminal, "31 97\r");
    terminal.resize(120, 40);
    has_size(&mut terminal, "40 120\r");
    terminal.type_in("tty; exit 5\r");
    terminal.expect("/dev/pts/");
    let status = terminal.end();
    if session.first() == Some(&"exec") {
        assert_eq!(status.code(), Some(5));
    }
}

/// Asks until the program on the terminal says so: a new size takes its time to get there.
fn has_size(terminal: &mut Terminal, size: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        terminal.type_in("stty size\r");
        if terminal.shows(size, Duration::from_secs(1)) {
            return;
        }
        assert!(Instant::now() < until, "never of size {size}: {terminal:?}");
    }
}

fn attached_output_and_input(cluster: &Cluster) {
    for round in ["first", "second"] {
        // what one client's end of stdin is, isn't the container's
        let mut attach = cluster.kubectl(&["attach", "-i", "parrot"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = attach.stdin.take().unwrap();
        stdin.write_all(format!("{round}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(attach.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, format!("got {round}\n"));
        let mut errors = BufReader::new(attach.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(errors.any(|l| l == format!("heard {round}")), "what it says on stderr comes on stderr");
        drop(stdin);
        attach.kill().unwrap();
        attach.wait().unwrap();
    }
    assert!(!cluster.k(&["logs", "parrot"]).contains("end"), "its stdin is open still");
}

fn stdin_that_is_given_once(cluster: &Cluster) {
    let mut attach = cluster.kubectl(&["attach", "-i", "once"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    attach.stdin.take().unwrap().write_all(b"12345").unwrap();
    let out = attach.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "5");
    let code = status(cluster, "once", "its stdin's end is its end", |s| s["state"]["terminated"]["exitCode"].as_i64());
    assert_eq!(code, 3);
}

/// Pods whose hooks leave their marks in a directory of the node.
fn hooked(dir: &str) -> String {
    let pod = |name: &str, spec: &str| {
        format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{spec}, volumes: [{{name: v, hostPath: {{path: '{dir}'}}}}]}}}}\n")
    };
    let own = "image: 'localhost/busybox:1', volumeMounts: [{name: v, mountPath: /v}]";
    let serve = "mkdir -p /www/cgi-bin; printf \"#!/bin/sh\\necho asked > /v/asked\\necho; echo\\n\" > /www/cgi-bin/bye; chmod 755 /www/cgi-bin/bye; exec httpd -f -p 8080 -h /www";
    [
        pod(
            "execs",
            &format!(
                "terminationGracePeriodSeconds: 20, containers: [{{name: c, {own}, command: [sh, -c, 'trap \"echo term >> /v/execs; exit 0\" TERM; while :; do sleep 0.1; done'], \
                 lifecycle: {{postStart: {{exec: {{command: [sh, -c, 'echo began >> /v/execs']}}}}, preStop: {{exec: {{command: [sh, -c, 'sleep 1; echo stops >> /v/execs']}}}}}}}}]"
            ),
        ),
        pod(
            "asks",
            &format!("containers: [{{name: c, {own}, command: [sh, -c, '{serve}'], lifecycle: {{preStop: {{httpGet: {{path: /cgi-bin/bye, port: 8080}}}}}}}}], terminationGracePeriodSeconds: 1"),
        ),
        pod("sleeps", &format!("containers: [{{name: c, {own}, command: [sh, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'], lifecycle: {{preStop: {{sleep: {{seconds: 2}}}}}}}}]")),
        pod("stubborn", &format!("terminationGracePeriodSeconds: 3, containers: [{{name: c, {own}, command: [sh, -c, 'trap \"\" TERM; while :; do sleep 0.1; done']}}]")),
        pod("unhooked", &format!("restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{{name: c, {own}, command: [sleep, '1000'], lifecycle: {{postStart: {{exec: {{command: [sh, -c, 'echo not today; exit 9']}}}}}}}}]")),
        pod("last", &format!("restartPolicy: Never, containers: [{{name: c, {own}, terminationMessagePath: /tmp/words, command: [sh, -c, 'printf goodbye > /tmp/words; exit 2']}}]")),
        pod("logged", &format!("restartPolicy: Never, containers: [{{name: c, {own}, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, 'echo from the log; exit 2']}}]")),
    ]
    .concat()
}

/// How long a deletion took.
fn deletion(cluster: &Cluster, pod: &str) -> Duration {
    let began = Instant::now();
    cluster.k(&["delete", "pod", pod, "--timeout=60s"]);
    began.elapsed()
}

#[test]
fn containers_end_as_they_are_told_to() {
    let cluster = node();
    let marks = cluster.machines[0].disk().join("marks");
    std::fs::create_dir(&marks).unwrap();
    let mark = |name: &str| std::fs::read_to_string(marks.join(name)).unwrap_or_default();
    cluster.apply(&hooked(marks.to_str().unwrap()));
    for pod in ["execs", "asks", "sleeps", "stubborn"] {
        ready(&cluster, pod);
    }
    assert_eq!(mark("execs"), "began\n");
    let took = deletion(&cluster, "execs");
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(mark("execs"), "began\nstops\nterm\n");
    deletion(&cluster, "asks");
    assert_eq!(mark("asked"), "asked\n");
    let took = deletion(&cluster, "sleeps");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    let took = deletion(&cluster, "stubborn");
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(12), "{took:?}");

    let ended = status(&cluster, "unhooked", "its postStart hook fails it", |s| s["state"]["terminated"]["exitCode"].as_i64());
    assert_eq!(ended, 137);
    has_event(&cluster, "unhooked", "FailedPostStartHook", "not today");
    let message = |pod: &str| status(&cluster, pod, "it leaves a message", |s| s["state"]["terminated"]["message"].as_str().map(str::to_owned));
    assert_eq!(message("last"), "goodbye");
    assert_eq!(message("logged"), "from the log\n");
}

const LIMITED: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: limited}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'localhost/busybox:1', command: [sleep, '100000'],
  resources: {requests: {cpu: 250m, memory: 16Mi}, limits: {cpu: 500m, memory: 32Mi}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: greedy}, spec: {restartPolicy: Never, containers: [{name: c, image: 'localhost/busybox:1', command: [tail, /dev/zero],
  resources: {limits: {memory: 16Mi}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: killed}, spec: {restartPolicy: Never, containers: [{name: c, image: 'localhost/busybox:1', command: [sleep, '90001'],
  resources: {limits: {memory: 16Mi}}}]}}
";

/// Prints a file of the cgroup of the node's process whose command line is `sleep 100000`, from the hierarchy that the node has: its name in v1 or in v2.
fn cgroup(cluster: &Cluster, controller: &str, v1: &str, v2: &str) -> String {
    // a container runs a moment before its runtime becomes the command
    eventually("the container's command runs", MINUTE, || {
        let found = output(cluster.machines[0].command("pgrep").args(["-xf", "sleep 100000"]));
        if found.status.success() { Ok(()) } else { Err("no such process".to_owned()) }
    });
    let script = format!(
        "pid=$(pgrep -xf 'sleep 100000'); path=$(awk -F: '$2 ~ /(^|,){controller}(,|$)/ {{ print $3 }}' /proc/$pid/cgroup)
         if [ -n \"$path\" ]; then cat /sys/fs/cgroup/{controller}$path/{v1}; else cat /sys/fs/cgroup$(awk -F: '$1 == 0 {{ print $3 }}' /proc/$pid/cgroup)/{v2}; fi"
    );
    cluster.machines[0].sh(&script).trim().to_owned()
}

#[test]
fn limits_hold() {
    let cluster = node();
    cluster.apply(LIMITED);
    ready(&cluster, "limited");
    assert_eq!(cgroup(&cluster, "memory", "memory.limit_in_bytes", "memory.max"), (32 << 20).to_string());
    let quota = cgroup(&cluster, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "50000" || quota == "50000 100000", "{quota}");
    let shares = cgroup(&cluster, "cpu", "cpu.shares", "cpu.weight");
    assert!(shares == "256" || shares == "10", "{shares}");
    a_size_that_changes(&cluster);
    let ended = |pod: &str| {
        let end = status(&cluster, pod, "it is killed", |s| s["state"]["terminated"]["reason"].as_str().map(|_| s["state"]["terminated"].clone()));
        (end["reason"].as_str().unwrap().to_owned(), end["exitCode"].as_i64())
    };
    assert_eq!(ended("greedy"), ("OOMKilled".to_owned(), Some(137)));
    ready(&cluster, "killed");
    cluster.machines[0].sh("kill -9 $(pgrep -xf 'sleep 90001')");
    assert_eq!(ended("killed"), ("Error".to_owned(), Some(137)));
}

/// `kubectl patch --subresource resize`: a container gets another size while it runs, or waits for it.
fn a_size_that_changes(cluster: &Cluster) {
    let id = cluster.get(&["pod", "limited"])["status"]["containerStatuses"][0]["containerID"].clone();
    let size = |cpu: &str, memory: &str| {
        format!(r#"{{"spec":{{"containers":[{{"name":"c","resources":{{"requests":{{"cpu":"{cpu}"}},"limits":{{"cpu":"2","memory":"{memory}"}}}}}}]}}}}"#)
    };
    let resize = |patch: &str| cluster.k(&["patch", "pod", "limited", "--subresource=resize", "-p", patch]);
    resize(&size("300m", "48Mi"));
    let status = status(cluster, "limited", "it has the size", |s| (s["resources"]["limits"]["memory"] == "48Mi").then(|| s.clone()));
    assert_eq!((&status["containerID"], &status["restartCount"], &status["allocatedResources"]["cpu"]), (&id, &0.into(), &"300m".into()));
    assert_eq!(cgroup(cluster, "memory", "memory.limit_in_bytes", "memory.max"), (48 << 20).to_string());
    has_event(cluster, "limited", "ResizeCompleted", "Pod resize completed");
    resize(&size("1000", "48Mi").replace("\"cpu\":\"2\"", "\"cpu\":\"1000\""));
    let pending = eventually("it is said why not", MINUTE, || {
        let pod = cluster.get(&["pod", "limited"]);
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|c| c["type"] == "PodResizePending").ok_or_else(|| pod["status"].to_string())
    });
    assert_eq!((&pending["status"], &pending["reason"]), (&"True".into(), &"Infeasible".into()), "{pending}");
    let refused = cluster.k_fails(&[
        "patch",
        "pod",
        "limited",
        "--subresource=resize",
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/spec/containers/0/resources"}]"#,
    ]);
    assert!(refused.contains("resource limits cannot be removed"), "{refused}");
}

#[test]
fn ports_of_the_node_lead_to_pods() {
    let mut cluster = Cluster::start(&["--no-node", "--nats-listen", "0.0.0.0"]);
    cluster.join();
    cluster.node_ready("node2");
    cluster.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {terminationGracePeriodSeconds: 0, containers: [\
         {name: c, image: 'localhost/web:v1', ports: [{containerPort: 8080, hostPort: 8090}]}]}}",
    );
    ready(&cluster, "web");
    let url = format!("http://{}:8090/cgi-bin/who", cluster.machines[1].address);
    let ask = |machine: usize| output(cluster.machines[machine].command("curl").args(["-sSf", "--max-time", "5", &url]));
    // from another machine, from the node itself, and from the pod by the node
    for machine in [0, 1] {
        eventually("the node's port answers", MINUTE, || {
            let out = ask(machine);
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
    }
    let inside = format!("nsenter --net=$(ls -d {}/*/ns/net) curl -sSf --max-time 5 {url}", cluster.machines[1].disk().join("data/node/pods").display());
    assert_eq!(cluster.machines[1].sh(&inside), "v1 from web\n");
    by_loopback(&cluster);
    cluster.k(&["delete", "pod", "web"]);
    eventually("nobody is there any more", MINUTE, || if ask(0).status.success() { Err("it answers".to_owned()) } else { Ok(()) });
}

/// The node reaches its ports by its loopback addresses; nobody else reaches what listens there.
fn by_loopback(cluster: &Cluster) {
    cluster.k(&["label", "pod", "web", "app=web"]);
    for (name, policy, port) in [("all", "Cluster", 30080), ("local", "Local", 30081)] {
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{type: NodePort, externalTrafficPolicy: {policy}, selector: {{app: web}}, \
             ports: [{{port: 80, targetPort: 8080, nodePort: {port}}}]}}}}"
        ));
    }
    let node = &cluster.machines[1];
    for port in [8090, 30080, 30081] {
        eventually("the port answers on loopback", MINUTE, || {
            let out = output(node.command("curl").args(["-sSf", "--max-time", "5", &format!("http://127.0.0.1:{port}/cgi-bin/who")]));
            if out.status.success() { Ok(()) } else { Err(format!("{port}: {}", String::from_utf8_lossy(&out.stderr))) }
        });
    }
    // what listens on the node's loopback alone, asked by a pod that sends packets to 127.0.0.1 out
    let dir = node.disk().display();
    let mut server = node.command("busybox").args(["httpd", "-f", "-p", "127.0.0.1:8091", "-h", &dir.to_string()]).spawn().unwrap();
    let ask = format!(
        "nsenter --net=$(ls -d {dir}/data/node/pods/*/ns/net) bash -c 'ip addr flush dev lo; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
         ip route replace 127.0.0.1 via $(ip route | sed -n \"s/default via \\([0-9.]*\\).*/\\1/p\"); curl -sS --connect-timeout 1 http://127.0.0.1:8091/'"
    );
    let asked = output(node.command("bash").args(["-c", &ask]));
    assert_eq!(asked.status.code(), Some(28), "curl waits in vain: {asked:?}");
    node.sh("nft flush chain ip whalesong-ws0 guard");
    let asked = output(node.command("bash").args(["-c", &ask]));
    assert!(asked.status.success(), "without its guard: {asked:?}");
    server.kill().and_then(|()| server.wait()).unwrap();
}

/// The password `sesame`, hashed.
const HTPASSWD: &str = "sailor:$2b$04$L.Qta9rolG9frUebwm3NXO/s3Uj2yrOYv1dW99jHxB6m3oac3Ulvy\n";

/// A registry on the first machine that lets nobody in without a password, with the image `team/app:1` in it and nowhere else.
fn registry(cluster: &Cluster) -> Child {
    let (machine, dir) = (&cluster.machines[0], cluster.machines[0].disk().join("registry"));
    std::fs::create_dir(&dir).unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(dir.join("htpasswd"), HTPASSWD).unwrap();
    let config = format!(
        "{{version: 0.1, storage: {{filesystem: {{rootdirectory: '{}'}}}}, http: {{addr: '{REGISTRY}'}}, auth: {{htpasswd: {{realm: tests, path: '{}'}}}}}}",
        at("data"),
        at("htpasswd")
    );
    std::fs::write(dir.join("config.yml"), config).unwrap();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let server = machine.command("docker-registry").args(["serve", &at("config.yml")]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let (app, tree) = (format!("{REGISTRY}/team/app:1"), at("tree"));
    eventually("the registry has its image", MINUTE, || {
        let script = format!(
            "mkdir -p {tree}/bin; cp $(command -v busybox) {tree}/bin/; tar -C {tree} -c . | podman import -q -c 'CMD [\"/bin/busybox\", \"sleep\", \"100000\"]' - {app}
             podman push -q --creds sailor:sesame {app}; podman rmi {app}"
        );
        let out = output(machine.command("bash").args(["-ec", &script]));
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    server
}

fn pulling(cluster: &Cluster, name: &str, image: &str, policy: &str, more: &str) {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 0, {more} \
         containers: [{{name: c, image: '{image}', imagePullPolicy: {policy}}}]}}}}"
    ));
}

/// Waits until the container waits for this reason; why it says it does.
fn waits(cluster: &Cluster, pod: &str, reason: &str) -> String {
    status(cluster, pod, reason, |s| {
        let waiting = &s["state"]["waiting"];
        (waiting["reason"] == reason).then(|| waiting["message"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn images_come_from_registries() {
    let cluster = node();
    let mut server = registry(&cluster);
    let app = format!("{REGISTRY}/team/app:1");
    for (name, password) in [("good", "sesame"), ("bad", "open")] {
        let (server, password) = (format!("--docker-server={REGISTRY}"), format!("--docker-password={password}"));
        cluster.k(&["create", "secret", "docker-registry", name, &server, "--docker-username=sailor", &password]);
    }
    pulling(&cluster, "anonymous", &app, "IfNotPresent", "");
    let why = waits(&cluster, "anonymous", "ImagePullBackOff");
    assert!(why.starts_with(&format!("Back-off pulling image \"{app}\": ErrImagePull: ")) && why.contains("authentication required"), "{why}");
    has_event(&cluster, "anonymous", "Failed", &format!("Failed to pull image \"{app}\": "));
    has_event(&cluster, "anonymous", "Failed", "Error: ErrImagePull");
    has_event(&cluster, "anonymous", "Failed", "Error: ImagePullBackOff");
    has_event(&cluster, "anonymous", "BackOff", &format!("Back-off pulling image \"{app}\""));

    pulling(&cluster, "trusted", &app, "IfNotPresent", "imagePullSecrets: [{name: bad}, {name: good}],");
    ready(&cluster, "trusted");
    has_event(&cluster, "trusted", "Pulled", &format!("Successfully pulled image \"{app}\" in "));
    let id = status(&cluster, "trusted", "it has an image", |s| s["imageID"].as_str().map(str::to_owned));
    assert!(id.starts_with(&format!("{REGISTRY}/team/app@sha256:")), "{id}");

    pulling(&cluster, "present", &app, "IfNotPresent", "");
    ready(&cluster, "present");
    has_event(&cluster, "present", "Pulled", &format!("Container image \"{app}\" already present on machine"));
    pulling(&cluster, "always", &app, "Always", "imagePullSecrets: [{name: bad}],");
    waits(&cluster, "always", "ImagePullBackOff");

    cluster.k(&["create", "serviceaccount", "puller"]);
    cluster.k(&["patch", "serviceaccount", "puller", "-p", "{\"imagePullSecrets\": [{\"name\": \"good\"}]}"]);
    pulling(&cluster, "account", &app, "Always", "serviceAccountName: puller,");
    ready(&cluster, "account");

    pulling(&cluster, "never", "localhost/nobody:1", "Never", "");
    assert_eq!(waits(&cluster, "never", "ErrImageNeverPull"), "Container image \"localhost/nobody:1\" is not present with pull policy of Never");
    has_event(&cluster, "never", "Failed", "Error: ErrImageNeverPull");
    pulling(&cluster, "invalid", "No:1:2", "Always", "");
    let why = waits(&cluster, "invalid", "InvalidImageName");
    assert!(why.contains("couldn't parse image name \"No:1:2\""), "{why}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A server that answers by the path that it is asked for, one connection after the other, and notes what it was asked.
const ANSWERS: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: answers}, data: {serve: 'while :; do nc -l -p 8080 -e sh /s/one; done', one: '
  read method path version; while read -r line; do line=$(echo \"$line\" | tr -d \"\\r\"); [ -z \"$line\" ] && break; echo \"$path $line\" >> /tmp/asked; done;
  case $path in
    /to-fail) status=302; to=/fail;;
    /away) status=302; to=http://other.example/;;
    /fail) status=500; to=;;
    *) status=200; to=;;
  esac;
  printf \"HTTP/1.1 $status X\\r\\nLocation: $to\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n\"'}}
";

fn probed(cluster: &Cluster, name: &str, action: &str) {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 0, volumes: [{{name: s, configMap: {{name: answers}}}}], containers: [\
         {{name: c, image: 'localhost/busybox:1', command: [sh, /s/serve], volumeMounts: [{{name: s, mountPath: /s}}], \
         readinessProbe: {{periodSeconds: 1, httpGet: {{port: 8080, {action}}}}}}}]}}}}"
    ));
}

#[test]
fn http_probes_ask_as_they_are_told_and_follow_redirects_within_the_pod() {
    let cluster = node();
    cluster.apply(ANSWERS);
    probed(&cluster, "redirected", "path: /to-fail");
    probed(&cluster, "sent-away", "path: /away");
    probed(&cluster, "spaced", "path: '/a {b}', httpHeaders: [{name: user-agent, value: mine}, {name: x-a, value: one}]");
    ready(&cluster, "sent-away");
    has_event(&cluster, "sent-away", "ProbeWarning", "Readiness probe warning: Probe terminated redirects");
    ready(&cluster, "spaced");
    let asked = cluster.k(&["exec", "spaced", "--", "cat", "/tmp/asked"]);
    for line in ["/a%20%7Bb%7D User-Agent: mine", "/a%20%7Bb%7D X-A: one", "/a%20%7Bb%7D Accept: */*"] {
        assert!(asked.lines().any(|l| l == line), "{asked}");
    }
    assert!(!asked.contains("kube-probe"), "{asked}");
    has_event(&cluster, "redirected", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500");
    assert!(!status(&cluster, "redirected", "it has a status", |s| s["ready"].as_bool()));
}

/// Volumes follow what they show: the pod's labels, and objects that come into being after the pod.
#[test]
fn volumes_follow_what_they_show() {
    let cluster = node();
    cluster.apply(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: words}, data: {a: one, b: two}}
---
{apiVersion: v1, kind: Pod, metadata: {name: shows, labels: {v: '1'}, annotations: {x: '1'}}, spec: {terminationGracePeriodSeconds: 0, volumes: [
  {name: d, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: ann, fieldRef: {fieldPath: \"metadata.annotations['x']\"}}]}},
  {name: p, projected: {sources: [{downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}, {configMap: {name: late, optional: true}}, {secret: {name: late, optional: true}}]}},
  {name: c, configMap: {name: late, optional: true}}, {name: s, secret: {secretName: late, optional: true}},
  {name: twice, configMap: {name: words, items: [{key: a, path: x}, {key: a, path: deep/y}, {key: b, path: z}]}}],
  containers: [{name: c, image: 'localhost/busybox:1', command: [sleep, '100000'], volumeMounts: [
   {name: d, mountPath: /d}, {name: p, mountPath: /p}, {name: c, mountPath: /c}, {name: s, mountPath: /s}, {name: twice, mountPath: /twice}]}]}}",
    );
    ready(&cluster, "shows");
    let reads = |path: &str| cluster.k(&["exec", "shows", "--", "sh", "-c", &format!("cat {path} 2>/dev/null || true")]);
    assert_eq!(["/twice/x", "/twice/deep/y", "/twice/z"].map(reads), ["one", "one", "two"]);
    assert_eq!((reads("/d/labels"), reads("/c/k")), ("v=\"1\"".to_owned(), String::new()));
    cluster.k(&["label", "pod", "shows", "v=2", "--overwrite"]);
    cluster.k(&["annotate", "pod", "shows", "x=2", "--overwrite"]);
    cluster.k(&["create", "configmap", "late", "--from-literal=k=configured"]);
    cluster.k(&["create", "secret", "generic", "late", "--from-literal=s=secret"]);
    let wanted = [
        ("/d/labels", "v=\"2\""),
        ("/d/ann", "2"),
        ("/p/labels", "v=\"2\""),
        ("/p/k", "configured"),
        ("/p/s", "secret"),
        ("/c/k", "configured"),
        ("/s/s", "secret"),
    ];
    for (path, want) in wanted {
        eventually(&format!("{path} says {want}"), 2 * MINUTE, || {
            let got = reads(path);
            if got == want { Ok(()) } else { Err(got) }
        });
    }
}
