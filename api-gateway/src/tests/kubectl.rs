//! Real `kubectl`, where there is one.
use super::cluster::Cluster;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `kubectl` in a thread of its own; `None` on a machine without it.
async fn kubectl(cluster: &Cluster, args: &str, stdin: &str) -> Option<Output> {
    let mut command = Command::new("kubectl");
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
    assert_eq!(text(&got), "NAME\nfirst\n");
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\nspec: {containers: [{name: c, image: i}]}\n";
    let made = kubectl(&c, "create --validate=false -f -", manifest).await.unwrap();
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
    let ran = kubectl(&c, "exec -i first -- cat file", "hello\n").await.unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "ran cat file\nhello\n", "{}", text(&ran));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("to stderr\n"), "{}", text(&ran));
    assert_eq!(ran.status.code(), Some(7), "{}", text(&ran));
}
