use crate::machine::{import, inside};
use crate::state::State;
use bus::actor::System;
use bus::{Caller, Role, To};
use model::Object;
use node_agent::{AgentOptions, Rotation, Socket};
use serde_json::{Value, json};
use state_client::node::{ExecOptions, FromNode, LogOptions, NodeAction, NodeRequest, ToNode};
use std::path::Path;
use std::time::{Duration, Instant};

const NODE: &str = "n1";

async fn agent(state: &State, dir: &Path) -> System {
    agent_with(state, dir, AgentOptions::default()).await
}

async fn agent_with(state: &State, dir: &Path, own: AgentOptions) -> System {
    let system = System::new();
    let options = AgentOptions {
        node_name: NODE.into(),
        podman: Socket::Own { root: dir.join("root"), runroot: dir.join("runroot") },
        data_dir: dir.join("data"),
        node_ip: Some([10, 244, 0, 1].into()),
        ..own
    };
    node_agent::run(state.bus.speaking_as(Caller::new(Role::Agent, NODE)), &system, options).await.unwrap();
    system
}

/// A cluster of one node with the image in place.
async fn node(dir: &Path) -> (State, System) {
    node_with(dir, AgentOptions::default()).await
}

pub async fn node_with(dir: &Path, own: AgentOptions) -> (State, System) {
    let state = State::start().await;
    state
        .create(
            "services",
            "default",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}}),
        )
        .await;
    let system = agent_with(&state, dir, own).await;
    import(&dir.join("data/podman.sock"));
    (state, system)
}

pub fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["nodeName"] = json!(NODE);
    for list in ["containers", "initContainers"] {
        for c in spec[list].as_array_mut().into_iter().flatten() {
            c["image"] = c.get("image").cloned().unwrap_or(json!("localhost/busybox:1"));
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

pub fn sh(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", script], "terminationMessagePath": "/dev/termination-log"})
}

fn condition(o: &Object, type_: &str) -> bool {
    o.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == type_ && c["status"] == "True")
}

pub fn ready(o: &Object) -> bool {
    condition(o, "Ready")
}

fn first(o: &Object) -> &Value {
    o.list_at(&["status", "containerStatuses"]).first().unwrap_or(&Value::Null)
}

#[test]
fn a_pod_runs_and_ends() {
    inside("pods::a_pod_runs_and_ends", |dir| async move {
        let (state, system) = node(&dir).await;
        state.until("nodes", "", NODE, "ready", |o| o.is_some_and(ready)).await;
        let began = Instant::now();
        state.create("pods", "default", pod("a", json!({"containers": [sh("c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")]}))).await;
        let running = state.pod("a", "ready", ready).await;
        println!("created to ready: {:?}", began.elapsed());
        let o = running.object();
        assert_eq!(o.str_at(&["status", "phase"]), "Running");
        assert_eq!(o.str_at(&["status", "podIP"]), "10.244.0.2");
        assert_eq!(o.str_at(&["status", "qosClass"]), "BestEffort");
        assert!(first(o)["containerID"].as_str().unwrap().starts_with("podman://"));
        state.delete_pod("a", 5).await;
        state.no_pod("a").await;
        assert_eq!(state.reasons("a"), ["Pulled", "Created", "Started", "Killing"]);
        assert!(system.shutdown(Duration::from_secs(5)).await);
    });
}

/// Opens a stream at the node; everything that comes back, and the exit code.
pub async fn stream(state: &State, pod: &str, action: NodeAction, input: &[ToNode]) -> (String, Option<i32>) {
    let request = NodeRequest { namespace: "default".into(), pod: pod.into(), uid: String::new(), action };
    let opened = state.bus.speaking_as(Caller::new(Role::Gateway, "g")).open(&To::instance(NODE), request, Duration::from_secs(10)).await.unwrap();
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(e) => return (e.message, None),
    };
    for frame in input {
        stream.send(frame.clone()).await.unwrap();
    }
    let (mut text, mut exit) = (String::new(), None);
    while let Some(frame) = tokio::time::timeout(Duration::from_secs(15), stream.recv()).await.expect("the stream ends").unwrap() {
        match frame {
            FromNode::Data(b) | FromNode::Stderr(b) => text.push_str(&String::from_utf8_lossy(&b)),
            FromNode::Exit(code) => exit = Some(code),
            FromNode::Failed(e) => text.push_str(&e.message),
        }
    }
    (text, exit)
}

#[test]
fn streams_reach_into_pods() {
    inside("pods::streams_reach_into_pods", |dir| async move {
        let (state, _system) = node(&dir).await;
        let script = "echo out; echo err >&2; echo hello > /www/index.html; httpd -p 127.0.0.1:8080 -h /www; sleep 2; echo last";
        state.create("pods", "default", pod("s", json!({"restartPolicy": "Never", "containers": [sh("c", script)]}))).await;
        state.pod("s", "ready", ready).await;
        let exec = |command: &[&str], stdin| {
            NodeAction::Exec(ExecOptions {
                command: command.iter().map(|s| (*s).to_owned()).collect(),
                stdin,
                stdout: true,
                stderr: true,
                ..ExecOptions::default()
            })
        };
        let began = Instant::now();
        assert_eq!(stream(&state, "s", exec(&["sh", "-c", "echo $HOSTNAME; exit 3"], false), &[]).await, ("s\n".into(), Some(3)));
        println!("exec: {:?}", began.elapsed());
        assert_eq!(stream(&state, "s", exec(&["cat"], true), &[ToNode::Data("abc".into()), ToNode::Eof]).await, ("abc".into(), Some(0)));
        let get = ToNode::Data("GET / HTTP/1.0\r\n\r\n".into());
        let (page, _) = stream(&state, "s", NodeAction::PortForward { port: 8080 }, &[get]).await;
        assert!(page.ends_with("hello\n"), "{page}");
        let logs = |o: LogOptions| NodeAction::Logs(o);
        assert_eq!(stream(&state, "s", logs(LogOptions { tail_lines: Some(1), ..LogOptions::default() }), &[]).await.0, "err\n");
        assert_eq!(stream(&state, "s", logs(LogOptions { follow: true, ..LogOptions::default() }), &[]).await.0, "out\nerr\nlast\n");
        state.pod("s", "Succeeded", |o| o.str_at(&["status", "phase"]) == "Succeeded").await;
        let (why, _) = stream(&state, "s", logs(LogOptions { previous: true, ..LogOptions::default() }), &[]).await;
        assert_eq!(why, "previous terminated container \"c\" in pod \"s\" not found");
    });
}

#[test]
fn logs_are_put_aside_and_read_as_one() {
    inside("pods::logs_are_put_aside_and_read_as_one", |dir| async move {
        let logs = Rotation { size: 100_000, files: 20, every: Duration::from_millis(100) };
        let (state, _system) = node_with(&dir, AgentOptions { logs, ..AgentOptions::default() }).await;
        let lines = |from: usize| (from..6000).map(|i| format!("{i} a line of a container that has much to say\n")).collect::<String>();
        let print = "i=0; while [ $i -lt 6000 ]; do echo $i a line of a container that has much to say; i=$((i+1)); [ $((i % 500)) = 0 ] && sleep 0.2; done";
        state.create("pods", "default", pod("talker", json!({"containers": [sh("c", &format!("{print}; sleep 1; exit 0"))], "restartPolicy": "Never"}))).await;
        state.pod("talker", "ready", ready).await;
        let ask = |o: LogOptions| NodeAction::Logs(o);
        let (followed, _) = stream(&state, "talker", ask(LogOptions { follow: true, ..LogOptions::default() }), &[]).await;
        assert!(followed == lines(0), "{} lines were followed, the last is {:?}", followed.lines().count(), followed.lines().last());
        let files = std::fs::read_dir(dir.join("data/pods").read_dir().unwrap().next().unwrap().unwrap().path().join("logs/c")).unwrap().count();
        assert!(files > 2, "{files} files");
        let (all, _) = stream(&state, "talker", ask(LogOptions::default()), &[]).await;
        assert!(all == lines(0), "{} lines are there", all.lines().count());
        let (tail, _) = stream(&state, "talker", ask(LogOptions { tail_lines: Some(5000), ..LogOptions::default() }), &[]).await;
        // What was written in two pieces is two of the file's lines.
        assert!(all.ends_with(&tail) && (4500..=5000).contains(&tail.lines().count()), "{} lines are at the end", tail.lines().count());
    });
}

#[test]
fn what_crashes_waits_and_what_an_agent_left_is_adopted() {
    inside("pods::what_crashes_waits_and_what_an_agent_left_is_adopted", |dir| async move {
        let (state, system) = node(&dir).await;
        state.create("pods", "default", pod("crash", json!({"containers": [sh("c", "echo why > /dev/termination-log; exit 7")]}))).await;
        state.create("pods", "default", pod("stay", json!({"containers": [sh("c", "sleep 1000")]}))).await;
        let crashed = state
            .pod("crash", "waiting", |o| {
                first(o)["state"]["waiting"]["reason"] == "CrashLoopBackOff" && first(o)["lastState"]["terminated"]["message"].is_string()
            })
            .await;
        let status = first(crashed.object());
        assert_eq!(
            (&status["restartCount"], &status["lastState"]["terminated"]["exitCode"], &status["lastState"]["terminated"]["message"]),
            (&json!(1), &json!(7), &json!("why\n"))
        );
        let uid = crashed.object().uid();
        assert_eq!(status["state"]["waiting"]["message"], format!("back-off 10s restarting failed container=c pod=crash_default({uid})"));
        let before = state.pod("stay", "ready", ready).await;
        assert!(system.shutdown(Duration::from_secs(5)).await);
        let second = agent(&state, &dir).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = state.pod("stay", "ready", ready).await;
        assert_eq!(first(before.object())["containerID"], first(after.object())["containerID"], "adopted, not restarted");
        state.delete_pod("stay", 1).await;
        state.no_pod("stay").await;
        assert!(second.shutdown(Duration::from_secs(5)).await);
    });
}

#[test]
fn config_arrives_by_volume_and_environment() {
    inside("pods::config_arrives_by_volume_and_environment", |dir| async move {
        let (state, _system) = node(&dir).await;
        let script = "cat /v/a /t/token; echo $X $KUBERNETES_SERVICE_HOST; cat /etc/hosts | tail -1; touch /m/read; until grep -q two /v/a; do sleep 0.1; done; echo changed; sleep 1000";
        let mut c = sh("c", script);
        c["readinessProbe"] = json!({"exec": {"command": ["test", "-e", "/m/read"]}, "periodSeconds": 1});
        c["env"] = json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "x"}}}]);
        c["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}, {"name": "t", "mountPath": "/t"}, {"name": "m", "mountPath": "/m"}]);
        let volumes = json!([{"name": "v", "configMap": {"name": "cm"}}, {"name": "m", "emptyDir": {"medium": "Memory"}},
            {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
        state.create("pods", "default", pod("v", json!({"containers": [c], "volumes": volumes}))).await;
        state.until("events", "default", "", "told", |_| state.reasons("v").contains(&"FailedMount".to_owned())).await;
        state.create("configmaps", "default", json!({"metadata": {"name": "cm"}, "data": {"a": "one\n", "x": "y"}})).await;
        state.pod("v", "ready", ready).await;
        state.client().merge("", "configmaps", "", "default", "cm", &json!({"data": {"a": "two\n"}})).await.unwrap();
        let follow = NodeAction::Logs(LogOptions { follow: true, limit_bytes: Some(50), ..LogOptions::default() });
        let (text, _) = stream(&state, "v", follow, &[]).await;
        assert!(text.starts_with("one\ntoken-defaulty 10.96.0.1\n10.244.0.") && text.ends_with("changed\n"), "{text}");
        state.delete_pod("v", 1).await;
        state.no_pod("v").await;
        assert!(!dir.join("data/pods").read_dir().unwrap().any(|_| true), "nothing is left");
    });
}

#[test]
fn what_cannot_be_started_waits() {
    inside("pods::what_cannot_be_started_waits", |dir| async move {
        let (state, _system) = node(&dir).await;
        let nothing = |name: &str, policy: &str| pod(name, json!({"restartPolicy": policy, "containers": [{"name": "c", "command": ["/no/such/command"]}]}));
        state.create("pods", "default", nothing("once", "Never")).await;
        let failed = state.pod("once", "Failed", |o| o.str_at(&["status", "phase"]) == "Failed").await;
        let ended = &first(failed.object())["state"]["terminated"];
        assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("StartError"), &json!(128)));
        state.create("pods", "default", nothing("again", "Always")).await;
        let waiting = state.pod("again", "waiting", |o| first(o)["state"]["waiting"]["reason"] == "CrashLoopBackOff").await;
        assert_eq!(first(waiting.object())["restartCount"], 1);
        assert_eq!(state.reasons("again").iter().filter(|r| *r == "Created").count(), 1);
        for name in ["once", "again"] {
            state.delete_pod(name, 1).await;
            state.no_pod(name).await;
        }
    });
}

fn run(dir: &Path, script: &str) -> Result<(), String> {
    let out = std::process::Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

/// Has Podman, which isn't up yet, speak without TLS to the machine's own registry.
fn trust_registry(dir: &Path) {
    std::fs::write(dir.join("registries.conf"), "[[registry]]\nlocation = \"127.0.0.1:5000\"\ninsecure = true\n").unwrap();
    run(dir, "mount --bind registries.conf /etc/containers/registries.conf").unwrap();
}

/// A registry in the machine that lets nobody in without the password `sesame`.
fn registry(dir: &Path) -> std::process::Child {
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(at("htpasswd"), "sailor:$2b$04$L.Qta9rolG9frUebwm3NXO/s3Uj2yrOYv1dW99jHxB6m3oac3Ulvy\n").unwrap();
    let auth = format!("{{htpasswd: {{realm: tests, path: '{}'}}}}", at("htpasswd"));
    let storage = format!("{{filesystem: {{rootdirectory: '{}'}}}}", at("blobs"));
    std::fs::write(at("config.yml"), format!("{{version: 0.1, storage: {storage}, http: {{addr: '127.0.0.1:5000'}}, auth: {auth}}}")).unwrap();
    let log = std::fs::File::create(at("registry.log")).unwrap();
    std::process::Command::new("docker-registry").args(["serve", &at("config.yml")]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Puts an image there, as soon as it is up.
fn push(dir: &Path, image: &str) {
    let podman = format!("podman --remote --url unix://{}", dir.join("data/podman.sock").display());
    let script = format!("{podman} tag localhost/busybox:1 {image}; {podman} push -q --creds sailor:sesame {image}; {podman} untag {image} {image}");
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(why) = run(dir, &script) {
        assert!(Instant::now() < until, "{why}");
    }
}

#[test]
fn images_are_pulled_with_credentials() {
    inside("pods::images_are_pulled_with_credentials", |dir| async move {
        trust_registry(&dir);
        let (state, _system) = node(&dir).await;
        let mut server = registry(&dir);
        push(&dir, "127.0.0.1:5000/team/app:1");
        for (name, password) in [("good", "sesame"), ("bad", "open")] {
            let config = json!({"auths": {"127.0.0.1:5000": {"username": "sailor", "password": password}}}).to_string();
            let encoded = base64(config.as_bytes());
            state.create("secrets", "default", json!({"metadata": {"name": name}, "data": {".dockerconfigjson": encoded}})).await;
        }
        let pulling = |name: &str, secrets: Value| {
            let mut c = sh("c", "sleep 1000");
            c["image"] = json!("127.0.0.1:5000/team/app:1");
            pod(name, json!({"containers": [c], "imagePullSecrets": secrets}))
        };
        state.create("pods", "default", pulling("out", json!([]))).await;
        let why = state.pod("out", "refused", |o| first(o)["state"]["waiting"]["reason"] == "ErrImagePull").await;
        assert!(first(why.object())["state"]["waiting"]["message"].as_str().unwrap().contains("authentication required"), "{:?}", first(why.object()));
        state.create("pods", "default", pulling("in", json!([{"name": "bad"}, {"name": "good"}]))).await;
        let running = state.pod("in", "ready", ready).await;
        assert!(first(running.object())["imageID"].as_str().unwrap().starts_with("127.0.0.1:5000/team/app@sha256:"));
        server.kill().unwrap();
        server.wait().unwrap();
    });
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_container_starts_when_its_secret_comes() {
    inside("pods::a_container_starts_when_its_secret_comes", |dir| async move {
        let (state, _system) = node(&dir).await;
        let mut c = sh("c", "sleep 1000");
        c["env"] = json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "late", "key": "x"}}}]);
        state.create("pods", "default", pod("w", json!({"containers": [c]}))).await;
        // So often that the next try by itself is four seconds away.
        let tries =
            |state: &State| state.all("events").iter().filter(|e| e.object().str_at(&["reason"]) == "Failed").map(|e| e.object().0["count"].as_i64()).max();
        state.until("events", "default", "", "told three times", |_| tries(&state).flatten() >= Some(3)).await;
        let waiting = first(state.get("pods", "default", "w").unwrap().object())["state"]["waiting"].clone();
        assert_eq!((&waiting["reason"], &waiting["message"]), (&json!("CreateContainerConfigError"), &json!("secret \"late\" not found")));
        let came = Instant::now();
        state.create("secrets", "default", json!({"metadata": {"name": "late"}, "data": {"x": "eQ=="}})).await;
        state.pod("w", "ready", ready).await;
        assert!(came.elapsed() < Duration::from_secs(3), "{:?}", came.elapsed());
        state.delete_pod("w", 1).await;
        state.no_pod("w").await;
    });
}

#[test]
fn many_at_once_and_services_between_them() {
    inside("pods::many_at_once_and_services_between_them", |dir| async move {
        let (state, _system) = node(&dir).await;
        let began = Instant::now();
        for i in 0..20 {
            let serve = format!("mkdir -p /www; echo {i} > /www/index.html; exec httpd -f -p 80 -h /www");
            state.create("pods", "default", pod(&format!("w{i}"), json!({"containers": [sh("c", &serve)]}))).await;
        }
        let mut endpoints = Vec::new();
        for i in 0..20 {
            let running = state.pod(&format!("w{i}"), "ready", ready).await;
            endpoints.push(json!({"addresses": [running.object().str_at(&["status", "podIP"])], "nodeName": NODE, "conditions": {"ready": true}}));
        }
        println!("20 pods at once: {:?}", began.elapsed());
        let spec = json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"});
        state.create("services", "default", json!({"metadata": {"name": "web"}, "spec": spec})).await;
        let slice = json!({"metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4", "ports": [{"name": "", "port": 80, "protocol": "TCP"}], "endpoints": endpoints});
        state.create("endpointslices", "default", slice).await;
        let uid = state.get("pods", "default", "w0").unwrap().object().uid().to_owned();
        let net = dir.join("data/pods").join(uid).join("ns/net");
        let get = "get() { exec 3<>/dev/tcp/$1/$2 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -1 <&3; }; ";
        let script = format!(
            "{get} for u in '10.96.0.9 80' '10.244.0.1 30080'; do n=0; until get $u >/dev/null 2>&1; do n=$((n+1)); [ $n = 20 ] && exit 1; sleep 0.1; done; done; for i in $(seq 60); do get 10.96.0.9 80 || exit 2; done | sort -u | wc -l"
        );
        let out = tokio::process::Command::new("nsenter")
            .arg(format!("--net={}", net.display()))
            .args(["timeout", "20", "bash", "-c", &script])
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text} {}", String::from_utf8_lossy(&out.stderr));
        assert!(text.trim().parse::<u32>().unwrap() > 5, "spread over the endpoints: {text}");
    });
}
