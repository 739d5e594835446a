//! An actor's address: where others leave messages for it.
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

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
    pub(super) path: Arc<str>,
    pub(super) mailbox: mpsc::Sender<M>,
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
