//! Serves requests that arrive over NATS.
use super::ask::WELL;
use super::in_flight::{InFlight, InFlightPermit};
use super::multiplexer::Multiplexer;
use super::responder::{Responder, StreamRequest};
use super::transport::Subscription;
use super::wire::{self, PORT};
use crate::address::{Caller, Class, Role, To};
use crate::error::BusError;
use crate::message::{Call, Open};
use crate::opening::Opening;
use crate::permissions::serves_any;
use crate::registry::{CallHandler, StreamHandler};
use crate::subject::{Port, Verb};
use async_nats::Message;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SelectAll;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Requests of one service from elsewhere, by one [`Class`] of callers, that are worked on at once at most; more wait.
const CONCURRENCY: usize = 1024;
/// KiB of those that wait at most, each one counted as a whole number of them; what comes on top is refused.
const QUEUE_KIB: usize = 64 << 10;
/// For how long a request is worked on whose sender doesn't say how long it waits, and the longest that one may say.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_MAX: Duration = Duration::from_secs(600);
/// The longest wait for the server to say that it knows a subscription.
const SUBSCRIBE: Duration = Duration::from_secs(5);

/// One request as it came.
struct Request {
    caller: Caller,
    body: Bytes,
    patience: Duration,
    /// Where the sender's end of a stream is.
    port: Option<Port>,
    responder: Responder,
}

/// Reads all but the body; whatever can't be read is refused and logged. Where it isn't clear who asks, or the reply is wanted anywhere but in an inbox
/// of the one who asks, nobody is told: this process would speak there with its own rights.
fn read(mux: &Arc<Multiplexer>, message: Message) -> Option<Request> {
    let headers = message.headers.as_ref();
    let Some(caller) = mux.subjects.requester(&message.subject) else {
        mux.log_limited(|| tracing::warn!(subject = %message.subject, "refused a request whose sender isn't clear"));
        return None;
    };
    let wanted = message.reply.as_deref().map(|inbox| mux.subjects.reply(inbox, Some(&caller), &mux.owner));
    if let Some(None) = wanted {
        mux.log_limited(|| tracing::warn!(%caller, reply = ?message.reply, "refused a request that wants its reply elsewhere than in an inbox of its sender"));
        return None;
    }
    let responder = Responder { mux: mux.clone(), subject: wanted.flatten() };
    let patience = wire::patience(headers).unwrap_or(PATIENCE).min(PATIENCE_MAX);
    let port = match wire::header(headers, PORT).map(Port::parse) {
        Some(Some(port)) if port.owner == caller => Some(port),
        None => None,
        Some(_) => {
            mux.log_limited(|| tracing::warn!(%caller, "refused a stream to somebody else"));
            responder.fail(403, "the stream isn't the sender's");
            return None;
        }
    };
    Some(Request { caller, body: message.payload, patience, port, responder })
}

/// A request that waits until others are done.
struct Waiting {
    request: Request,
    since: Instant,
    share: InFlightPermit,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    /// What is to be done, for as long as it is still waited for. A request that has waited for half of its sender's patience is refused: worked on at the
    /// end of it, the answers of an overloaded service would all come just too late, and each be asked for again.
    fn begin(self) -> Option<(Request, InFlightPermit)> {
        let (waited, request) = (self.since.elapsed(), self.request);
        if waited > request.patience / 2 {
            request.responder.fail(wire::BUSY, "it waited for too long");
            return None;
        }
        Some((Request { patience: request.patience - waited, ..request }, self.share))
    }
}

/// The requests of one class of callers that wait.
struct Queue {
    enter: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
}

/// One queue a class.
struct Queues([Queue; Class::ALL.len()]);

impl Queues {
    fn of(&self, role: Role) -> &Queue {
        let [control, nodes, users] = &self.0;
        match role.class() {
            Class::Control => control,
            Class::Nodes => nodes,
            Class::Users => users,
        }
    }
}

/// Takes requests from the connection as they come, so that nothing piles up in it, until there are no more.
async fn queue(mux: &Arc<Multiplexer>, verb: Verb, mut requests: Requests, stop: CancellationToken, queues: Queues) {
    let shares = Arc::new(InFlight::default());
    while let Some(message) = requests.next(&stop).await {
        mux.health.heard.send_replace(Instant::now());
        let size = u32::try_from(message.length / 1024 + 1).unwrap_or(u32::MAX);
        let Some(request) = read(mux, message) else { continue };
        let Some(share) = shares.take(&request.caller, size, verb == Verb::Call && request.port.is_some()) else {
            request.responder.fail(wire::BUSY, "too many of this sender are under way");
            continue;
        };
        let Queue { enter, room } = queues.of(request.caller.role);
        match room.clone().try_acquire_many_owned(size) {
            Ok(room) => {
                if enter.send(Waiting { request, since: Instant::now(), share, _room: room }).is_err() {
                    return;
                }
            }
            Err(_) => request.responder.fail(wire::BUSY, "too many wait"),
        }
    }
}

/// Listens to a service's subjects until cancelled; each request is handled in a task of its own.
async fn listen<F, R>(
    mux: &Arc<Multiplexer>,
    verb: Verb,
    (service, limit): (&str, usize),
    instance: &str,
    stop: CancellationToken,
    handle: F,
) -> Result<(), BusError>
where
    F: Fn(Request, OwnedSemaphorePermit) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let requests = subscribe(mux, verb, service, instance).await.map_err(|e| BusError::Disconnected(e.to_string()))?;
    if let Err(error) = mux.round_trip(SUBSCRIBE).await {
        tracing::warn!(service, ?error, "served from when NATS is back");
    }
    let handle = Arc::new(handle);
    let queues = Queues(Class::ALL.map(|_| {
        let (enter, waiting) = mpsc::unbounded_channel();
        tokio::spawn(work_off(waiting, limit.min(CONCURRENCY), handle.clone()));
        Queue { enter, room: Arc::new(Semaphore::new(QUEUE_KIB)) }
    }));
    let taker = mux.clone();
    tokio::spawn(async move { queue(&taker, verb, requests, stop, queues).await });
    Ok(())
}

/// Works off what waits, so many at once, each in a task of its own.
async fn work_off<F, R>(mut waiting: mpsc::UnboundedReceiver<Waiting>, at_once: usize, handle: Arc<F>)
where
    F: Fn(Request, OwnedSemaphorePermit) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let taken = Arc::new(Semaphore::new(at_once));
    while let Ok(place) = taken.clone().acquire_owned().await {
        let Some(next) = waiting.recv().await else { return };
        if let Some((request, share)) = next.begin() {
            let handling = handle(request, place);
            tokio::spawn(async move {
                handling.await;
                drop(share);
            });
        }
    }
}

/// A service's subscriptions; they end once it stops.
struct Requests {
    incoming: SelectAll<Subscription>,
    drained: bool,
}

impl Requests {
    /// The next request. Once stopped, those that the server has sent already; they are answered too, if only with a refusal.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Message> {
        if !self.drained {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                message = self.incoming.next() => return message,
            }
            self.drained = true;
            for subscriber in self.incoming.iter_mut() {
                if !subscriber.drain().await {
                    tracing::debug!("the connection is closed");
                    return None;
                }
            }
        }
        self.incoming.next().await
    }
}

async fn subscribe(mux: &Multiplexer, verb: Verb, service: &str, instance: &str) -> Result<Requests, async_nats::SubscribeError> {
    let mut all = SelectAll::new();
    all.push(mux.transport.subscribe(mux.subjects.requests(verb, service, &To::instance(instance))).await?);
    if serves_any(mux.owner.role) {
        all.push(mux.transport.queue_subscribe(mux.subjects.requests(verb, service, &To::Any), "any").await?);
    }
    Ok(Requests { incoming: all, drained: false })
}

/// Lets those elsewhere in by this handler.
pub(crate) async fn serve<Q: Call>(mux: &Arc<Multiplexer>, instance: &str, handler: Arc<CallHandler<Q>>, stop: CancellationToken) -> Result<(), BusError> {
    let limit = handler.limit;
    let handle = move |request: Request, place: OwnedSemaphorePermit| {
        let handler = handler.clone();
        async move {
            let patience = request.patience;
            // whoever sent it doesn't wait any longer
            if tokio::time::timeout(patience, answer(handler, request)).await.is_err() {
                tracing::debug!(service = Q::SERVICE, "a request was not answered in its time");
            }
            drop(place);
        }
    };
    listen(mux, Verb::Call, (Q::SERVICE, limit), instance, stop, handle).await
}

async fn answer<Q: Call>(handler: Arc<CallHandler<Q>>, request: Request) {
    let Request { caller, body, port, responder, .. } = request;
    let done = match port {
        None => match reply(handler, caller, &body).await {
            Ok(body) => responder.reply(None, body.into()).await,
            Err((code, why)) => {
                responder.fail(code, &why);
                Ok(())
            }
        },
        Some(theirs) => answer_stream(handler, caller, StreamRequest { responder, theirs }).await,
    };
    if let Err(error) = done {
        tracing::warn!(service = Q::SERVICE, %error, "a reply could not be sent");
    }
}

/// A request that is too large for one message comes as a stream of one frame, and its reply goes back so.
async fn answer_stream<Q: Call>(handler: Arc<CallHandler<Q>>, caller: Caller, request: StreamRequest) -> Result<(), String> {
    let (mut sender, mut receiver) = request.accept().await?;
    let Some(body) = receiver.recv().await.map_err(|e| e.to_string())? else { return Ok(()) };
    let mut frame = vec![WELL];
    match reply(handler, caller, &body).await {
        Ok(body) => frame.extend_from_slice(&body),
        Err((_, why)) => frame = [&[WELL + 1], why.as_bytes()].concat(),
    }
    sender.send(frame.into()).await.map_err(|e| e.to_string())
}

async fn reply<Q: Call>(handler: Arc<CallHandler<Q>>, caller: Caller, body: &[u8]) -> Result<Vec<u8>, (u16, String)> {
    let message = match wire::decode::<Q>(Q::SERVICE, body) {
        Ok(message) => message,
        Err(error) => {
            handler.stats.log_limited(|| tracing::warn!(service = Q::SERVICE, %caller, %error, "refused a request"));
            drop(handler.stats.begin());
            return Err((400, error.to_string()));
        }
    };
    let reply = handler.call(message, caller).await.map_err(|e| match e {
        BusError::Failed { why, .. } => (500, why),
        e => (503, e.to_string()),
    })?;
    wire::encode(Q::SERVICE, &reply).map_err(|e| (500, e.to_string()))
}

/// Lets those elsewhere open streams at this handler.
pub(crate) async fn accept<O: Open>(mux: &Arc<Multiplexer>, instance: &str, handler: Arc<StreamHandler<O>>, stop: CancellationToken) -> Result<(), BusError> {
    let handle = move |request: Request, place: OwnedSemaphorePermit| {
        let handler = handler.clone();
        async move {
            let Request { caller, body, port, responder, .. } = request;
            let Some(theirs) = port else { return responder.fail(400, "it doesn't say where its stream is") };
            match wire::decode::<O>(O::SERVICE, &body) {
                Ok(message) => handler.admit(Opening::remote(message, caller, StreamRequest { responder, theirs })),
                Err(error) => {
                    handler.stats.log_limited(|| tracing::warn!(service = O::SERVICE, %caller, %error, "refused a stream"));
                    drop(handler.stats.begin());
                    responder.fail(400, &error.to_string());
                }
            }
            drop(place);
        }
    };
    listen(mux, Verb::Open, (O::SERVICE, CONCURRENCY), instance, stop, handle).await
}
