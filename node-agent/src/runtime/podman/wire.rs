//! The parts of Podman's answers that the agent reads.
use super::spec::label;
use crate::runtime::{Container, Exit, Image, PodRef, RunState};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// `GET version`.
#[derive(Deserialize)]
pub struct Version {
    /// `4.3.1`.
    #[serde(rename = "Version")]
    pub version: String,
}

/// An answer that is an id.
#[derive(Deserialize)]
pub struct Created {
    /// Of a container or of an exec session.
    #[serde(rename = "Id")]
    pub id: String,
}

/// An element of `GET containers/json`.
#[derive(Deserialize)]
pub struct Listed {
    /// The container's id.
    #[serde(rename = "Id")]
    pub id: String,
    #[serde(rename = "Labels", default)]
    labels: Option<HashMap<String, String>>,
    #[serde(rename = "Pid", default)]
    pid: u32,
    #[serde(rename = "StartedAt", default)]
    started_at: i64,
}

impl Listed {
    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }
    /// Its first process, and when it began, where it runs.
    pub fn running(&self) -> Option<(u32, Timestamp)> {
        Some((self.pid, Timestamp::from_second(self.started_at).ok()?)).filter(|(pid, _)| *pid > 0)
    }
}

/// An element of `GET images/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedImage {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    size: i64,
}

impl ListedImage {
    /// As the agent sees it.
    pub fn image(self) -> Image {
        let names = self.repo_tags.unwrap_or_default().into_iter().chain(self.repo_digests.unwrap_or_default()).collect();
        Image { id: self.id, names, size: self.size, ..Image::default() }
    }
}

/// A line of `POST images/pull`.
#[derive(Deserialize)]
pub struct PullReport {
    /// Why it failed.
    pub error: Option<String>,
}

/// A line of `GET events`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// `container`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened.
    pub action: String,
    /// To what.
    pub actor: EventActor,
}

/// What an event is about.
#[derive(Deserialize)]
pub struct EventActor {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Of a container: its labels, too.
    #[serde(rename = "Attributes", default)]
    pub attributes: HashMap<String, String>,
}

/// `GET containers/stats`.
#[derive(Deserialize)]
pub struct Stats {
    #[serde(rename = "Stats", default)]
    containers: Vec<ContainerStats>,
}

#[derive(Deserialize)]
struct ContainerStats {
    #[serde(rename = "MemUsage")]
    memory: i64,
}

impl Stats {
    /// Bytes of memory of the one container that was asked about.
    pub fn memory(&self) -> Option<i64> {
        self.containers.first().map(|c| c.memory)
    }
}

/// `GET exec/X/json`.
#[derive(Deserialize)]
pub struct ExecInspect {
    /// How the command ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: i32,
}

/// `GET containers/X/json`, where the container's bundle is.
#[derive(Deserialize)]
pub struct Bundle {
    /// Its `config.json`.
    #[serde(rename = "OCIConfigPath")]
    pub config: PathBuf,
}

/// `GET containers/X/json`, as far as it tells of the container's process.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Running {
    state: RunningState,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunningState {
    running: bool,
    pid: i32,
}

impl Running {
    /// Its first process, as long as it runs.
    pub fn pid(&self) -> Option<i32> {
        Some(self.state.pid).filter(|pid| self.state.running && *pid > 0)
    }
}

/// `GET containers/X/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    id: String,
    image: String,
    image_name: String,
    state: State,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    exit_code: i32,
    #[serde(default)]
    error: String,
    started_at: Timestamp,
    finished_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: Option<HashMap<String, String>>,
}

/// Podman's "never" is the year 1.
fn when(t: Timestamp) -> Option<Timestamp> {
    (t > Timestamp::UNIX_EPOCH).then_some(t)
}

impl State {
    fn run(&self) -> RunState {
        match (self.status.as_str(), when(self.started_at), when(self.finished_at)) {
            ("running" | "paused" | "stopping", Some(started), _) => RunState::Running(started),
            ("exited" | "stopped" | "removing", started, Some(finished)) => {
                RunState::Exited(Exit { code: self.exit_code, started, finished, oom: self.oom_killed, error: self.error.clone() })
            }
            _ => RunState::Created,
        }
    }
}

impl Inspect {
    /// As the agent sees it; `None` for a container that isn't an agent's.
    pub fn container(self) -> Option<Container> {
        let mut labels = self.config.labels.unwrap_or_default();
        let pod = PodRef { uid: labels.remove(label::UID)?, namespace: labels.remove(label::NAMESPACE)?, name: labels.remove(label::POD)? };
        Some(Container {
            id: self.id,
            pod,
            name: labels.remove(label::CONTAINER)?,
            attempt: labels.remove(label::ATTEMPT)?.parse().ok()?,
            hash: labels.remove(label::HASH).unwrap_or_default(),
            sandbox: labels.remove(label::SANDBOX).unwrap_or_default(),
            image: labels.remove(label::IMAGE).unwrap_or(self.image_name),
            image_id: labels.remove(label::IMAGE_REFERENCE).unwrap_or(self.image),
            state: self.state.run(),
        })
    }
}

/// `GET images/X/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageInspect {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    user: String,
}

impl ImageInspect {
    /// As the agent sees it.
    pub fn image(self) -> Image {
        let digests = self.repo_digests.unwrap_or_default();
        let reference = digests.iter().find(|d| !d.starts_with("localhost/")).cloned().unwrap_or_else(|| format!("sha256:{}", self.id));
        let names = self.repo_tags.unwrap_or_default().into_iter().chain(digests).collect();
        Image { id: self.id, reference, names, size: self.size, user: self.user }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str, started: &str, finished: &str) -> RunState {
        let json = serde_json::json!({"Status": status, "OOMKilled": false, "ExitCode": 3, "StartedAt": started, "FinishedAt": finished});
        serde_json::from_value::<State>(json).unwrap().run()
    }

    #[test]
    fn states() {
        let never = "0001-01-01T00:00:00Z";
        let (a, b) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:05.5+00:00");
        assert_eq!(state("created", never, never), RunState::Created);
        assert_eq!(state("running", a, never), RunState::Running(a.parse().unwrap()));
        let exit = Exit { code: 3, started: Some(a.parse().unwrap()), finished: b.parse().unwrap(), oom: false, error: String::new() };
        assert_eq!(state("exited", a, b), RunState::Exited(exit));
    }
}
