//! Puts aside the logs that have become too long, and removes the oldest.
use super::base::Executor;
use super::log_files::{next, prune};
use crate::component::Component;
use crate::runtime::{Container, RunState, RuntimeError};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long logs may become. The defaults are the kubelet's `containerLogMaxSize`, `containerLogMaxFiles` and `containerLogMonitorInterval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which a file is put aside.
    pub size: u64,
    /// Files that a run has at most, the one that is written among them.
    pub files: usize,
    /// How often files are looked at: nothing tells that one is too long.
    pub every: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { size: 10 << 20, files: 5, every: Duration::from_secs(10) }
    }
}

/// Logs that are put aside at once.
const AT_ONCE: usize = 16;

/// Why a log can't be put aside.
#[derive(Debug, thiserror::Error)]
enum RotateError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A log that is too long, by the names of the files that it is in.
struct Long {
    pod: OsString,
    container: OsString,
    attempt: u32,
    live: PathBuf,
}

/// All logs below the pods' directory that are longer than this.
fn long(pods: &Path, size: u64) -> Vec<Long> {
    let inside = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for pod in inside(pods) {
        for container in inside(&pod.path().join("logs")) {
            for file in inside(&container.path()) {
                let attempt = file.file_name().to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
                if let (Some(attempt), true) = (attempt, file.metadata().is_ok_and(|m| m.len() > size)) {
                    found.push(Long { pod: pod.file_name(), container: container.file_name(), attempt, live: file.path() });
                }
            }
        }
    }
    found
}

/// Puts logs that have become too long aside, until cancelled.
///
/// # Errors
/// None; one log's trouble is logged.
pub async fn rotate(executor: &Executor, rotation: Rotation, cancel: CancellationToken) -> Result<(), io::Error> {
    let mut look = tokio::time::interval(rotation.every);
    while cancel.run_until_cancelled(look.tick()).await.is_some() {
        let pods = executor.pods.clone();
        let logs = tokio::task::spawn_blocking(move || long(&pods, rotation.size)).await?;
        // Side by side: a container that the runtime doesn't answer for keeps nobody else's log from being put aside.
        let each: Vec<BoxFuture<'_, ()>> = logs.into_iter().map(|log| log.put_aside(executor, rotation.files).boxed()).collect();
        let each = futures::stream::iter(each).buffer_unordered(AT_ONCE).collect::<Vec<()>>();
        if cancel.run_until_cancelled(each).await.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

impl Long {
    async fn put_aside(self, executor: &Executor, most: usize) {
        if let Err(error) = put_aside(executor, &self, most).await {
            tracing::warn!(path = %self.live.display(), %error, "a container's log could not be put aside");
        }
    }
}

/// Renames the file, and has the runtime begin another one. What is written in between still goes to the renamed one.
async fn put_aside(executor: &Executor, log: &Long, most: usize) -> Result<(), RotateError> {
    let runs = executor.runtime.list(Component::name(&log.pod).as_deref()).await?;
    let is = |name: &str, file: &OsString| Component::of(name).as_str() == file;
    let writes =
        |r: &&Container| is(&r.pod.uid, &log.pod) && is(&r.name, &log.container) && r.attempt == log.attempt && matches!(r.state, RunState::Running(_));
    let Some(run) = runs.iter().find(writes) else { return Ok(()) };
    let aside = next(&log.live);
    std::fs::rename(&log.live, &aside)?;
    if let Err(error) = executor.runtime.reopen_log(&run.id).await {
        std::fs::rename(&aside, &log.live)?;
        return Err(error.into());
    }
    Ok(prune(&log.live, most)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_long_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("u/logs/c");
        std::fs::create_dir_all(&logs).unwrap();
        for (name, length) in [("0.log", 5), ("1.log", 20), ("1.log.1", 20)] {
            std::fs::write(logs.join(name), vec![b'x'; length]).unwrap();
        }
        let found: Vec<(OsString, OsString, u32)> = long(dir.path(), 10).into_iter().map(|l| (l.pod, l.container, l.attempt)).collect();
        assert_eq!(found, [("u".into(), "c".into(), 1)]);
    }
}
