//! How an actor or a task is run: its mailbox, and when it is started again.
use std::time::Duration;

/// How many restarts are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// More than so many …
    pub max: usize,
    /// … within so long fail the parent.
    pub within: Duration,
}

/// How an actor or a task is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Messages that its mailbox holds before senders wait.
    pub mailbox: usize,
    /// The pause before the first restart; doubled with each further one.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// After running so long, the next restart counts as a first one again.
    pub stable: Duration,
    /// When to give up and fail the parent; `None`: never.
    pub restarts: Option<Restarts>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mailbox: 256,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_secs(10),
            stable: Duration::from_secs(30),
            restarts: Some(Restarts { max: 10, within: Duration::from_secs(60) }),
        }
    }
}

impl Options {
    /// For tasks: they have no mailbox and are restarted forever, since what they fail on is mostly the world outside.
    pub fn task() -> Self {
        Self { mailbox: 0, restarts: None, ..Self::default() }
    }

    /// For what can't begin anew: its first failure is its parent's.
    pub(super) fn once() -> Self {
        Self { restarts: Some(Restarts { max: 0, within: Duration::ZERO }), ..Self::task() }
    }
}
