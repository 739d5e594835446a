//! The actor runtime: values that own their state, take messages from a bounded mailbox one at a time, and are
//! supervised: one that fails or panics is made anew after a pause that grows, and one that keeps failing fails its parent.
//!
//! The mailbox outlives the value: what was queued when an actor failed is handled by its successor. The message that it failed on
//! isn't repeated.
mod supervise;
mod system;
#[cfg(test)]
mod tests;

pub use supervise::{Options, Restarts};
pub use system::{ActorReport, State, System};

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use supervise::Scope;
use tokio::sync::{mpsc, oneshot};

/// A value that handles messages one at a time.
pub trait Actor: Send + 'static {
    /// What it is told.
    type Message: Send + 'static;
    /// Why it can't go on. It is then replaced by a fresh value.
    type Error: fmt::Display + Send;

    /// Runs before the first message, after each (re)start.
    fn started(&mut self, ctx: &Context<Self::Message>) -> impl Future<Output = Result<(), Self::Error>> + Send {
        _ = ctx;
        ready(Ok(()))
    }
    /// Handles one message.
    fn handle(&mut self, message: Self::Message, ctx: &Context<Self::Message>) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Runs when the actor is stopped, after its children; not when it failed.
    fn stopping(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// The actor's receiver is gone: it stopped for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the actor {0} has stopped")]
pub struct Stopped(
    /// Its path.
    pub Arc<str>,
);

/// Why a message could not be left without waiting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// The mailbox is full.
    #[error("the mailbox of {0} is full")]
    Full(Arc<str>),
    /// The actor stopped for good.
    #[error("the actor {0} has stopped")]
    Stopped(Arc<str>),
}

/// Where to leave messages for an actor. Cheap to clone; stays valid over its restarts.
pub struct ActorRef<M> {
    path: Arc<str>,
    mailbox: mpsc::Sender<M>,
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), mailbox: self.mailbox.clone() }
    }
}

impl<M: Send + 'static> ActorRef<M> {
    /// Its place in the tree: `parent/child`.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// Leaves a message; waits while the mailbox is full.
    ///
    /// # Errors
    /// When the actor stopped for good.
    pub async fn send(&self, message: M) -> Result<(), Stopped> {
        self.mailbox.send(message).await.map_err(|_| Stopped(self.path.clone()))
    }
    /// Leaves a message if there is room.
    ///
    /// # Errors
    /// When there is none, or the actor stopped for good.
    pub fn try_send(&self, message: M) -> Result<(), TrySendError> {
        self.mailbox.try_send(message).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => TrySendError::Full(self.path.clone()),
            mpsc::error::TrySendError::Closed(_) => TrySendError::Stopped(self.path.clone()),
        })
    }
    /// Leaves a message that carries the place for its answer, and waits for it.
    ///
    /// # Errors
    /// When the actor stopped, or dropped the message unanswered (it failed on it).
    pub async fn ask<R: Send>(&self, message: impl FnOnce(oneshot::Sender<R>) -> M + Send) -> Result<R, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(message(reply)).await?;
        answer.await.map_err(|_| Stopped(self.path.clone()))
    }
    /// Completes when the actor stopped for good.
    pub async fn stopped(&self) {
        self.mailbox.closed().await;
    }
}

/// What an actor has around it while it runs: its own address, its children, its end.
pub struct Context<M> {
    me: ActorRef<M>,
    scope: Scope,
}

impl<M: Send + 'static> Context<M> {
    /// Its own address. An actor that keeps a clone of it in its messages doesn't keep itself alive: it lives until it is stopped.
    pub fn me(&self) -> ActorRef<M> {
        self.me.clone()
    }
    /// Starts a child: it is stopped before its parent, and fails its parent when it keeps failing.
    pub fn spawn<A: Actor>(&self, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
        system::spawn_actor(&self.scope, name, options, make)
    }
    /// Starts a child task, as [`System::task`].
    pub fn task<F, R, E>(&self, name: &str, run: F)
    where
        F: Fn(tokio_util::sync::CancellationToken) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        system::spawn_task(&self.scope, name, Options::task(), run);
    }
    /// Stops this actor after the current message. Queued messages are dropped.
    pub fn stop(&self) {
        self.scope.stop.cancel();
    }
    /// Completes when the actor is asked to stop, for handlers that wait for something.
    pub async fn cancelled(&self) {
        self.scope.stop.cancelled().await;
    }
}
