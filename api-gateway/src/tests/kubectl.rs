//! Real `kubectl`, where there is one.
use super::cluster::Cluster;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

/// Whether `kubectl` streams over WebSockets; otherwise it does over SPDY, as it did before version 1.31.
fn transport(websockets: bool) -> [(&'static str, &'static str); 2] {
    let said = if websockets { "true" } else { "false" };
    [("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", said), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", said)]
}

/// Runs `kubectl` in a thread of its own; `None` on a machine without it.
async fn kubectl(cluster: &Cluster, args: &str, stdin: &str) -> Option<Output> {
    kubectl_over(cluster, true, args, stdin).await
}

async fn kubectl_over(cluster: &Cluster, websockets: bool, args: &str, stdin: &str) -> Option<Output> {
    let mut command = Command::new("kubectl");
    command.envs(transport(websockets));
    command.args(args.split(' ')).env("KUBECONFIG", cluster.kubeconfig()).env("HOME", cluster.dir.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    let run = move || {
        let mut child = command.spawn().ok()?;
        child.stdin.take()?.write_all(stdin.as_bytes()).ok();
        child.wait_with_output().ok()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_create_delete() {
    let c = Cluster::start().await;
    let Some(got) = kubectl(&c, "get pods", "").await else { return };
    assert!(text(&got).starts_with("NAME") && text(&got).contains("\nfirst "), "{}", text(&got));
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\nspec: {containers: [{name: c, image: i}]}\n";
    let made = kubectl(&c, "apply -f -", manifest).await.unwrap();
    assert!(text(&made).contains("pod/a created") && text(&made).contains("Warning: as admin"), "{}", text(&made));
    let watched = kubectl(&c, "get pods -w --request-timeout=1s", "").await.unwrap();
    assert!(text(&watched).contains("first"), "{}", text(&watched));
    let gone = kubectl(&c, "delete pod a --wait=false", "").await.unwrap();
    assert!(text(&gone).contains("pod \"a\" deleted"), "{}", text(&gone));
    let resources = kubectl(&c, "api-resources", "").await.unwrap();
    assert!(text(&resources).contains("pods"), "{}", text(&resources));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_and_exec() {
    let c = Cluster::start().await;
    let Some(logs) = kubectl(&c, "logs first --tail=2", "").await else { return };
    assert!(text(&logs).starts_with("line 0\nline 1\n"), "{}", text(&logs));
    for websockets in [true, false] {
        let ran = kubectl_over(&c, websockets, "exec -i first -- cat file", "hello\n").await.unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "ran cat file\nhello\n", "{}", text(&ran));
        assert!(String::from_utf8_lossy(&ran.stderr).contains("to stderr\n"), "{}", text(&ran));
        assert_eq!(ran.status.code(), Some(7), "{}", text(&ran));
        let much = "0123456789\n".repeat(100_000);
        let ran = kubectl_over(&c, websockets, "exec -i first -- cat", &much).await.unwrap();
        assert!(String::from_utf8_lossy(&ran.stdout) == format!("ran cat\n{much}"), "{} bytes came back", ran.stdout.len());
        let nobody = kubectl_over(&c, websockets, "exec first -c nobody -- true", "").await.unwrap();
        assert!(text(&nobody).contains("container nobody is not valid for pod first"), "{}", text(&nobody));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_and_apply() {
    let c = Cluster::start().await;
    let Some(explained) = kubectl(&c, "explain deployment.spec.strategy.rollingUpdate", "").await else { return };
    assert!(text(&explained).contains("maxSurge") && text(&explained).contains("GROUP:      apps"), "{}", text(&explained));
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\nspec: {containers: [{name: c, image: i}]}\n";
    let made = kubectl(&c, "apply --dry-run=server -f -", manifest).await.unwrap();
    assert!(text(&made).contains("pod/a created (server dry run)"), "{}", text(&made));
    let raw = kubectl(&c, "get --raw /readyz?verbose", "").await.unwrap();
    assert!(text(&raw).contains("readyz check passed"), "{}", text(&raw));
    let can = kubectl(&c, "version", "").await.unwrap();
    assert!(text(&can).contains("Server Version: v1."), "{}", text(&can));
}

/// `kubectl port-forward`, with SPDY within its WebSocket and on a connection of its own: two connections through it, and one to a port that nobody serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn port_forward() {
    let c = Cluster::start().await;
    for websockets in [true, false] {
        forward(&c, websockets).await;
    }
}

async fn forward(c: &Cluster, websockets: bool) {
    let mut command = tokio::process::Command::new("kubectl");
    command.envs(transport(websockets)).args(["port-forward", "first", ":80", ":1"]).env("KUBECONFIG", c.kubeconfig()).env("HOME", c.dir.path());
    let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true).spawn() else { return };
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = Vec::new();
    while ports.len() < 2 {
        let line = lines.next_line().await.unwrap().expect("kubectl ended");
        if let Some(rest) = line.strip_prefix("Forwarding from 127.0.0.1:") {
            ports.push(rest.split(' ').next().unwrap().parse::<u16>().unwrap());
        }
    }
    for text in ["hello", "again"] {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", ports[0])).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut got = String::new();
        socket.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, text);
    }
    let mut refused = tokio::net::TcpStream::connect(("127.0.0.1", ports[1])).await.unwrap();
    let mut got = Vec::new();
    assert!(refused.read_to_end(&mut got).await.is_err() || got.is_empty());
    child.kill().await.unwrap();
}
