//! Restarts what fails: the pauses between restarts, the limit of restarts, and what happens when the limit is reached.
use super::directory::{Directory, Slot, State};
use super::options::Options;
use crate::backoff::Backoff;
use futures::FutureExt;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The pause before the next restart, and whether there is one. Pure.
#[derive(Debug)]
pub(super) struct Restarter {
    options: Options,
    backoff: Backoff,
    failures: VecDeque<Instant>,
}

impl Restarter {
    pub(super) fn new(options: Options) -> Self {
        Self { options, backoff: Backoff::new(options.backoff_min, options.backoff_max), failures: VecDeque::new() }
    }

    /// What to do after a failure at `now` of a run that began at `began`; `None`: give up.
    pub(super) fn failed(&mut self, began: Instant, now: Instant) -> Option<Duration> {
        if let Some(limit) = self.options.restarts {
            self.failures.retain(|at| now.duration_since(*at) < limit.within);
            if self.failures.len() >= limit.max {
                return None;
            }
            self.failures.push_back(now);
        }
        if now.duration_since(began) >= self.options.stable {
            self.backoff.reset();
        }
        Some(self.backoff.pause())
    }
}

/// A node of the tree while one incarnation runs: what ends it, who its children are, and how they report that they gave up.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) directory: Arc<Directory>,
    pub(super) path: Arc<str>,
    /// Ends it and all below in good order.
    pub(super) stop: CancellationToken,
    pub(super) children: TaskTracker,
    /// Set by the first child that gave up.
    pub(super) broken: Arc<watch::Sender<Option<String>>>,
}

impl Scope {
    pub(super) fn root() -> Self {
        Self {
            directory: Arc::default(),
            path: "".into(),
            stop: CancellationToken::new(),
            children: TaskTracker::new(),
            broken: Arc::new(watch::Sender::new(None)),
        }
    }

    /// The scope of one incarnation of the child of this name.
    pub(super) fn below(&self, path: &Arc<str>, stop: &CancellationToken) -> Self {
        Self {
            directory: self.directory.clone(),
            path: path.clone(),
            stop: stop.child_token(),
            children: TaskTracker::new(),
            broken: Arc::new(watch::Sender::new(None)),
        }
    }

    pub(super) fn child_path(&self, name: &str) -> Arc<str> {
        if self.path.is_empty() { name.into() } else { format!("{}/{name}", self.path).into() }
    }

    /// Completes with the reason when a child gave up.
    pub(super) async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        broken.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Stops what is below and waits for it.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.children.close();
        self.children.wait().await;
    }
}

/// Runs `incarnation` in fresh scopes until it ends well, is stopped, or fails too often.
pub(super) async fn supervise<F, R>(parent: Scope, slot: Arc<Slot>, options: Options, mut incarnation: F)
where
    F: FnMut(Scope) -> R + Send,
    R: Future<Output = Result<(), String>> + Send,
{
    let kill = parent.directory.kill.clone();
    let mut backoff = Restarter::new(options);
    loop {
        let scope = parent.below(&slot.path, &parent.stop);
        let began = Instant::now();
        slot.enter(State::Running);
        let outcome = tokio::select! {
            () = kill.cancelled() => return,
            outcome = contained(|| incarnation(scope.clone())) => outcome,
        };
        tokio::select! {
            () = kill.cancelled() => return,
            () = scope.close() => {}
        }
        let Err(why) = outcome else { return };
        if parent.stop.is_cancelled() {
            tracing::warn!(path = %slot.path, %why, "failed while stopping");
            return;
        }
        let Some(pause) = backoff.failed(began, Instant::now()) else {
            tracing::error!(path = %slot.path, %why, "failed, giving up");
            slot.enter(State::Failed);
            parent.broken.send_if_modified(|broken| {
                let first = broken.is_none();
                broken.get_or_insert_with(|| format!("{} gave up: {why}", slot.path));
                first
            });
            return;
        };
        tracing::warn!(path = %slot.path, %why, ?pause, "failed, starting again");
        slot.restarted(why);
        tokio::select! {
            () = parent.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Runs with panics turned into failures, those of making the future included.
async fn contained<R: Future<Output = Result<(), String>>>(run: impl FnOnce() -> R) -> Result<(), String> {
    let whole = AssertUnwindSafe(async { run().await });
    whole.catch_unwind().await.unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<&str>().map(ToString::to_string).or_else(|| payload.downcast_ref::<String>().cloned());
        Err(format!("panicked: {}", words.unwrap_or_else(|| "no message".to_owned())))
    })
}
