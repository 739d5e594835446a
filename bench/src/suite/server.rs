//! A cluster of its own for each run: started in a temporary directory on free ports, and always taken away.
use super::kubernetes::Kubernetes;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a stop may take before it is forced.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a process is looked at that is to end, or not to.
const LOOK: Duration = Duration::from_millis(20);
/// What all processes say.
const LOG: &str = "log";
/// Where a cluster's data are, below the server's directory.
const DATA: &str = "data";

/// What a cluster is made of.
pub enum Software {
    /// `whalesong up`.
    Whalesong {
        /// The binary.
        program: PathBuf,
        /// More arguments.
        args: Vec<String>,
    },
    /// Kubernetes' own programs, with etcd.
    Kubernetes(Kubernetes),
}

/// A running cluster: its processes and its data.
pub struct Server {
    software: Software,
    children: Vec<Child>,
    data: tempfile::TempDir,
}

impl Server {
    /// Starts one with its data below `directory`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(software: Software, directory: &Path) -> io::Result<Self> {
        let data = tempfile::Builder::new().prefix("cluster-").tempdir_in(directory)?;
        let mut server = Self { software, children: Vec::new(), data };
        server.launch()?;
        Ok(server)
    }

    fn launch(&mut self) -> io::Result<()> {
        match &self.software {
            Software::Whalesong { program, args } => {
                let mut command = Command::new(program);
                command.arg("up").args(args).args(["--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]).arg(self.data());
                self.spawn([command])
            }
            Software::Kubernetes(kubernetes) => self.spawn(kubernetes.api(self.data.path())?),
        }
    }

    /// Starts what needs the API to answer first.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn complete(&mut self) -> io::Result<()> {
        match &self.software {
            Software::Whalesong { .. } => Ok(()),
            Software::Kubernetes(kubernetes) => self.spawn(kubernetes.controllers(self.data.path())),
        }
    }

    /// Starts processes one after the other: what is running already is taken away with the rest when one of them can't be started.
    fn spawn(&mut self, commands: impl IntoIterator<Item = Command>) -> io::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.data.path().join(LOG))?;
        for mut command in commands {
            self.children.push(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()?);
        }
        Ok(())
    }

    /// Kills it and what it started, and starts it again on the same data.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn restart(&mut self) -> io::Result<()> {
        self.pids().into_iter().for_each(|pid| tell(pid, Signal::KILL));
        for mut child in self.children.drain(..) {
            child.wait()?;
        }
        self.launch()
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        // the log is beside it: a cluster takes only a directory of its own
        self.data.path().join(DATA)
    }

    /// How it is reached.
    pub fn kubeconfig(&self) -> PathBuf {
        match &self.software {
            Software::Whalesong { .. } => self.data().join("kubeconfig"),
            Software::Kubernetes(_) => self.data.path().join("kubeconfig"),
        }
    }

    /// Its processes and those that they started: `nats-server`.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.children.iter().map(Child::id);
        let mut pids: Vec<u32> = own.flat_map(|pid| [pid].into_iter().chain(started_by(pid))).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until one of its processes has ended by itself: then it won't come up any more.
    pub async fn ended(&mut self) {
        while !self.children.iter_mut().any(ended) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Leaves its directory where it is when it stops.
    pub fn keep(&mut self) {
        self.data.disable_cleanup(true);
    }

    fn stopped(&mut self) -> bool {
        self.children.iter_mut().all(ended)
    }
}

fn ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)) | Err(_))
}

/// The processes that a process has started and that are there.
fn started_by(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    children.flat_map(|some| some.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// It stops its own children when it is asked to stop; when it doesn't, they are stopped for it.
impl Drop for Server {
    fn drop(&mut self) {
        let pids = self.pids();
        // what was started last needs the others
        self.children.iter().rev().for_each(|child| tell(child.id(), Signal::TERM));
        let start = Instant::now();
        while !self.stopped() && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        if !self.stopped() {
            pids.into_iter().for_each(|pid| tell(pid, Signal::KILL));
            for child in &mut self.children {
                child.wait().map(drop).unwrap_or_else(|error| eprintln!("process {} can't be waited for: {error}", child.id()));
            }
        }
    }
}

/// Sends a signal; a process that has gone doesn't mind.
fn tell(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ends_at_once_is_not_waited_for() {
        let software = Software::Whalesong { program: "/bin/false".into(), args: Vec::new() };
        let mut server = Server::start(software, &std::env::temp_dir()).expect("it starts");
        tokio::time::timeout(PATIENCE, server.ended()).await.expect("it has ended");
    }
}
