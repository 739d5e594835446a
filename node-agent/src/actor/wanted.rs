//! The desired state of a pod, and how its actor is notified of a change.
use super::message::Message;
use bus::actor::{ActorRef, TrySendError};
use model::Stored;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is wanted of a pod: shared by the agent and the pod's actor, over the actor's restarts.
pub struct Wanted {
    /// The pod's UID.
    pub uid: String,
    /// The object as last seen.
    pub object: Mutex<Arc<Stored>>,
    /// Whether it is gone from the cluster.
    pub gone: AtomicBool,
    /// Whether the runtime may already have containers of it.
    pub known: AtomicBool,
    /// Whether something could not be told: its mailbox was full.
    pub(super) behind: AtomicBool,
    /// Held while the object is written to disk: what is there last is what was seen last.
    disk: Mutex<()>,
}

/// The file of a pod's directory that has its object.
pub const POD: &str = "pod.json";

impl Wanted {
    /// Of a pod that is there. `known`: the runtime may have containers of it.
    pub fn new(uid: String, object: Arc<Stored>, known: bool) -> Self {
        Self {
            uid,
            object: Mutex::new(object),
            gone: AtomicBool::new(false),
            known: AtomicBool::new(known),
            behind: AtomicBool::new(false),
            disk: Mutex::default(),
        }
    }

    /// Puts the object on the node's own disk: after a reboot without the cluster the pod is run from there.
    pub fn keep(&self, dir: &Path) {
        let _turn = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = crate::disk::keep(&dir.join(POD), self.object().json()) {
            tracing::error!(path = %dir.display(), %error, "a pod could not be kept on disk");
        }
    }

    /// Tells the pod's actor something, without waiting for it: nobody else's pods wait for one that is busy. What its mailbox has no room for, it makes
    /// up for by looking at everything.
    pub fn tell(&self, actor: &ActorRef<Box<Message>>, message: Message) {
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match actor.try_send(Box::new(message)) {
                Ok(()) => {}
                Err(TrySendError::Stopped(path)) => tracing::trace!(%path, "a pod had ended"),
                // What it has taken out meanwhile may have been the last: it is woken, or is still to take something out.
                Err(TrySendError::Full(_)) => next = (!self.behind.swap(true, Ordering::SeqCst)).then_some(Message::Wake),
            }
        }
    }

    /// The object.
    pub fn object(&self) -> Arc<Stored> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
