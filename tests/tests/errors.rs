//! What people do wrong, or find broken: one sentence with the remedy, and a status that isn't zero, within five seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{eventually, whalesong};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that is killed with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Runs to its end; what it said last, which must be one sentence.
fn refused(args: &[&str], data: &Path) -> String {
    refused_with(&[], args, data)
}

fn refused_with(variables: &[(&str, &str)], args: &[&str], data: &Path) -> String {
    let (began, log) = (Instant::now(), tempfile::tempfile().unwrap());
    let mut command = Command::new(whalesong());
    command.envs(variables.iter().copied()).args(args).arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().unwrap());
    let mut process = Process(command.spawn().unwrap());
    let status = eventually(&format!("{args:?} ends"), Duration::from_secs(5), || process.0.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut { rewound(log) }, &mut said).unwrap();
    assert!(!status.success(), "{args:?} succeeded: {said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("whalesong: "), "{args:?}: {said}");
    last
}

fn rewound(mut file: std::fs::File) -> std::fs::File {
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A nats-server with this configuration, and its URL.
fn nats(dir: &TempDir, config: &str) -> (Process, String) {
    let port = free_port();
    let file = dir.path().join("nats.conf");
    std::fs::write(&file, format!("listen: \"127.0.0.1:{port}\"\n{}", config.replace("DIR", dir.path().to_str().unwrap()))).unwrap();
    let child = Command::new("nats-server").arg("-c").arg(&file).stderr(Stdio::null()).spawn().unwrap();
    let process = Process(child);
    eventually("nats-server listens", Duration::from_secs(10), || std::net::TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|e| e.to_string()));
    (process, format!("nats://127.0.0.1:{port}"))
}

#[test]
fn variables_are_read_as_flags_are() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("nats://127.0.0.1:{}", free_port());
    let said = refused_with(&[("WHALESONG_NODE_NAME", "5"), ("WHALESONG_CLUSTER", "7"), ("WHALESONG_NATS", &url)], &["agent"], dir.path());
    assert!(said.contains("can't be reached"), "{said}");
    let said = refused_with(&[("WHALESONG_NO_NODE", "1"), ("WHALESONG_NATS", &url)], &["up"], dir.path());
    assert!(said.contains("can't be reached"), "{said}");
}

#[test]
fn each_has_a_sentence_with_a_remedy() {
    let (taken, dir) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let address = taken.local_addr().unwrap().to_string();
    let data = |name: &str| dir.path().join(name);

    let said = refused(&["up", "--no-node", "--nats-port", "0", "--listen", &address], &data("api"));
    assert!(said.contains(&address) && said.contains("in use") && said.contains("--listen"), "{said}");

    let said = refused(&["up", "--no-node", "--nats-port", &taken.local_addr().unwrap().port().to_string(), "--listen", "127.0.0.1:0"], &data("nats"));
    assert!(said.contains("in use") && said.contains("--nats-port"), "{said}");

    for role in ["state", "gateway", "scheduler", "status"] {
        let said = refused(&[role, "--nats", "nats://127.0.0.1:1"], &data("unreachable"));
        assert!(said.contains("can't be reached at nats://127.0.0.1:1") && said.contains("check that it runs"), "{role}: {said}");
    }

    let (_plain, url) = nats(&dir, "");
    let said = refused(&["state", "--nats", &url], &data("plain"));
    assert!(said.contains("without JetStream") && said.contains("start it with -js"), "{said}");

    let said = refused(&["up", "--nats-port", "0", "--listen", "127.0.0.1:0", "--podman", "/nowhere/podman.sock"], &data("podman"));
    assert!(said.to_lowercase().contains("podman") && said.contains(':'), "{said}");

    let said = refused(&["up", "--no-node", "--nats-port", "0", "--listen", "127.0.0.1:0"], Path::new("/dev/null/data"));
    assert!(said.contains("/dev/null/data can't be written") && said.contains("--data"), "{said}");

    let said = refused(&["up", "--no-node", "--listen", "here"], &data("listen"));
    assert!(said.contains("\"here\" is no address") && said.contains("ADDRESS:PORT"), "{said}");
}

const UP: [&str; 6] = ["up", "--no-node", "--nats-port", "0", "--listen", "127.0.0.1:0"];

/// A cluster without a node, once it answers.
fn up(data: &Path) -> Process {
    let process = Command::new(whalesong()).args(UP).arg("--data").arg(data).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("it runs", Duration::from_secs(10), || std::fs::read(data.join("kubeconfig")).map(drop).map_err(|e| e.to_string()));
    Process(process)
}

/// Ends it in good order: one that is killed leaves what its server held in memory.
fn end(mut process: Process) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&process.0), rustix::process::Signal::INT).unwrap();
    let ended = eventually("it ends", Duration::from_secs(10), || process.0.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()));
    assert!(ended.success());
}

#[test]
fn a_second_up_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = up(dir.path());
    let said = refused(&UP, dir.path());
    assert!(said.contains(&format!("(process {})", first.0.id())) && said.contains("--data"), "{said}");
    end(first);
}

/// Nothing is wrong when a command has done its work and leaves.
#[test]
fn who_only_looks_leaves_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = up(dir.path());
    for _ in 0..20 {
        let out = Command::new(whalesong()).args(["get", "services", "--data"]).arg(dir.path()).output().unwrap();
        assert_eq!((out.status.success(), String::from_utf8_lossy(&out.stderr).as_ref()), (true, ""));
    }
    end(cluster);
}

#[test]
fn a_server_that_does_not_sync_each_write_is_refused_where_it_can_tell() {
    let accounts = "accounts { SYS { users: [{user: sys, password: secret}] }, MAIN { jetstream: enabled, users: [{user: main, password: main}] } }\n\
                    system_account: SYS\nno_auth_user: main\n";
    let (dir, sys) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(sys.path(), "sys:secret\n").unwrap();
    let credentials = ["--nats-sys-creds", sys.path().to_str().unwrap()];
    let (_lazy, url) = nats(&dir, &format!("{accounts}jetstream {{ store_dir: \"DIR/js\" }}\n"));
    let args = [&["state", "--nats", &url], credentials.as_slice()].concat();
    let said = refused(&args, &dir.path().join("refused"));
    assert!(said.contains("before they are on its disk") && said.contains("sync_interval: always") && said.contains("--allow-unsafe-sync"), "{said}");

    // a variable takes back what the file says
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "allow_unsafe_sync = true\n").unwrap();
    let args = [&args, ["--config", file.path().to_str().unwrap()].as_slice()].concat();
    let said = refused_with(&[("WHALESONG_ALLOW_UNSAFE_SYNC", "off")], &args, &dir.path().join("taken-back"));
    assert!(said.contains("before they are on its disk"), "{said}");

    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "sys:wrong").unwrap();
    let said = refused(&["state", "--nats", &url, "--nats-sys-creds", wrong.path().to_str().unwrap()], &dir.path().join("wrong"));
    assert!(said.contains("doesn't let") && said.contains("check the credentials"), "{said}");

    // told to, it goes on; and a server that syncs is taken without being told
    let strict = tempfile::tempdir().unwrap();
    let (_strict, safe) = nats(&strict, &format!("{accounts}jetstream {{ store_dir: \"DIR/js\", sync_interval: always }}\n"));
    for (url, more, data) in [(&url, "--allow-unsafe-sync", "told"), (&safe, "--log=warn", "safe")] {
        let data = dir.path().join(data);
        let mut command = Command::new(whalesong());
        command.args(["state", "--nats", url, more]).args(credentials).arg("--data").arg(&data).stderr(Stdio::null());
        let _state = Process(command.spawn().unwrap());
        eventually(&format!("state serves {url}"), Duration::from_secs(10), || {
            let out = Command::new(whalesong()).args(["status", "-o", "json", "--nats", url, "--data"]).arg(&data).output().unwrap();
            let status = String::from_utf8_lossy(&out.stdout).into_owned();
            if status.contains("\"connections\"") { Ok(()) } else { Err(status + &String::from_utf8_lossy(&out.stderr)) }
        });
    }
}
