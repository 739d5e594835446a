//! What is remembered of a run that could not be started. To the runtime it looks as if nobody had tried, and an agent that starts anew must not try again
//! what has failed for good, nor count from the beginning.
use crate::beneath;
use crate::component::Component;
use crate::disk;
use crate::runtime::{Container, Exit, RunState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Exit code of a run that could not be started, as container runtimes give it.
const CODE: i32 = 128;
/// Bytes of the runtime's words that are kept.
const WORDS_MAX: usize = 4096;
/// The largest record, bytes: words may be escaped.
const RECORD_MAX: u64 = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Record {
    /// The run.
    id: String,
    /// When it failed.
    at: Timestamp,
    /// The runtime's words.
    error: String,
}

/// How a run ended that could not be started.
pub fn exit(at: Timestamp, error: String) -> Exit {
    Exit { code: CODE, started: None, finished: at, oom: false, error }
}

/// Where a run's record is.
pub fn path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("start-errors").join(Component::of(container)).join(Component::of(&attempt.to_string()))
}

/// Remembers it.
///
/// # Errors
/// What the disk says.
pub fn keep(path: &Path, id: &str, exit: &Exit) -> io::Result<()> {
    let error = crate::logs::beginning(&exit.error, WORDS_MAX).to_owned();
    disk::note(path, &serde_json::to_vec(&Record { id: id.to_owned(), at: exit.finished, error })?)
}

/// A run as the runtime has it, ended where it could not be started.
pub fn recall(pod_dir: &Path, mut run: Container) -> Container {
    if run.state == RunState::Created
        && let Ok(bytes) = beneath::read(&path(pod_dir, &run.name, run.attempt), RECORD_MAX)
        && let Ok(record) = serde_json::from_slice::<Record>(&bytes)
        && record.id == run.id
    {
        run.state = RunState::Exited(exit(record.at, record.error));
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::PodRef;

    #[test]
    fn what_could_not_be_started_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let run = |id: &str| Container {
            id: id.to_owned(),
            pod: PodRef { namespace: "a".to_owned(), name: "p".to_owned(), uid: "u".to_owned() },
            name: "../c".to_owned(),
            attempt: 3,
            hash: String::new(),
            sandbox: String::new(),
            image: String::new(),
            image_id: String::new(),
            state: RunState::Created,
        };
        let exit = exit(Timestamp::UNIX_EPOCH, "no such command".to_owned());
        assert_eq!(recall(dir.path(), run("1")), run("1"));
        keep(&path(dir.path(), "../c", 3), "1", &exit).unwrap();
        assert_eq!(recall(dir.path(), run("1")).state, RunState::Exited(exit));
        assert_eq!(recall(dir.path(), run("2")), run("2"), "another run of the same number");
        std::fs::write(path(dir.path(), "../c", 3), "{").unwrap();
        assert_eq!(recall(dir.path(), run("1")), run("1"));
    }
}
