//! The one way in, and what it is made of: every read and write of every caller passes the parts that are put together here.
use crate::admission::Admission;
use crate::admission::pod_security::PodSecurity;
use crate::admission::service::Ranges;
use crate::admission::service_account::PATIENCE;
use crate::authz::Authorizer;
use crate::claimant::Claimant;
use crate::derived::Usages;
use crate::fencing::FencingCheck;
use crate::flow_control::{FlowControl, PriorityLevels};
use crate::known::Known;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::routes::Routes;
use crate::store::Store;
use crate::subresource::token::{TokenKeys, Tokens};
use crate::webhooks::Webhooks;
use arc_swap::{ArcSwap, Guard};
use bus::Leases;
use model::Kinds;
use state_client::token::TokenError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a pipeline is told.
#[derive(Clone)]
pub struct PipelineOptions {
    /// The table of kinds.
    pub kinds: Arc<ArcSwap<Kinds>>,
    /// Where Services' addresses and node ports come from.
    pub ranges: Ranges,
    /// The cluster's defaults of pod security, and what is exempt from it.
    pub pod_security: Arc<PodSecurity>,
    /// The keys of service account tokens; without them TokenRequest and TokenReview answer 503.
    pub token_keys: Option<TokenKeys>,
    /// What no other process is called while this one lives, and the next one on the same data is; `None` where nobody sees to that.
    pub identity: Option<String>,
    /// How much room there is for requests.
    pub rooms: PriorityLevels,
    /// How long a pod waits for the account that a controller makes in a new namespace.
    pub patience: Duration,
}

impl PipelineOptions {
    /// The defaults.
    pub fn new(kinds: Arc<ArcSwap<Kinds>>) -> Self {
        let rooms = PriorityLevels::of_requests();
        Self { kinds, ranges: Ranges::default(), pod_security: Arc::default(), token_keys: None, identity: None, rooms, patience: PATIENCE }
    }
}

struct Inner {
    store: Store,
    kinds: Arc<ArcSwap<Kinds>>,
    definitions: watch::Sender<()>,
    authorizer: Authorizer,
    admission: Admission,
    webhooks: Arc<Webhooks>,
    tokens: Option<Tokens>,
    claimant: Claimant,
    quotas: Quotas,
    routes: Routes,
    fences: FencingCheck,
    requests: FlowControl,
    batches: FlowControl,
    watches: FlowControl,
    searches: FlowControl,
    metrics: Metrics,
    usages: Usages,
}

/// The pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline(Arc<Inner>);

impl Pipeline {
    /// A pipeline over a store; `leases` tell whose writes are still wanted.
    ///
    /// # Errors
    /// [`TokenError::Key`] for keys that can't be read.
    pub fn new(store: Store, leases: Leases, options: PipelineOptions) -> Result<Self, TokenError> {
        let routes = Routes::default();
        let authorizer = Authorizer::new(Arc::new(Known { store: store.clone(), routes: routes.clone() }));
        let tokens = options.token_keys.as_ref().map(Tokens::new).transpose()?;
        let admission = Admission::new(authorizer.clone(), options.ranges, options.pod_security, tokens.clone(), options.patience);
        let quotas = Quotas::new(store.clone());
        Ok(Self(Arc::new(Inner {
            store,
            kinds: options.kinds,
            definitions: watch::Sender::new(()),
            authorizer,
            admission,
            webhooks: Arc::default(),
            tokens,
            claimant: Claimant::new(options.identity),
            quotas,
            routes,
            fences: FencingCheck::new(leases),
            requests: FlowControl::new(options.rooms),
            batches: FlowControl::new(PriorityLevels::of_batches()),
            watches: FlowControl::new(PriorityLevels::of_watches()),
            searches: FlowControl::new(PriorityLevels::of_searches()),
            metrics: Metrics::default(),
            usages: Usages::default(),
        })))
    }

    pub(crate) fn claimant(&self) -> &Claimant {
        &self.0.claimant
    }
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }
    pub(crate) fn authorizer(&self) -> &Authorizer {
        &self.0.authorizer
    }
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }
    pub(crate) fn webhooks(&self) -> &Arc<Webhooks> {
        &self.0.webhooks
    }
    pub(crate) fn fences(&self) -> &FencingCheck {
        &self.0.fences
    }
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.0.tokens.as_ref()
    }
    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
    }
    pub(crate) fn requests(&self) -> &FlowControl {
        &self.0.requests
    }
    pub(crate) fn batches(&self) -> &FlowControl {
        &self.0.batches
    }
    pub(crate) fn watches(&self) -> &FlowControl {
        &self.0.watches
    }
    pub(crate) fn searches(&self) -> &FlowControl {
        &self.0.searches
    }
    /// What nodes said that they and their pods use.
    pub(crate) fn usages(&self) -> &Usages {
        &self.0.usages
    }
    /// What was asked so far.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The table of kinds, which changes as definitions come and go.
    pub(crate) fn table(&self) -> &Arc<ArcSwap<Kinds>> {
        &self.0.kinds
    }
    /// Tells when definitions of custom resources have changed that table.
    pub(crate) fn definitions(&self) -> watch::Receiver<()> {
        self.0.definitions.subscribe()
    }
    /// Says that they have.
    pub(crate) fn definitions_changed(&self) {
        self.0.definitions.send_replace(());
    }
    pub(crate) fn kinds(&self) -> Guard<Arc<Kinds>> {
        self.0.kinds.load()
    }
}
