//! Runs a test in a machine of its own: namespaces for mounts, network, host name, IPC and processes, that end with it.
use std::path::{Path, PathBuf};
use std::process::Command;

const INSIDE: &str = "WHALESONG_TEST_MACHINE";

fn sh(script: &str) {
    let out = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Runs `test` inside; the test named `name` must do nothing else.
pub fn inside<F: Future<Output = ()>>(name: &str, test: impl FnOnce(PathBuf) -> F) {
    if std::env::var_os(INSIDE).is_none() {
        for tool in ["unshare", "podman", "crun", "conmon", "nft", "ip", "busybox"] {
            assert!(Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap().status.success(), "this test needs {tool}");
        }
        let status = Command::new("unshare")
            .args(["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation", "slave"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{name} failed in its machine");
        return;
    }
    let dir = PathBuf::from("/run/whalesong-test");
    sh("mount -t tmpfs run /run; mount -t tmpfs shm /dev/shm; mkdir -p /run/lock /run/whalesong-test; ip link set lo up; hostname test-node");
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test(dir));
}

/// Imports busybox as `localhost/busybox:1`.
pub fn import(socket: &Path) {
    let url = format!("unix://{}", socket.display());
    sh(&format!(
        "cd /run/whalesong-test; mkdir -p bb/bin bb/tmp bb/etc bb/www; cp $(command -v busybox) bb/bin/; for a in $(busybox --list | grep -vx busybox); do ln -sf busybox bb/bin/$a; done; \
         echo 'root:x:0:0:root:/:/bin/sh' > bb/etc/passwd; tar -C bb -cf bb.tar .; podman --url {url} import -q -c 'ENV PATH=/bin' bb.tar localhost/busybox:1 >/dev/null"
    ));
}
