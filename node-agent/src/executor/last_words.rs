//! What a run that has ended left to say why: its termination message, or the end of its log.
use super::base::Executor;
use super::log_files::log_files;
use super::paths::{log_path, message_path};
use crate::runtime::{Container, RunState};
use k8s_openapi::api::core::v1::Pod;
use std::path::Path;

/// The most of a termination message that is shown: its end.
const MESSAGE_MAX: u64 = 4096;
/// What is read of a log for its last words: a runtime writes pieces of 8 KiB at most.
const LOG_END: u64 = 64 << 10;
/// The most of a log that stands in for one: bytes and lines.
const FALLBACK: (usize, usize) = (2048, 80);

impl Executor {
    /// What a run that has ended left in its termination message, or at the end of its log where its policy says so.
    pub async fn final_message(&self, pod: &Pod, run: &Container) -> Option<String> {
        let RunState::Exited(exit) = &run.state else { return None };
        if !self.runtime.uses_files() {
            return None;
        }
        let dir = self.dir(&run.pod.uid);
        let policy = crate::pod::container(pod, &run.name).and_then(|c| c.termination_message_policy.clone());
        let from_log = policy.as_deref() == Some("FallbackToLogsOnError") && exit.code != 0;
        let (message, log) = (message_path(&dir, &run.name, run.attempt), log_path(&dir, &run.name, run.attempt));
        let read = tokio::task::spawn_blocking(move || left_message(&message).or_else(|| from_log.then(|| last_words(&log)).flatten())).await;
        read.unwrap_or_default()
    }
}

/// The end of the file that a container may write anything to.
fn left_message(path: &Path) -> Option<String> {
    let (bytes, _) = crate::beneath::read_end(path, MESSAGE_MAX).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of a log, of which no more is read than the words that are wanted can be in.
fn last_words(live: &Path) -> Option<String> {
    // The newest file may have been begun just before.
    let files = log_files(live);
    let mut log = Vec::new();
    for path in files.iter().skip(files.len().saturating_sub(2)) {
        let (bytes, cut) = crate::beneath::read_end(path, LOG_END).ok()?;
        let whole = if cut { bytes.iter().position(|b| *b == b'\n').and_then(|at| bytes.get(at + 1..)).unwrap_or_default() } else { &bytes };
        log.extend_from_slice(whole);
    }
    Some(crate::logs::last_words(&log, FALLBACK.0, FALLBACK.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_container_left_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("message");
        assert_eq!(left_message(&path), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(left_message(&path), None);
        std::fs::write(&path, format!("{}end", "x".repeat(5000))).unwrap();
        assert_eq!(left_message(&path).unwrap(), format!("{}end", "x".repeat(4093)));
        std::fs::File::create(&path).unwrap().set_len(100 << 30).unwrap();
        assert_eq!(left_message(&path).unwrap().len(), 4096);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert_eq!(left_message(&path), None);
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(left_message(&path), None);
    }

    #[test]
    fn last_words_are_read_from_the_end_of_a_log_of_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("0.log");
        let line = |i: u32| format!("2026-01-01T00:00:00Z stdout F {i} line\n");
        std::fs::write(dir.path().join("0.log.1"), (0..100_000).map(line).collect::<String>()).unwrap();
        std::fs::write(&live, (100_000..100_010).map(line).collect::<String>()).unwrap();
        let want: String = (99_930..100_010).map(|i| format!("{i} line\n")).collect();
        assert_eq!(last_words(&live).unwrap(), want);
        std::fs::write(&live, "x".repeat(1 << 20)).unwrap();
        assert!(last_words(&live).unwrap().ends_with("99999 line\n"), "what is no line is nothing");
    }
}
