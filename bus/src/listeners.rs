//! Who listens to notices within a process that has no NATS.
use crate::address::Caller;
use crate::message::{Incoming, Notice};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// Notices that wait for a listener at most; it misses what comes on top.
pub(crate) const WAITING: usize = 256;

/// The listeners, by the type of what they listen to.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<HashMap<TypeId, Vec<Box<dyn Any + Send>>>>);

impl Listeners {
    /// A further listener.
    pub(crate) fn add<N: Notice>(&self) -> mpsc::Receiver<Incoming<N>> {
        let (sender, receiver) = mpsc::channel::<Incoming<N>>(WAITING);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(TypeId::of::<N>()).or_default().push(Box::new(sender));
        receiver
    }

    /// Tells all of them.
    pub(crate) fn tell<N: Notice>(&self, notice: N, caller: &Caller) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listeners) = all.get_mut(&TypeId::of::<N>()) else { return };
        listeners.retain(|listener| {
            let Some(listener) = listener.downcast_ref::<mpsc::Sender<Incoming<N>>>() else { return false };
            let told = listener.try_send(Incoming { message: notice.clone(), caller: caller.clone() });
            !matches!(told, Err(mpsc::error::TrySendError::Closed(_)))
        });
    }
}
