//! The pipeline on the bus: the services `state.api`, `state.batch` and `state.watch`, with what runs beside them and what is done before they start.
use crate::authz::policy;
use crate::batch;
use crate::bootstrap;
use crate::kinds_watch;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::policy_watch;
use crate::store::Store;
use crate::webhooks::table::{self, Purpose};
use bus::{Bus, BusError, Incoming, Opening, Service};
use model::ApiError;
use state_client::token::TokenError;
use state_client::{Batch, Request, WatchRequest};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Requests that are worked on at once; most of them wait for the log.
const CONCURRENCY: usize = 4_096;
/// Batches that are here at once; how many of them are worked on, their room says.
const BATCHES: usize = 1_024;

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
        store.vital(&format!("authorizer-{resource}"), &stop, policy_watch::follow(store.clone(), pipeline.authorizer().clone(), resource));
    }
    for purpose in [Purpose::Mutating, Purpose::Validating] {
        // nothing is written unasked right after the start
        store.barrier(table::GROUP, purpose.resource()).await.map_err(|e| ServeError::Bootstrap(e.into()))?;
        pipeline.webhooks().table.load(&store, purpose);
        store.vital(purpose.resource(), &stop, table::follow(store.clone(), pipeline.webhooks().table.clone(), purpose));
    }
    // who asks for a custom resource right after the start is not told that there is none
    let (group, resource) = model::custom::DEFINITIONS;
    store.barrier(group, resource).await.map_err(|e| ServeError::Bootstrap(e.into()))?;
    kinds_watch::load(&store, pipeline.table());
    store.vital("definitions", &stop, kinds_watch::follow(store.clone(), pipeline.clone()));
    store.vital("routes", &stop, pipeline.routes().clone().run(store.clone()));
    store.vital("claims", &stop, pipeline.clone().sweep_claims());
    store.vital("quotas", &stop, pipeline.quotas().clone().sweep());
    pipeline.take_back_claims().await.map_err(ServeError::Bootstrap)?;
    bootstrap::ensure(&pipeline).await.map_err(ServeError::Bootstrap)?;
    let said = bus.listen().await?;
    store.vital("usages", &stop, pipeline.clone().follow_usages(said));
    let instance = bus.caller().name.clone();
    let api = pipeline.clone();
    let api = bus.serve(&instance, CONCURRENCY, move |asked: Incoming<Box<Request>>| {
        let pipeline = api.clone();
        async move { pipeline.handle(&asked.caller, asked.message).await }
    });
    let batches = pipeline.clone();
    let batches = bus.serve(&instance, BATCHES, move |asked: Incoming<Batch>| {
        let pipeline = batches.clone();
        async move { batch::answer(&pipeline, asked).await }
    });
    let watches = pipeline.clone();
    let watches = bus.accept(&instance, move |opening: Opening<WatchRequest>| {
        let pipeline = watches.clone();
        async move { pipeline.watch(opening).await }
    });
    let services = [api.await?, batches.await?, watches.await?];
    Ok(Services { pipeline, _services: services, _stop: guard })
}
