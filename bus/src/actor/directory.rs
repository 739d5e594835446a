//! The directory of a process's actors: what runs, and how it is.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// What an actor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Taking messages.
    Running,
    /// Failed, waiting for its next start.
    Restarting,
    /// Failed too often and gave up.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
        })
    }
}

/// One actor or task as `whalesong status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ActorReport {
    /// Its place in the tree: `parent/child`.
    pub path: String,
    /// What it is doing.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
    /// The last failure's words; empty where there was none.
    pub last_failure: String,
    /// Messages that wait in its mailbox.
    pub mailbox: usize,
    /// Messages that its mailbox holds; 0 for tasks.
    pub capacity: usize,
}

/// An entry of the directory.
pub(super) struct Slot {
    pub(super) path: Arc<str>,
    depth: Box<dyn Fn() -> usize + Send + Sync>,
    capacity: usize,
    progress: Mutex<Progress>,
}

struct Progress {
    state: State,
    restarts: u64,
    last_failure: String,
}

impl Slot {
    /// An entry that begins running; `depth` says how many messages wait in its mailbox.
    pub(super) fn new(path: Arc<str>, capacity: usize, depth: impl Fn() -> usize + Send + Sync + 'static) -> Arc<Self> {
        let progress = Progress { state: State::Running, restarts: 0, last_failure: String::new() };
        Arc::new(Self { path, depth: Box::new(depth), capacity, progress: Mutex::new(progress) })
    }
    pub(super) fn enter(&self, state: State) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).state = state;
    }
    pub(super) fn restarted(&self, why: String) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = Progress { state: State::Restarting, restarts: progress.restarts + 1, last_failure: why };
    }
    fn report(&self) -> ActorReport {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        ActorReport {
            path: self.path.to_string(),
            state: progress.state,
            restarts: progress.restarts,
            last_failure: progress.last_failure.clone(),
            mailbox: (self.depth)(),
            capacity: self.capacity,
        }
    }
}

/// Path, and number of start, since two siblings may have one name.
type ActorKey = (Arc<str>, u64);

#[derive(Default)]
struct Slots {
    started: u64,
    running: BTreeMap<ActorKey, Arc<Slot>>,
}

/// All that runs in a system.
#[derive(Default)]
pub(super) struct Directory {
    slots: Mutex<Slots>,
    /// Ends everything at once, wherever it is.
    pub(super) kill: CancellationToken,
}

/// An entry's stay in the directory; one that gave up stays, so that it is seen.
pub(super) struct Listed {
    directory: Arc<Directory>,
    key: ActorKey,
}

impl Directory {
    pub(super) fn list(self: &Arc<Self>, slot: Arc<Slot>) -> Listed {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.started += 1;
        let key = (slot.path.clone(), slots.started);
        slots.running.insert(key.clone(), slot);
        Listed { directory: self.clone(), key }
    }

    /// All that runs, ordered by path, and what gave up.
    pub(super) fn report(&self) -> Vec<ActorReport> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.running.values().map(|slot| slot.report()).collect()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut slots = self.directory.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.running.get(&self.key).is_some_and(|slot| slot.report().state != State::Failed) {
            slots.running.remove(&self.key);
        }
    }
}
