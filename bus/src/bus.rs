//! The bus: it sends requests, serves them, and opens streams, within this process or over NATS.
use crate::actor::ActorRef;
use crate::address::{Caller, To};
use crate::error::BusError;
use crate::impairment::Impairment;
use crate::lease::{Leases, Memory, Remote, Table};
use crate::listeners::Listeners;
use crate::message::{Call, Incoming, Notice, Open};
use crate::micro::Announcements;
use crate::nats::answer;
use crate::nats::ask;
use crate::nats::client_requests::{self, ClientRequest};
use crate::nats::multiplexer::Multiplexer;
use crate::nats::notices;
use crate::nats::{ConnectError, ConnectOptions, Health, Link};
use crate::opening::Opening;
use crate::registry::{CallHandler, HandlerFn, Registration, Registry, StreamHandler};
use crate::service::Service;
use crate::stats::Stats;
use crate::stream::Duplex;
use crate::subject::{Subjects, Verb};
use futures::future::BoxFuture;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// More requests at once than this make no sense, and semaphores have a limit of their own.
const MAX_CONCURRENCY: u32 = 1 << 20;

/// A request on its way to an actor, with the place for its reply. See [`Bus::expose`].
pub struct ActorRequest<Q: Call> {
    /// The request and who sent it.
    pub incoming: Incoming<Q>,
    /// Where the reply goes. Dropping it is an error for the caller.
    pub reply: oneshot::Sender<Q::Reply>,
}

#[derive(Clone)]
struct Shared {
    cluster: String,
    registry: Arc<Registry>,
    link: Option<Arc<Link>>,
    /// For whom asks about a bus that has no link.
    health: Arc<Health>,
    leases: Arc<Memory>,
    announcements: Arc<Announcements>,
    listeners: Arc<Listeners>,
}

/// A handle on the bus, speaking as one caller. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    mux: Arc<OnceCell<Arc<Multiplexer>>>,
}

impl Bus {
    /// A bus without NATS: everybody is in this process. For tests and simulation.
    pub fn local(cluster: &str, caller: Caller) -> Self {
        Self::new(cluster.to_owned(), None, Health::new(true), caller)
    }

    /// A bus over NATS: who isn't in this process is reached through the server. It reconnects by itself, forever.
    ///
    /// # Errors
    /// [`ConnectError`] when the first connection can't be made within a few seconds, each with its remedy.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let link = Link::connect(&options).await?;
        let health = link.health.clone();
        Ok(Self::new(options.cluster, Some(Arc::new(link)), health, options.caller))
    }

    /// This process ends: that it loses its connection is nothing to warn of any more.
    pub fn leave(&self) {
        self.shared.health.leaving.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn new(cluster: String, link: Option<Arc<Link>>, health: Arc<Health>, caller: Caller) -> Self {
        let shared =
            Shared { cluster, registry: Arc::default(), link, health, leases: Arc::default(), announcements: Arc::default(), listeners: Arc::default() };
        Self { shared: Arc::new(shared), caller: Arc::new(caller), mux: Arc::default() }
    }

    /// The same bus, speaking as another caller (a process that plays several roles). The connection's own key must
    /// be allowed to: `state`'s is.
    pub fn speaking_as(&self, caller: Caller) -> Self {
        Self { shared: self.shared.clone(), caller: Arc::new(caller), mux: Arc::default() }
    }

    /// A bus for the same caller over a connection that can be made bad. All that it says and hears goes over NATS, to this process too: it doesn't
    /// see what is served here in another way. What it serves, others reach over NATS only. JetStream and leases are spared. Without NATS there
    /// is nothing to impair, and it is the same bus.
    ///
    /// # Errors
    /// When NATS refuses the subscriptions.
    pub async fn impaired_by(&self, impairment: Impairment) -> Result<Self, BusError> {
        let Some(link) = &self.shared.link else { return Ok(self.clone()) };
        let mux = link.impaired_multiplexer(&self.caller, impairment).await.map_err(BusError::Disconnected)?;
        let shared = Shared { registry: Arc::default(), ..Shared::clone(&self.shared) };
        Ok(Self { shared: Arc::new(shared), caller: self.caller.clone(), mux: Arc::new(OnceCell::new_with(Some(mux))) })
    }

    /// Whether NATS is connected now, and each change of that. Always true without NATS.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared.health.connected.subscribe()
    }

    /// When something last came from NATS; a bus that is well hears its own echo every two seconds. Without NATS: now.
    pub fn last_heard(&self) -> Instant {
        if self.shared.link.is_some() { *self.shared.health.heard.borrow() } else { Instant::now() }
    }

    /// The connection to NATS, where there is one.
    pub fn nats(&self) -> Option<&async_nats::Client> {
        self.shared.link.as_ref().map(|link| &link.clients.own)
    }

    /// JetStream on that connection.
    pub fn jetstream(&self) -> Option<&async_nats::jetstream::Context> {
        self.shared.link.as_ref().map(|link| &link.jetstream)
    }

    /// The cluster's subjects.
    pub fn subjects(&self) -> Subjects {
        Subjects::new(&self.shared.cluster)
    }

    /// What speaks for this caller on NATS; `None` where there is no NATS.
    pub(crate) async fn multiplexer(&self) -> Result<Option<&Arc<Multiplexer>>, BusError> {
        let Some(link) = &self.shared.link else { return Ok(None) };
        if let Some(mux) = self.mux.get() {
            return Ok(Some(mux));
        }
        let mux = Box::pin(self.mux.get_or_try_init(|| link.multiplexer(&self.caller))).await;
        mux.map(Some).map_err(BusError::Disconnected)
    }

    pub(crate) fn announcements(&self) -> &Announcements {
        &self.shared.announcements
    }

    /// The cluster's leases; `replicas` is for the server's stream when it is made. Without NATS: those of this process.
    pub fn leases(&self, replicas: usize) -> Leases {
        let table = match &self.shared.link {
            Some(link) => Table::Nats(Box::new(Remote::new(link.jetstream.clone(), link.subjects.clone(), replicas))),
            None => Table::Memory(self.shared.leases.clone()),
        };
        Leases::new(table, self.caller.to_string())
    }

    /// Lets others find what is served in this process.
    async fn announce(&self) {
        if let Some(link) = &self.shared.link {
            self.shared.announcements.announce(self.cluster(), &link.clients, &link.subjects, &self.caller, self.stop()).await;
        }
    }

    fn stop(&self) -> CancellationToken {
        self.shared.link.as_deref().map(Link::stop).unwrap_or_default()
    }

    /// Who speaks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.shared.cluster
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`BusError`] when there is no reply.
    pub async fn call<Q: Call>(&self, to: &To, message: Q, timeout: Duration) -> Result<Q::Reply, BusError> {
        let answering = async {
            if let Some(handler) = self.shared.registry.find::<Q, CallHandler<Q>>(to) {
                return handler.call(message, Caller::clone(&self.caller)).await;
            }
            match self.multiplexer().await? {
                // on the heap, for who asks somebody in the same process doesn't need the room
                Some(mux) => Box::pin(ask::call(mux, to, message, timeout)).await,
                None => Err(BusError::NoResponder { service: Q::SERVICE }),
            }
        };
        let answered = tokio::time::timeout(timeout, answering).await;
        answered.unwrap_or(Err(BusError::Timeout { service: Q::SERVICE, after: timeout }))
    }

    /// Tells something to all who listen to it. It is gone with that: nobody says whether they heard it.
    ///
    /// # Errors
    /// [`BusError`] when it can't be said.
    pub async fn tell<N: Notice>(&self, notice: N) -> Result<(), BusError> {
        match self.multiplexer().await? {
            Some(mux) => notices::tell(mux, &notice).await,
            None => {
                self.shared.listeners.tell(notice, &self.caller);
                Ok(())
            }
        }
    }

    /// What is told from now on about a topic. Who reads more slowly than it comes misses some of it.
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn listen<N: Notice>(&self) -> Result<mpsc::Receiver<Incoming<N>>, BusError> {
        match self.multiplexer().await? {
            Some(mux) => notices::listen(mux).await,
            None => Ok(self.shared.listeners.add()),
        }
    }

    /// Opens a stream. The inner result is the acceptor's answer.
    ///
    /// # Errors
    /// [`BusError`] when nobody answers.
    pub async fn open<O: Open>(&self, to: &To, message: O, timeout: Duration) -> Result<Result<Duplex<O::Up, O::Down>, O::Refusal>, BusError> {
        let answering = async {
            if let Some(handler) = self.shared.registry.find::<O, StreamHandler<O>>(to) {
                return handler.open(message, Caller::clone(&self.caller)).await;
            }
            match self.multiplexer().await? {
                Some(mux) => Box::pin(ask::open(mux, to, message, timeout)).await,
                None => Err(BusError::NoResponder { service: O::SERVICE }),
            }
        };
        let answered = tokio::time::timeout(timeout, answering).await;
        answered.unwrap_or(Err(BusError::Timeout { service: O::SERVICE, after: timeout }))
    }

    /// Answers requests of type `Q` under `instance` (and as any instance), at most `concurrency` at once; more wait
    /// within their callers' timeouts.
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn serve<Q, F, R>(&self, instance: &str, concurrency: usize, handler: F) -> Result<Service, BusError>
    where
        Q: Call,
        F: Fn(Incoming<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Q::Reply> + Send + 'static,
    {
        self.install::<Q>(
            instance,
            concurrency,
            Box::new(move |incoming| {
                let answer = handler(incoming);
                Box::pin(async move { Some(answer.await) })
            }),
        )
        .await
    }

    /// Answers requests of type `Q` by an actor: each becomes a message in its mailbox, and a full mailbox makes callers wait.
    ///
    /// # Errors
    /// As [`Bus::serve`].
    pub async fn expose<Q, M>(&self, instance: &str, concurrency: usize, actor: ActorRef<M>) -> Result<Service, BusError>
    where
        Q: Call,
        M: From<ActorRequest<Q>> + Send + 'static,
    {
        let handler = move |incoming| -> BoxFuture<'static, Option<Q::Reply>> {
            let actor = actor.clone();
            Box::pin(async move { actor.ask(|reply| M::from(ActorRequest { incoming, reply })).await.ok() })
        };
        self.install::<Q>(instance, concurrency, Box::new(handler)).await
    }

    async fn install<Q: Call>(&self, instance: &str, concurrency: usize, handler: HandlerFn<Q>) -> Result<Service, BusError> {
        let concurrency = u32::try_from(concurrency).unwrap_or(u32::MAX).clamp(1, MAX_CONCURRENCY);
        let permits = Arc::new(Semaphore::new(concurrency as usize));
        let stats = Arc::new(Stats::default());
        let handler = Arc::new(CallHandler { handler, permits: permits.clone(), limit: concurrency as usize, stats: stats.clone() });
        let registration = self.shared.registry.add::<Q, _>(instance, handler.clone());
        let service = self.service(registration, permits, concurrency, stats, (Verb::Call, Q::SERVICE, instance));
        if let Some(mux) = self.multiplexer().await? {
            answer::serve(mux, instance, handler, service.listening.clone()).await?;
            self.announce().await;
        }
        Ok(service)
    }

    /// Accepts streams of type `O` under `instance` (and as any instance).
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn accept<O, F, R>(&self, instance: &str, handler: F) -> Result<Service, BusError>
    where
        O: Open,
        F: Fn(Opening<O>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let stats = Arc::new(Stats::default());
        let handler = Arc::new(StreamHandler::<O> { handler: Box::new(move |opening| Box::pin(handler(opening))), stats: stats.clone() });
        let registration = self.shared.registry.add::<O, _>(instance, handler.clone());
        let service = self.service(registration, Arc::new(Semaphore::new(1)), 1, stats, (Verb::Open, O::SERVICE, instance));
        if let Some(mux) = self.multiplexer().await? {
            answer::accept(mux, instance, handler, service.listening.clone()).await?;
            self.announce().await;
        }
        Ok(service)
    }

    /// Answers users' own programs, one process of several for each request, until `stop`. Without NATS there are none.
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn serve_clients<F, R>(&self, stop: CancellationToken, handler: F) -> Result<(), BusError>
    where
        F: Fn(ClientRequest) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        match self.multiplexer().await? {
            Some(mux) => client_requests::serve(mux, stop, handler).await,
            None => Ok(()),
        }
    }

    fn service(&self, registration: Registration, permits: Arc<Semaphore>, concurrency: u32, stats: Arc<Stats>, what: (Verb, &'static str, &str)) -> Service {
        let (verb, name, instance) = what;
        let subject = self.subjects().requests(verb, name, &To::Any);
        let announced = self.shared.announcements.add(name, subject, instance, &self.caller, stats.clone());
        Service { registration, permits, concurrency, stats, listening: self.stop(), _announced: announced, _link: self.shared.link.clone() }
    }
}
