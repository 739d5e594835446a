//! The table of the pods that an agent has.
use crate::actor::{Message, Wanted};
use bus::actor::ActorRef;
use model::Stored;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One pod: its actor, and what is wanted of it.
#[derive(Clone)]
pub struct Entry {
    /// The actor.
    pub actor: ActorRef<Box<Message>>,
    /// What is wanted.
    pub wanted: Arc<Wanted>,
}

impl Entry {
    /// Tells the actor something, without waiting for it.
    pub fn tell(&self, message: Message) {
        self.wanted.tell(&self.actor, message);
    }
}

/// The pods that this agent has, by UID.
#[derive(Default)]
pub struct Pods {
    entries: Mutex<HashMap<String, Entry>>,
}

impl Pods {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pod that is there.
    pub fn entry(&self, uid: &str) -> Option<Entry> {
        self.lock().get(uid).cloned()
    }

    /// All of them.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// The UIDs of all of them.
    pub fn uids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Takes a pod in.
    pub fn insert(&self, uid: String, entry: Entry) {
        self.lock().insert(uid, entry);
    }

    /// Takes a pod out, of which nothing is left.
    pub fn remove(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// A pod that this node has, as last seen, by namespace and name and (where not empty) UID.
    pub fn find(&self, namespace: &str, name: &str, uid: &str) -> Option<Arc<Stored>> {
        let entries = self.lock();
        let mut objects = entries.values().map(|e| e.wanted.object());
        objects.find(|o| &*o.key.namespace == namespace && &*o.key.name == name && (uid.is_empty() || o.uid() == uid))
    }
}
