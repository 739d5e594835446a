//! The queue of one namespace.
use super::counted::{Counted, Refusal};
use model::Stored;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// So many writes are done as one group at most.
pub(super) const AT_ONCE: usize = 256;
/// How a writer is answered.
pub(super) type Reply = oneshot::Sender<Result<Arc<Stored>, Refusal>>;

/// What waits.
pub(super) enum Waiting {
    /// A write.
    Write(Box<Counted>, Reply),
    /// What there is has to be counted anew.
    Count,
}

/// What waits, and whether somebody works on it.
#[derive(Default)]
pub(super) struct State {
    pub(super) waiting: VecDeque<Waiting>,
    /// Whether a task works on it.
    pub(super) running: bool,
}

/// The queue of a namespace.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

impl Queue {
    /// What is in it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is worked on next; when nothing is, the task that asked has ended.
    pub(super) fn next(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        let some = state.waiting.len().min(AT_ONCE);
        state.running = some > 0;
        state.waiting.drain(..some).collect()
    }
}
