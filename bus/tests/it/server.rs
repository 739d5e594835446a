//! The embedded server: its start, its death, its end, and what it says when it can't.
use bus::server::{Server, ServerError, ServerOptions};
use std::time::Duration;

async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never held");
}

fn kill(pid: u32) {
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn it_starts_is_started_again_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(ServerOptions::new(dir.path())).await.unwrap();
    let (url, first) = (server.url(), server.pid().unwrap());
    let client = async_nats::connect(&url).await.unwrap();
    assert!(client.server_info().jetstream);
    kill(first);
    eventually(|| server.restarts() == 1 && server.pid().is_some_and(|p| p != first)).await;
    assert_eq!(server.url(), url);
    async_nats::connect(&url).await.unwrap();
    let second = server.pid().unwrap();
    server.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{second}")).exists());
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(ServerOptions::new(dir.path())).await.unwrap();
    let pid = server.pid().unwrap();
    drop(server);
    eventually(|| !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn the_same_directory_or_port_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(ServerOptions::new(dir.path())).await.unwrap();
    assert!(matches!(Server::start(ServerOptions::new(dir.path())).await, Err(ServerError::InUse { .. })));
    let other = tempfile::tempdir().unwrap();
    let same_port = ServerOptions { port: Some(server.port()), ..ServerOptions::new(other.path()) };
    assert!(matches!(Server::start(same_port).await, Err(ServerError::PortInUse { .. })));
    assert!(matches!(Server::start(ServerOptions::new("/proc/none")).await, Err(ServerError::Unwritable { .. })));
    server.stop().await;
}

#[tokio::test]
async fn an_orphan_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(ServerOptions::new(dir.path())).await.unwrap();
    let port = server.port();
    server.stop().await;
    let mut orphan =
        std::process::Command::new("nats-server").arg("-c").arg(dir.path().join("nats-server.json")).stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually(|| std::fs::read_to_string(dir.path().join("nats-server.pid")).is_ok_and(|t| t.trim() == orphan.id().to_string())).await;
    let reaped = std::thread::spawn(move || orphan.wait());
    let server = Server::start(ServerOptions { port: Some(port), ..ServerOptions::new(dir.path()) }).await.unwrap();
    reaped.join().unwrap().unwrap();
    server.stop().await;
}

/// Not a test: the parent that the next one kills.
#[tokio::test]
#[ignore = "started by a_server_goes_with_its_parent"]
async fn a_parent() {
    let server = Server::start(ServerOptions::new(std::env::var("WHALESONG_TEST_DIRECTORY").unwrap())).await.unwrap();
    println!("\npid {}", server.pid().unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_goes_with_its_parent() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server::a_parent", "--ignored", "--nocapture"])
        .env("WHALESONG_TEST_DIRECTORY", dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid: u32 = lines.find_map(|line| line.strip_prefix("pid ").map(|pid| pid.parse().unwrap())).unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually(|| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))).await;
}
