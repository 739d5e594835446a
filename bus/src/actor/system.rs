//! The root of a process's actors: starting, seeing and stopping them.
use super::actor_ref::ActorRef;
use super::directory::ActorReport;
use super::lifecycle::{Actor, spawn_actor, spawn_task};
use super::options::Options;
use super::supervise::Scope;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The root of a process's actors. Clones are the same system.
#[derive(Clone)]
pub struct System {
    root: Scope,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// An empty system.
    pub fn new() -> Self {
        Self { root: Scope::root() }
    }

    /// Starts an actor; `make` makes its value, again after each failure.
    pub fn spawn<A: Actor>(&self, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
        spawn_actor(&self.root, name, options, make)
    }

    /// Starts a loop that is started again, after a pause that grows, whenever it fails or panics, and ends when it returns `Ok`.
    /// It should end soon after its token is cancelled.
    pub fn task<F, R, E>(&self, name: &str, run: F)
    where
        F: Fn(CancellationToken) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        spawn_task(&self.root, name, Options::task(), run);
    }

    /// Starts a loop that can't begin anew, because what it holds would be lost: when it panics, the system has failed ([`System::failed`]).
    /// It should end soon after its token is cancelled.
    pub fn vital<F, R>(&self, name: &str, run: F)
    where
        F: FnOnce(CancellationToken) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let once = Mutex::new(Some(run));
        spawn_task(&self.root, name, Options::once(), move |cancel| {
            let run = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                if let Some(run) = run {
                    run(cancel).await;
                }
                Ok::<(), Infallible>(())
            }
        });
    }

    /// All that runs, ordered by path, and what gave up.
    pub fn report(&self) -> Vec<ActorReport> {
        self.root.directory.report()
    }

    /// Completes with the reason when something at the root gave up: nothing above can repair it, so the process should end.
    pub async fn failed(&self) -> String {
        self.root.broken().await
    }

    /// A token that is cancelled when the system stops, for what runs beside it.
    pub fn stopping(&self) -> CancellationToken {
        self.root.stop.clone()
    }

    /// Stops everything in good order, children before parents; whatever takes longer than `grace` is dropped where it is.
    /// Says whether all stopped in time.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let in_time = tokio::time::timeout(grace, self.root.close()).await.is_ok();
        if !in_time {
            let late: Vec<String> = self.report().into_iter().map(|r| r.path).collect();
            tracing::warn!(?late, "not stopped in time");
            self.root.directory.kill.cancel();
            self.root.children.wait().await;
        }
        in_time
    }
}
