//! A cluster of its own for each run: started in a temporary directory on free ports, and always taken away.
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a stop may take before it is forced.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `whalesong up`.
pub struct Server {
    child: Child,
    data: tempfile::TempDir,
    args: Vec<String>,
}

impl Server {
    /// Starts one with its data below `directory`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(whalesong: &Path, args: &[&str], directory: &Path) -> io::Result<Self> {
        let data = tempfile::Builder::new().prefix("cluster-").tempdir_in(directory)?;
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(Self { child: launch(whalesong, &args, data.path())?, data, args })
    }

    /// Kills it and its children, and starts it again on the same data.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn restart(&mut self, whalesong: &Path) -> io::Result<()> {
        self.pids().into_iter().for_each(|pid| tell(pid, Signal::KILL));
        self.child.wait()?;
        self.child = launch(whalesong, &self.args, self.data.path())?;
        Ok(())
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// How it is reached.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.path().join("kubeconfig")
    }

    /// Its process and those that it started: `nats-server`.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let threads = fs::read_dir(format!("/proc/{own}/task")).into_iter().flatten().flatten();
        let all = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default()).fold(children, |all, some| all + " " + &some);
        let mut pids: Vec<u32> = [own].into_iter().chain(all.split_whitespace().filter_map(|pid| pid.parse().ok())).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.path().join("up.log")).unwrap_or_default()
    }

    /// Leaves its directory where it is when it stops.
    pub fn keep(&mut self) {
        self.data.disable_cleanup(true);
    }

    fn stopped(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }
}

fn launch(whalesong: &Path, args: &[String], data: &Path) -> io::Result<Child> {
    let log = fs::File::create(data.join("up.log"))?;
    let mut command = Command::new(whalesong);
    command.arg("up").args(args).args(["--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]).arg(data);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// It stops its own children when it is asked to stop; when it doesn't, they are stopped for it.
impl Drop for Server {
    fn drop(&mut self) {
        let pids = self.pids();
        tell(self.child.id(), Signal::TERM);
        let start = Instant::now();
        while !self.stopped() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.stopped() {
            pids.into_iter().for_each(|pid| tell(pid, Signal::KILL));
            if let Err(error) = self.child.wait() {
                eprintln!("process {} can't be waited for: {error}", self.child.id());
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
