//! The table of services in this process. A message to one of them is moved to its handler, without encoding and without the network.
use crate::address::{Caller, To};
use crate::error::BusError;
use crate::message::{Call, Incoming, Open};
use crate::opening::Opening;
use crate::stats::Stats;
use crate::stream::Duplex;
use futures::future::BoxFuture;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Semaphore, oneshot};

/// A handler; `None` stands for a reply that will never come.
pub(crate) type HandlerFn<Q> = Box<dyn Fn(Incoming<Q>) -> BoxFuture<'static, Option<<Q as Call>::Reply>> + Send + Sync>;

/// A handler of requests, its limit and its counters: one for local and remote callers together.
pub(crate) struct CallHandler<Q: Call> {
    pub(crate) handler: HandlerFn<Q>,
    pub(crate) permits: Arc<Semaphore>,
    /// So many permits there are.
    pub(crate) limit: usize,
    pub(crate) stats: Arc<Stats>,
}

impl<Q: Call> CallHandler<Q> {
    /// Waits for a free place, then runs the handler in a task of its own: a caller that gives up doesn't stop it halfway,
    /// and its panic is this caller's error.
    pub(crate) async fn call(self: Arc<Self>, message: Q, caller: Caller) -> Result<Q::Reply, BusError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| BusError::NoResponder { service: Q::SERVICE })?;
        let task = tokio::spawn(async move {
            let running = self.stats.begin();
            let reply = (self.handler)(Incoming { message, caller }).await;
            if reply.is_some() {
                running.done();
            }
            drop(permit);
            reply
        });
        let failed = |why: &str| BusError::Failed { service: Q::SERVICE, why: why.to_owned() };
        task.await.map_err(|_| failed("the handler panicked"))?.ok_or_else(|| failed("the handler gave no reply"))
    }
}

/// An acceptor of streams and its counters.
pub(crate) struct StreamHandler<O: Open> {
    pub(crate) handler: Box<dyn Fn(Opening<O>) -> BoxFuture<'static, ()> + Send + Sync>,
    pub(crate) stats: Arc<Stats>,
}

impl<O: Open> StreamHandler<O> {
    /// Runs the acceptor in a task of its own, which goes on after the answer.
    pub(crate) fn admit(self: Arc<Self>, opening: Opening<O>) {
        tokio::spawn(async move {
            let running = self.stats.begin();
            (self.handler)(opening).await;
            running.done();
        });
    }

    pub(crate) async fn open(self: Arc<Self>, message: O, caller: Caller) -> Result<Result<Duplex<O::Up, O::Down>, O::Refusal>, BusError> {
        let (answer, answered) = oneshot::channel();
        self.admit(Opening::local(message, caller, answer));
        answered.await.map_err(|_| BusError::Failed { service: O::SERVICE, why: "the acceptor gave no answer".to_owned() })
    }
}

struct Entry {
    id: usize,
    instance: Arc<str>,
    /// `Arc<CallHandler<Q>>` or `Arc<StreamHandler<O>>` of the type that it is filed under.
    target: Box<dyn Any + Send + Sync>,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    turn: AtomicUsize,
}

/// All that is served in this process, by message type.
#[derive(Default)]
pub(crate) struct Registry {
    services: RwLock<HashMap<TypeId, Entries>>,
    next: AtomicUsize,
}

impl Registry {
    /// Files `target` under the message type `M`.
    pub(crate) fn add<M: 'static, T: Send + Sync + 'static>(self: &Arc<Self>, instance: &str, target: Arc<T>) -> Registration {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { id, instance: instance.into(), target: Box::new(target) };
        let key = TypeId::of::<M>();
        self.services.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().list.push(entry);
        Registration { registry: self.clone(), key, id }
    }

    /// Who serves `M` here under this address; instances take turns.
    pub(crate) fn find<M: 'static, T: Send + Sync + 'static>(&self, to: &To) -> Option<Arc<T>> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let entries = services.get(&TypeId::of::<M>())?;
        let entry = match to {
            To::Any if entries.list.len() < 2 => entries.list.first(),
            To::Any => entries.list.get(entries.turn.fetch_add(1, Ordering::Relaxed) % entries.list.len()),
            To::Instance(name) => entries.list.iter().find(|e| *e.instance == **name),
        }?;
        entry.target.downcast_ref::<Arc<T>>().cloned()
    }
}

/// An entry's stay in the registry.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    key: TypeId,
    id: usize,
}

impl Registration {
    /// Takes the entry out.
    pub(crate) fn withdraw(&self) {
        let mut services = self.registry.services.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = services.get_mut(&self.key) {
            entries.list.retain(|e| e.id != self.id);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.withdraw();
    }
}
