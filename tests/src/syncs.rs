//! How often the log is brought to the disk.
use crate::{Cluster, eventually};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

/// Counts the calls that bring `nats-server`'s files to the disk while something is done.
pub struct Syncs(Child, PathBuf);

impl Syncs {
    /// From now on, on the cluster's first machine.
    ///
    /// # Panics
    /// When `strace` can't be attached.
    pub fn count(cluster: &Cluster) -> Self {
        let log = cluster.lab.path().join("strace");
        let pid = cluster.machines[0].sh("pgrep -x nats-server");
        let strace = cluster.machines[0].command("strace").args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-p", pid.trim(), "-o"]).arg(&log).spawn();
        eventually("strace is attached", Duration::from_secs(10), || {
            let tracer = cluster.machines[0].sh(&format!("grep TracerPid /proc/{}/status", pid.trim()));
            if tracer.trim().ends_with("\t0") { Err(tracer) } else { Ok(()) }
        });
        Self(strace.unwrap(), log)
    }

    /// How many since it began, on files of the log's messages.
    ///
    /// # Panics
    /// When nothing was written down.
    pub fn so_far(&self) -> usize {
        std::fs::read_to_string(&self.1).unwrap().lines().filter(|l| l.contains("-objects/msgs/")).count()
    }

    /// Stops counting.
    ///
    /// # Panics
    /// When `strace` can't be stopped.
    pub fn stop(mut self, cluster: &Cluster) {
        cluster.machines[0].sh("pkill strace");
        self.0.wait().unwrap();
    }
}
