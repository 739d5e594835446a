//! The pipeline on the bus: `state.api`, `state.batch` and `state.watch`, and what every cluster has from the start.
use crate::admission::lifecycle;
use crate::authz::{Authorizer, bootstrap, policy};
use crate::fencing;
use crate::flow_control::{self, InFlightRequest};
use crate::identity;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::store::{Store, WatchFrom};
use bus::{Bus, BusError, Caller, Class, Incoming, Opening, Role, Service};
use futures::StreamExt;
use futures::future::join_all;
use model::{ApiError, Object};
use serde_json::json;
use state_client::token::TokenError;
use state_client::{Batch, Body, Reply, Request, User, Verb, WatchRequest};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Requests that are worked on at once; most of them wait for the log.
const CONCURRENCY: usize = 4_096;
/// Batches that are here at once; how many of them are worked on, their room says.
const BATCHES: usize = 1_024;
/// Requests of one batch that are worked on at once.
const AT_ONCE: usize = 1_024;
/// Bytes of the replies to one batch, about.
const REPLIES: usize = 64 << 20;

/// Why the services can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The keys of tokens.
    #[error(transparent)]
    Keys(#[from] TokenError),
    /// The bus refuses a service.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// What every cluster has could not be made.
    #[error("the cluster's first objects can't be made: {0}")]
    Bootstrap(ApiError),
}

/// The running services. Dropping them stops them.
pub struct Services {
    pipeline: Pipeline,
    _services: [Service; 3],
    _stop: DropGuard,
}

impl Services {
    /// The pipeline behind them.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }
}

/// Makes what every cluster has, and serves `store` on `bus`, under the caller's name.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(bus: &Bus, store: Store, options: PipelineOptions) -> Result<Services, ServeError> {
    let pipeline = Pipeline::new(store.clone(), bus.leases(1), options)?;
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    for resource in policy::RESOURCES {
        store.vital(&format!("authorizer-{resource}"), &stop, follow(store.clone(), pipeline.authorizer().clone(), resource));
    }
    store.vital("routes", &stop, pipeline.routes().clone().run(store.clone()));
    store.vital("claims", &stop, pipeline.clone().sweep_claims());
    pipeline.take_back_claims().await.map_err(ServeError::Bootstrap)?;
    ensure(&pipeline).await.map_err(ServeError::Bootstrap)?;
    let instance = bus.caller().name.clone();
    let api = pipeline.clone();
    let api = bus.serve(&instance, CONCURRENCY, move |asked: Incoming<Box<Request>>| {
        let pipeline = api.clone();
        async move { pipeline.handle(&asked.caller, asked.message).await }
    });
    let batches = pipeline.clone();
    let batches = bus.serve(&instance, BATCHES, move |asked: Incoming<Batch>| {
        let pipeline = batches.clone();
        async move { batch(&pipeline, asked).await }
    });
    let watches = pipeline.clone();
    let watches = bus.accept(&instance, move |opening: Opening<WatchRequest>| {
        let pipeline = watches.clone();
        async move { pipeline.watch(opening).await }
    });
    let services = [api.await?, batches.await?, watches.await?];
    Ok(Services { pipeline, _services: services, _stop: guard })
}

/// Works on all requests of a batch at once, so that their commits share the log's next write. Replies keep the order.
async fn batch(pipeline: &Pipeline, mut asked: Incoming<Batch>) -> <Batch as bus::Call>::Reply {
    let all = asked.message.0.len();
    let admitted = match batch_in(pipeline, &mut asked).await {
        Ok(admitted) => admitted,
        Err(refusal) => return vec![Err(refusal); all],
    };
    let caller = asked.caller;
    let bounds = Bounds::of(caller.role.class());
    let room = AtomicUsize::new(bounds.bytes);
    let one = async |request| {
        // what others of the batch were answered takes room until all are
        if room.load(Ordering::Relaxed) == 0 {
            return Err(flow_control::too_many());
        }
        let reply = pipeline.handle_inside(&caller, Box::new(request)).await;
        let took = reply.as_ref().map_or(0, size);
        room.update(Ordering::Relaxed, Ordering::Relaxed, |room| room.saturating_sub(took));
        reply
    };
    let replies = futures::stream::iter(asked.message.0.into_iter().map(one)).buffered(bounds.at_once).collect().await;
    drop(admitted);
    replies
}

/// Lets a batch in: as a whole it counts as one.
async fn batch_in(pipeline: &Pipeline, asked: &mut Incoming<Batch>) -> Result<InFlightRequest, ApiError> {
    let requests = &mut asked.message.0;
    let speaks_for_itself = asked.caller.role != Role::Gateway;
    let user = if speaks_for_itself { identity::resolve(&asked.caller, None)? } else { User::default() };
    let bytes = requests.iter().map(flow_control::weight).sum::<usize>() + requests.len() * size_of::<Request>();
    let admitted = pipeline.batches().enter(&asked.caller, &user, bytes)?;
    fenced(pipeline, &asked.caller, requests).await?;
    admitted.take_seat().await?;
    Ok(admitted)
}

/// What the requests of one batch may take together.
struct Bounds {
    /// Requests that are worked on at once.
    at_once: usize,
    /// Bytes of their replies: when these are used up, the rest is refused.
    bytes: usize,
}

impl Bounds {
    fn of(class: Class) -> Self {
        match class {
            Class::Control => Self { at_once: AT_ONCE, bytes: REPLIES },
            Class::Nodes | Class::Users => Self { at_once: AT_ONCE / 16, bytes: REPLIES / 4 },
        }
    }
}

fn size(reply: &Reply) -> usize {
    match reply {
        Reply::Object { object, .. } => object.json().len(),
        Reply::List(list) => list.items.iter().map(|item| item.json().len()).sum(),
        Reply::Json { json, .. } => json.len(),
    }
}

/// One question for a whole batch that is asked under one lease; others ask for themselves.
async fn fenced(pipeline: &Pipeline, caller: &Caller, requests: &mut [Request]) -> Result<(), ApiError> {
    let write = requests.iter().find(|r| r.fence.is_some() && fencing::writes(r.verb));
    let Some(write) = write.filter(|write| requests.iter().all(|r| r.fence == write.fence)) else { return Ok(()) };
    if let Some(fence) = &write.fence {
        pipeline.fences().admit(caller, fence, (write.verb, &write.resource, &write.name)).await?;
    }
    requests.iter_mut().for_each(|request| request.fence = None);
    Ok(())
}

/// Keeps the authoriser current with what other processes write.
async fn follow(store: Store, authorizer: Authorizer, resource: &'static str) {
    loop {
        let mut feed = match store.watch(policy::GROUP, resource, "", WatchFrom::Now) {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(resource, %error, "roles and bindings can't be followed");
                return;
            }
        };
        // between the last look and the new feed something may have changed
        authorizer.reload();
        let error = loop {
            match feed.next().await {
                Ok(changes) => changes.iter().for_each(|change| authorizer.refresh(&change.new.key)),
                Err(error) => break error,
            }
        };
        if error.reason != model::Reason::Expired {
            tracing::info!(resource, %error, "roles and bindings are no longer followed");
            return;
        }
    }
}

/// Makes the namespaces, roles and bindings that every cluster has, where they are absent, and adds what they lack.
async fn ensure(pipeline: &Pipeline) -> Result<(), ApiError> {
    let namespace = |name: &&str| Object::from_value(json!({"metadata": {"name": name}}));
    let namespaces = lifecycle::ENSURED.iter().map(namespace).collect::<Result<Vec<_>, _>>()?;
    let wanted = [
        ("", "namespaces", namespaces),
        (policy::GROUP, "clusterroles", bootstrap::cluster_roles()),
        (policy::GROUP, "clusterrolebindings", bootstrap::cluster_role_bindings()),
        (policy::GROUP, "roles", bootstrap::roles()),
    ];
    for (group, resource, objects) in wanted {
        pipeline.store().barrier(group, resource).await?;
        let writes = objects.into_iter().filter_map(|object| ensured(pipeline, group, resource, object));
        let failed = join_all(writes).await.into_iter().filter_map(Result::err).find(|e| !e.is_already_exists() && !e.is_conflict());
        failed.map_or(Ok(()), Err)?;
    }
    tracing::debug!(user = %identity::own().name, "the first objects are there");
    Ok(())
}

/// The write that brings a first object about, where one is needed.
fn ensured(pipeline: &Pipeline, group: &str, resource: &str, wanted: Object) -> Option<impl Future<Output = Result<Reply, ApiError>>> {
    let caller = bus::Caller::new(bus::Role::State, "bootstrap");
    let (namespace, name) = (wanted.namespace().to_owned(), wanted.name().to_owned());
    let present = pipeline.store().get(&model::Key::new(group, resource, namespace.as_str(), name.as_str()));
    let request = match present {
        None => Request::new(Verb::Create, group, resource, &namespace, "").body(Body::Object(Box::new(wanted))),
        Some(present) => {
            let new = bootstrap::updated(present.object(), &wanted)?;
            Request::new(Verb::Update, group, resource, &namespace, &name).body(Body::Object(Box::new(new)))
        }
    };
    let pipeline = pipeline.clone();
    Some(async move { pipeline.handle(&caller, Box::new(request)).await })
}
