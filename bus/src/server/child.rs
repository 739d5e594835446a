//! Runs the `nats-server` program once, from its start to its exit status.
use super::{ServerError, ServerOptions};
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const MIN_VERSION: (u32, u32) = (2, 10);
/// What it says when a stream takes no more writes.
const STUCK: &str = "ritical write error";
/// Lines of log that an error message may quote.
const QUOTED: usize = 3;

/// What the thread that waits for the child tells.
enum Event {
    Line(String),
    Exited(String),
}

/// Why a child is of no use any more.
#[derive(Debug)]
pub(super) enum End {
    /// It ended, with this status.
    Exited(String),
    /// It runs, but its disk took a write no more: it acknowledges nothing until it is started again.
    Stuck(String),
}

/// A server that takes connections.
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) port: u16,
    events: mpsc::Receiver<Event>,
    /// How often it has read its configuration again, well or not.
    reloads: watch::Sender<Reloads>,
}

/// How often a server has read its configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reloads {
    pub(super) done: u64,
    pub(super) failed: u64,
    /// What it said of the last one that failed.
    pub(super) why: String,
}

impl Child {
    /// Tells here how often it has read its configuration again.
    pub(super) fn telling(self, reloads: &watch::Sender<Reloads>) -> Self {
        Self { reloads: reloads.clone(), ..self }
    }

    fn reloaded(&self, said: &str) {
        if said.contains("Reloaded server configuration") {
            self.reloads.send_modify(|reloads| reloads.done += 1);
        } else if said.contains("Failed to reload") {
            tracing::error!("nats-server: {said}");
            self.reloads.send_modify(|reloads| (reloads.failed, reloads.why) = (reloads.failed + 1, said.to_owned()));
        }
    }

    /// Starts it and waits until it says that it is ready.
    pub(super) async fn start(binary: &Path, options: &ServerOptions, patience: Duration) -> Result<Self, ServerError> {
        let setpriv = find("setpriv");
        match Self::start_by(setpriv.as_deref(), binary, options, patience).await {
            // some have a setpriv that can't do this
            Err(ServerError::Failed { log }) if setpriv.is_some() && log.contains("setpriv") => Self::start_by(None, binary, options, patience).await,
            started => started,
        }
    }

    async fn start_by(setpriv: Option<&Path>, binary: &Path, options: &ServerOptions, patience: Duration) -> Result<Self, ServerError> {
        let (pid, events) = spawn(command(setpriv, binary, &options.config_file()), binary).await?;
        let mut child = Self { pid, port: 0, events, reloads: watch::Sender::default() };
        let ready = tokio::time::timeout(patience, child.ready(options)).await;
        match ready.unwrap_or(Err(ServerError::Slow { seconds: patience.as_secs() })) {
            Ok(port) => Ok(Self { port, ..child }),
            Err(error) => {
                child.kill(Signal::KILL);
                Err(error)
            }
        }
    }

    async fn ready(&mut self, options: &ServerOptions) -> Result<u16, ServerError> {
        let (mut log, mut port) = (VecDeque::new(), 0);
        while let Some(Event::Line(line)) = self.events.recv().await {
            if let Some(version) = after(&line, "Version:").filter(|v| too_old(v)) {
                return Err(ServerError::TooOld { found: version.to_owned() });
            }
            if let Some(address) = after(&line, "Listening for client connections on") {
                port = address.rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or_default();
            }
            if line.contains("Server is ready") {
                return Ok(port);
            }
            log.push_back(line);
        }
        Err(diagnose(&log, options))
    }

    /// Waits for its end; cancel-safe.
    pub(super) async fn end(&mut self) -> End {
        loop {
            match self.events.recv().await {
                Some(Event::Line(line)) => {
                    let said = message(&line);
                    tracing::debug!(target: "nats_server", "{said}");
                    self.reloaded(said);
                    if said.contains(STUCK) {
                        return End::Stuck(said.to_owned());
                    }
                }
                Some(Event::Exited(status)) => return End::Exited(status),
                None => return End::Exited("unknown".to_owned()),
            }
        }
    }

    /// Waits until it has ended, whatever it says.
    async fn exited(&mut self) {
        while !matches!(self.end().await, End::Exited(_)) {}
    }

    fn kill(&self, with: Signal) {
        if let Err(error) = signal(self.pid, with) {
            tracing::debug!(%error, pid = self.pid, "nats-server is gone already");
        }
    }

    /// Asks it to end, and ends it when it doesn't.
    pub(super) async fn stop(mut self, patience: Duration) {
        self.quit(patience).await;
    }

    /// The same, of a child that another follows.
    pub(super) async fn quit(&mut self, patience: Duration) {
        self.kill(Signal::TERM);
        if tokio::time::timeout(patience, self.exited()).await.is_err() {
            self.kill(Signal::KILL);
            self.exited().await;
        }
    }
}

/// Starts the binary in a thread that lives as long as the child does.
async fn spawn(mut command: Command, binary: &Path) -> Result<(u32, mpsc::Receiver<Event>), ServerError> {
    let (started, start) = tokio::sync::oneshot::channel();
    let (events, received) = mpsc::channel(256);
    let watcher = move || {
        let child = command.spawn();
        let (mut child, pid) = match child {
            Ok(child) => {
                let pid = child.id();
                (child, Ok(pid))
            }
            Err(e) => return drop(started.send(Err(e))),
        };
        if started.send(pid).is_err() {
            tracing::debug!("nobody waits for nats-server any more");
        }
        let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).split(b'\n'));
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            // once nobody listens, the log is only drained
            _ = events.blocking_send(Event::Line(String::from_utf8_lossy(&line).into_owned())).is_ok();
        }
        let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        _ = events.blocking_send(Event::Exited(status)).is_ok();
    };
    let failed = |source| ServerError::Spawn { binary: binary.to_owned(), source };
    std::thread::Builder::new().name("nats-server".to_owned()).spawn(watcher).map_err(failed)?;
    let pid = start.await.map_err(|_| failed(io::Error::other("its thread ended")))?.map_err(failed)?;
    Ok((pid, received))
}

fn command(setpriv: Option<&Path>, binary: &Path, config: &Path) -> Command {
    let arguments = [OsString::from("-c"), config.into()];
    let mut command = match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    // Go's collector lets the heap double before it collects. What it holds here is small, so that memory counts for more than the collector's time.
    if std::env::var_os("GOGC").is_none() {
        command.env("GOGC", "50");
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // so that Ctrl-C reaches the parent only, which stops it when all else has stopped
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// The binary: what the environment names, else the first one in PATH or in `more`.
pub(super) fn find_binary(more: Option<&Path>) -> Result<PathBuf, ServerError> {
    if let Some(named) = std::env::var_os("WHALESONG_NATS_SERVER").filter(|v| !v.is_empty()) {
        return Some(PathBuf::from(named)).filter(|p| p.is_file()).ok_or(ServerError::NotFound);
    }
    let more = more.map(|directory| directory.join("nats-server")).filter(|p| p.is_file());
    more.or_else(|| find("nats-server")).ok_or(ServerError::NotFound)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|p| p.is_file())
}

/// What stands behind `label` in a line.
fn after<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    line.split_once(label).map(|(_, rest)| rest.trim())
}

/// A log line without its process id and time.
fn message(line: &str) -> &str {
    line.splitn(3, "] ").nth(2).unwrap_or(line)
}

fn too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < MIN_VERSION,
        _ => false,
    }
}

/// What a log that ends before readiness means.
fn diagnose(log: &VecDeque<String>, options: &ServerOptions) -> ServerError {
    let said = |words: &str| log.iter().any(|line| line.contains(words));
    if let (true, Some(port)) = (said("address already in use"), options.port) {
        return ServerError::PortInUse { port };
    }
    if let Some(line) = log.iter().find(|line| line.contains("Can't start JetStream")) {
        return ServerError::Unwritable { directory: options.directory.clone(), source: io::Error::other(message(line).to_owned()) };
    }
    if said("sync_interval") && said("unknown field") {
        return ServerError::TooOld { found: "older than 2.10".to_owned() };
    }
    let end: Vec<&str> = log.iter().skip(log.len().saturating_sub(QUOTED)).map(|line| message(line)).collect();
    ServerError::Failed { log: end.join("; ") }
}

/// Sends a signal to a process.
pub(super) fn signal(pid: u32, with: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(rustix::process::kill_process(pid, with)?)
}

/// Whether the process is a server with this configuration.
pub(super) fn is_ours(pid: u32, config: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|b| *b == 0).any(|argument| argument == config.as_os_str().as_encoded_bytes())
}

/// Ends a process that isn't our child, and waits for its end.
#[cfg(target_os = "linux")]
pub(super) async fn end_orphan(pid: u32, patience: Duration) {
    let ended = tokio::task::spawn_blocking(move || end_and_wait(pid, patience)).await;
    if let Err(error) = ended.unwrap_or_else(|e| Err(io::Error::other(e))) {
        tracing::debug!(%error, pid, "the old nats-server is gone already");
    }
}

#[cfg(target_os = "linux")]
fn end_and_wait(pid: u32, patience: Duration) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let handle = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty())?;
    let limit = Timespec::try_from(patience).map_err(io::Error::other)?;
    for with in [Signal::TERM, Signal::KILL] {
        rustix::process::pidfd_send_signal(&handle, with)?;
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit))? > 0 {
            return Ok(());
        }
    }
    Err(io::Error::from(io::ErrorKind::TimedOut))
}

/// Ends a process that isn't our child.
#[cfg(not(target_os = "linux"))]
pub(super) async fn end_orphan(pid: u32, _: Duration) {
    if let Err(error) = signal(pid, Signal::KILL) {
        tracing::debug!(%error, pid, "the old nats-server is gone already");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> VecDeque<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn logs_become_errors_with_remedies() {
        let options = ServerOptions { port: Some(4222), ..ServerOptions::new("/data") };
        let rows = [
            ("[1] 2026/11/21 00:29:30.7 [FTL] Error listening on port: 127.0.0.1:4222, \"listen tcp: bind: address already in use\"", "port 4222 is in use"),
            ("[1] 2026/11/21 00:29:30.7 [FTL] Can't start JetStream: could not create storage directory - permission denied", "/data can't be written"),
            ("nats-server: c.json:1:131: unknown field \"sync_interval\"", "too old"),
            ("[1] 2026/11/21 00:29:30.7 [FTL] something else", "doesn't start: something else"),
        ];
        for (line, words) in rows {
            let error = diagnose(&log(&[line]), &options).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        for (version, old) in [("2.9.10", true), ("v2.10.0", false), ("2.15.1-beta", false), ("1.99", true), ("3.0.0", false), ("dev", false)] {
            assert_eq!(too_old(version), old, "{version}");
        }
    }
}
