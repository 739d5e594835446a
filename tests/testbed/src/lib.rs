//! Simulated machines on this one, clusters on them, and `kubectl` against those.
//!
//! * [`Lab`]: a bridge and a shared image store; each test has its own bridge.
//! * [`Machine`]: a node machine: namespaces of its own for network, mounts, host name, IPC and processes, its own Podman root.
//!   Killing it is pulling its plug.
//! * [`Cluster`]: `whalesong up` on a machine, with more nodes on others.
//!
//! It needs root, and the programs that `scripts/install` installs; what is missing is a panic with its name.
// for tests alone: a failure is a panic, with what went wrong
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod cluster;
pub mod lab;
pub mod machine;

pub use cluster::{Answer, Cluster};
pub use lab::Lab;
pub use machine::Machine;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs a command to its end; what it printed is part of the panic when it fails.
///
/// # Panics
/// When it can't be started or fails.
pub fn run(command: &mut Command) -> String {
    let out = output(command);
    assert!(out.status.success(), "{command:?}: {}\n{}{}", out.status, String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs a command to its end, whatever its status.
///
/// # Panics
/// When it can't be started.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?} can't be started: {e}"))
}

/// A shell script with `set -e`.
pub fn sh(script: &str) -> Command {
    let mut c = Command::new("bash");
    c.arg("-ec").arg(script);
    c
}

/// Tries `probe` until it gives a value, 50 ms apart; for what has no watch: another process becoming ready.
///
/// # Panics
/// When `what` has not come true within `limit`; `probe`'s last complaint is in the message.
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(complaint) if start.elapsed() > limit => panic!("{what}: not within {limit:?}: {complaint}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Where cargo builds: the directory of this executable, or above its `deps` where it is a test.
///
/// # Panics
/// When the executable is in no directory.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).map(PathBuf::from).unwrap()
}

/// The program under test: `WHALESONG_BIN`, or what cargo built beside this program.
///
/// # Panics
/// When it isn't built.
pub fn whalesong() -> PathBuf {
    let bin = std::env::var_os("WHALESONG_BIN").map_or_else(|| target_dir().join("whalesong"), PathBuf::from);
    assert!(bin.is_file(), "{} is missing: cargo build -p whalesong", bin.display());
    bin
}
