//! The I/O of the runtime: watches, writes and the clock. The engine makes the decisions.
use super::engine::{Dispatch, Engine, HEARTBEAT, Stats, WriteOutcome};
use super::plan::{Guard, Write, WriteOp};
use super::resource::Resource;
use bus::{BusError, Incoming, Role, To};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use model::{ApiError, Reason};
use state_client::events::EventWrite;
use state_client::leader_lease::{self, LeaderLease};
use state_client::metrics::{self, MetricAnswer, MetricQuery};
use state_client::usage::NodeUsage;
use state_client::{Body, Change, Client, Options, Reflector, Reply, Request, Verb};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// So many writes at most travel as one message.
const CHUNK: usize = 500;
/// So many plans at most are being carried out at once.
const PARALLEL: usize = 256;
/// So many messages of watches wait for the runtime before the watches are held back.
const BACKLOG: usize = 1024;
/// Where the runtime's own heartbeat is: namespace and name of a Lease.
pub const HEARTBEAT_LEASE: (&str, &str) = (leader_lease::NAMESPACE, "kube-controller-manager");

/// So many questions to sources of metrics are under way at once, beside the plans: a slow source delays who asks it only.
const ASKED: usize = 64;
/// How long the runtime waits before it tries again to listen to nodes.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Asks what each controller is at.
pub type StatsRequest = oneshot::Sender<Vec<Stats>>;

/// The runtime can't go on and is to be started anew.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed: {why}")]
pub struct Broken {
    what: &'static str,
    why: tokio::task::JoinError,
}

struct News {
    resource: Resource,
    changes: Vec<Change>,
    revision: Option<u64>,
}

/// Runs `engine` until `cancel`. `identity` is who holds the runtime's Lease.
///
/// # Errors
/// [`Broken`] when a watch or a write panicked: keys may be lost, so the runtime has to begin anew.
pub async fn run(
    mut engine: Engine,
    client: Client,
    identity: String,
    asks: &mut mpsc::Receiver<StatsRequest>,
    cancel: CancellationToken,
) -> Result<(), Broken> {
    let (tell, mut news) = mpsc::channel::<News>(BACKLOG);
    let mut watches = JoinSet::new();
    let mut followed = HashMap::new();
    // that it comes back by the watch of all Leases shows that the runtime would hear the nodes, too
    let heartbeat = LeaderLease::new(client.clone(), HEARTBEAT_LEASE.1, identity);
    watches.spawn(heartbeat.run(Duration::try_from(HEARTBEAT).unwrap_or_default()));
    let mut jobs = JoinSet::new();
    let (forget, mut forgotten) = mpsc::channel(BACKLOG);
    let (tell_used, mut used) = mpsc::channel(BACKLOG);
    watches.spawn(hear(client.clone(), tell_used));
    let mut questions = JoinSet::new();
    loop {
        follow_all(&engine, (&client, &tell), &mut followed, &mut watches);
        let wake = until(engine.next_wake());
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            Some(first) = news.recv() => {
                observe(&mut engine, first);
                while let Ok(next) = news.try_recv() {
                    observe(&mut engine, next);
                }
            }
            Some(done) = jobs.join_next() => {
                let (job, outcomes) = done.map_err(|why| Broken { what: "carrying out a plan", why })?;
                let events = engine.finish(job, outcomes, Timestamp::now());
                if !events.is_empty() {
                    watches.spawn(record(client.clone(), events, forget.clone()));
                }
            }
            Some(said) = used.recv() => take_in(&mut engine, said),
            Some(answered) = questions.join_next() => {
                let (question, answer) = answered.map_err(|why| Broken { what: "a question for metrics", why })?;
                engine.answered(question, answer, Timestamp::now());
            }
            Some(key) = forgotten.recv() => engine.event_gone(&key),
            Some(ended) = watches.join_next() => ended.map_err(|why| Broken { what: "a watch", why })?,
            Some(ask) = asks.recv() => if ask.send(engine.stats()).is_err() {
                tracing::debug!("who asked has gone");
            },
            () = wake => {}
        }
        for job in engine.turn(Timestamp::now(), PARALLEL.saturating_sub(jobs.len())) {
            jobs.spawn(carry_out(client.clone(), job));
        }
        while questions.len() < ASKED
            && let Some(question) = engine.question()
        {
            questions.spawn(ask(client.clone(), question));
        }
    }
}

fn observe(engine: &mut Engine, news: News) {
    let now = Timestamp::now();
    let ours = |c: &Change| matches!(c, Change::Applied { new, .. } if (&*new.key.namespace, &*new.key.name) == HEARTBEAT_LEASE);
    if news.resource == Resource::LEASES && news.changes.iter().any(ours) {
        engine.heard(now);
    }
    engine.observe(&news.resource, news.changes, news.revision, now);
}

/// Passes on what nodes say that they use. Without that autoscalers know of nothing, and all else goes on.
async fn hear(client: Client, tell: mpsc::Sender<Incoming<NodeUsage>>) {
    loop {
        match client.bus().listen::<NodeUsage>().await {
            Ok(mut said) => {
                while let Some(said) = said.recv().await {
                    if tell.send(said).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what nodes use isn't heard"),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// Only a node's own agent says what it uses.
fn take_in(engine: &mut Engine, said: Incoming<NodeUsage>) {
    if said.caller.role == Role::Agent {
        engine.used(&said.caller.name, said.message, Timestamp::now());
    }
}

/// Asks whoever has the metrics. Where nobody has any, the answer is what a cluster without such an API says.
async fn ask(client: Client, question: MetricQuery) -> (MetricQuery, MetricAnswer) {
    let answer = match client.bus().call(&To::Any, question.clone(), metrics::PATIENCE).await {
        Ok(answer) => answer,
        Err(BusError::NoResponder { .. }) => Err(ApiError::new(Reason::NotFound, question.unserved())),
        Err(error) => Err(ApiError::unavailable(error.to_string())),
    };
    (question, answer)
}

async fn until(at: Option<Timestamp>) {
    match at {
        None => std::future::pending().await,
        Some(at) => {
            let pause = at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
            tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()).await;
        }
    }
}

/// Watches the resources that the engine reads now: custom ones come and go.
fn follow_all(engine: &Engine, (client, tell): (&Client, &mpsc::Sender<News>), followed: &mut HashMap<Resource, DropGuard>, watches: &mut JoinSet<()>) {
    let resources: HashSet<Resource> = engine.resources().into_iter().collect();
    followed.retain(|resource, _| resources.contains(resource));
    for resource in resources {
        followed.entry(resource).or_insert_with_key(|resource| {
            let stop = CancellationToken::new();
            watches.spawn(stop.clone().run_until_cancelled_owned(follow(client.clone(), resource.clone(), tell.clone())).map(drop));
            stop.drop_guard()
        });
    }
}

async fn follow(client: Client, resource: Resource, tell: mpsc::Sender<News>) {
    let mut reflector = Reflector::of(client, &resource.group, &resource.name, "");
    loop {
        let changes = reflector.next().await;
        let news = News { resource: resource.clone(), changes, revision: reflector.revision() };
        if tell.send(news).await.is_err() {
            return;
        }
    }
}

/// Carries out a plan: guards first, then all writes in chunks. After a chunk with failures the rest isn't sent.
async fn carry_out(client: Client, mut job: Dispatch) -> (Dispatch, Vec<WriteOutcome>) {
    let writes = &mut job.plan.writes;
    let holds = futures::future::join_all(writes.iter().map(|w| guarded(&client, w))).await;
    let sent: Vec<usize> = (0..writes.len()).filter(|i| matches!(holds.get(*i), Some(Ok(true)))).collect();
    let mut outcomes: Vec<WriteOutcome> =
        holds.into_iter().map(|held| held.map_or_else(WriteOutcome::Failed, |ok| if ok { WriteOutcome::Unsent } else { WriteOutcome::Held })).collect();
    for chunk in sent.chunks(CHUNK) {
        let requests = chunk.iter().filter_map(|i| writes.get_mut(*i).map(request)).collect();
        let mut failed = false;
        for (index, reply) in chunk.iter().zip(client.batch(requests).await) {
            failed |= reply.is_err();
            if let Some(slot) = outcomes.get_mut(*index) {
                *slot = outcome(reply);
            }
        }
        if failed {
            break;
        }
    }
    (job, outcomes)
}

fn outcome(reply: Result<Reply, ApiError>) -> WriteOutcome {
    match reply {
        Ok(Reply::Object { object, .. }) => WriteOutcome::Done(Some(object)),
        Ok(_) => WriteOutcome::Done(None),
        Err(error) => WriteOutcome::Failed(error),
    }
}

async fn guarded(client: &Client, write: &Write) -> Result<bool, ApiError> {
    for guard in &write.guards {
        // most writes have none, and a plan may have hundreds of writes
        if !Box::pin(holds(client, guard)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn holds(client: &Client, guard: &Guard) -> Result<bool, ApiError> {
    match guard {
        Guard::Absent { key, uid } => match client.get(&key.group, &key.resource, &key.namespace, &key.name).await {
            Ok(object) => Ok(!uid.is_empty() && object.uid() != *uid),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        },
        Guard::Empty { resource, namespace } => {
            let list = Request::new(Verb::List, &resource.group, &resource.name, namespace, "");
            match client.call(Request { options: Options { limit: 1, ..Options::default() }, ..list }).await? {
                Reply::List(list) => Ok(list.items.is_empty()),
                _ => Err(ApiError::internal("the reply is not a list")),
            }
        }
    }
}

/// The request that a write is. It takes the object with it: a write is sent once.
pub fn request(write: &mut Write) -> Request {
    let to = |verb| Request::new(verb, &write.key.group, &write.key.resource, &write.key.namespace, &write.key.name);
    match &mut write.op {
        WriteOp::Create(object) => Request { name: "".into(), ..to(Verb::Create) }.body(Body::Object(std::mem::take(object))),
        WriteOp::Patch { subresource, kind, patch } => to(Verb::Patch).subresource(subresource).body(Body::Patch(*kind, patch.to_string().into())),
        WriteOp::Replace { subresource, object } => to(Verb::Update).subresource(subresource).body(Body::Object(std::mem::take(object))),
        WriteOp::Delete { uid, revision, propagation, grace } => {
            let precondition_resource_version = if *revision == 0 { String::new() } else { revision.to_string() };
            let options = Options {
                precondition_uid: uid.clone(),
                precondition_resource_version,
                propagation: *propagation,
                grace_period_seconds: *grace,
                ..Options::default()
            };
            Request { options, ..to(Verb::Delete) }
        }
        WriteOp::DeleteAll => to(Verb::DeleteCollection),
    }
}

/// Writes events. They are for people: one that can't be written is let go.
async fn record(client: Client, events: Vec<EventWrite>, forget: mpsc::Sender<model::Key>) {
    let request = |event: EventWrite| (event.counted().cloned(), event.request());
    let (counted, requests): (Vec<Option<model::Key>>, _) = events.into_iter().map(request).unzip();
    for (key, reply) in counted.into_iter().zip(client.batch(requests).await) {
        let Err(error) = reply else { continue };
        tracing::debug!(%error, "an event was not recorded");
        if let Some(key) = key
            && forget.send(key).await.is_err()
        {
            return;
        }
    }
}
