//! The one way in: every read and write of every caller is authorised, admitted, defaulted, validated and committed here.
use crate::admission::Admission;
use crate::admission::pod_security::PodSecurity;
use crate::admission::service::Ranges;
use crate::admission::service_account::PATIENCE;
use crate::allow::Known;
use crate::authz::Authorizer;
use crate::claims::Claimant;
use crate::fencing::{self, FencingCheck};
use crate::flow_control::{FlowControl, PriorityLevels, weight};
use crate::identity;
use crate::lookup::ObjectLookup;
use crate::metrics::Metrics;
use crate::request_context::RequestContext;
use crate::routes::Routes;
use crate::store::Store;
use crate::subresource::token::{TokenKeys, Tokens};
use crate::warnings;
use arc_swap::{ArcSwap, Guard};
use bus::{Caller, FencingToken, Leases};
use model::{ApiError, Key, Kinds, Stored, order};
use serde_json::{Value, json};
use state_client::token::TokenError;
use state_client::{Body, Reply, Request, Verb};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl ObjectLookup for Store {
    fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        Store::get(self, key)
    }
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>> {
        Store::list(self, group, resource, namespace).items
    }
}

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
    authorizer: Authorizer,
    admission: Admission,
    tokens: Option<Tokens>,
    claimant: Claimant,
    routes: Routes,
    fences: FencingCheck,
    requests: FlowControl,
    batches: FlowControl,
    watches: FlowControl,
    searches: FlowControl,
    metrics: Metrics,
}

/// A request that was let in.
struct AdmittedRequest {
    call: RequestContext,
    body: Body,
    fence: Option<Arc<FencingToken>>,
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
        Ok(Self(Arc::new(Inner {
            store,
            kinds: options.kinds,
            authorizer,
            admission,
            tokens,
            claimant: Claimant::new(options.identity),
            routes,
            fences: FencingCheck::new(leases),
            requests: FlowControl::new(options.rooms),
            batches: FlowControl::new(PriorityLevels::of_batches()),
            watches: FlowControl::new(PriorityLevels::of_watches()),
            searches: FlowControl::new(PriorityLevels::of_searches()),
            metrics: Metrics::default(),
        })))
    }

    pub(crate) fn claimant(&self) -> &Claimant {
        &self.0.claimant
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
    pub(crate) fn fences(&self) -> &FencingCheck {
        &self.0.fences
    }
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.0.tokens.as_ref()
    }
    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
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
    /// What was asked so far.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn kinds(&self) -> Guard<Arc<Kinds>> {
        self.0.kinds.load()
    }

    /// Answers one request of `caller`.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn handle(&self, caller: &Caller, request: Box<Request>) -> Result<Reply, ApiError> {
        let (began, verb, resource) = (Instant::now(), request.verb, request.resource.clone());
        let mut asked = self.let_in(caller, request, true);
        let reply = self.answer(caller, &mut asked).await;
        self.count(verb, &resource, &reply, began);
        reply
    }

    /// Answers one request of a batch, which was let in as a whole.
    pub(crate) async fn handle_inside(&self, caller: &Caller, request: Box<Request>) -> Result<Reply, ApiError> {
        let (began, verb, resource) = (Instant::now(), request.verb, request.resource.clone());
        let mut asked = self.let_in(caller, request, false);
        let reply = self.answer(caller, &mut asked).await;
        self.count(verb, &resource, &reply, began);
        reply
    }

    /// For whom and of what a request is, if there is room for it.
    fn let_in(&self, caller: &Caller, mut request: Box<Request>, counted: bool) -> Result<AdmittedRequest, ApiError> {
        let user = identity::resolve(caller, request.user.take())?;
        let requests = &self.0.requests;
        let admitted = if counted { requests.enter(caller, &user, weight(&request))? } else { requests.uncounted(caller, &user) };
        let fence = request.fence.take();
        let (call, body) = RequestContext::resolve(&self.kinds(), user, admitted, *request, jiff::Timestamp::now())?;
        Ok(AdmittedRequest { call, body, fence })
    }

    fn count(&self, verb: Verb, resource: &Arc<str>, reply: &Result<Reply, ApiError>, began: Instant) {
        let code = match reply {
            Ok(Reply::Object { created: true, .. }) => 201,
            Ok(Reply::Json { code, .. }) => *code,
            Ok(_) => 200,
            Err(e) => e.code(),
        };
        self.0.metrics.count(verb, resource, code, began.elapsed());
    }

    /// What a verb keeps while it waits lives on the heap: requests are moved, into queues and batches, before they are worked on. What is asked stays
    /// where it is: what is moved into a future is in it twice.
    async fn answer(&self, caller: &Caller, asked: &mut Result<AdmittedRequest, ApiError>) -> Result<Reply, ApiError> {
        let AdmittedRequest { call, body, fence } = asked.as_mut().map_err(|refusal| refusal.clone())?;
        if let Some(fence) = fence {
            self.0.fences.admit(caller, fence, (call.verb, &call.kind.resource, &call.name)).await?;
        }
        self.allow(call).await?;
        if fencing::writes(call.verb) {
            call.admitted.take_seat().await?;
        }
        let body = std::mem::replace(body, Body::None);
        match call.verb {
            Verb::Get => Box::pin(self.get(call)).await,
            Verb::List => Box::pin(self.list(call)).await,
            Verb::Watch => Err(ApiError::bad_request("a watch is a stream: open it")),
            Verb::Create => Box::pin(self.create(call, body)).await,
            Verb::Update => Box::pin(self.update(call, body)).await,
            Verb::Patch => Box::pin(self.patch(call, body)).await,
            Verb::Delete => Box::pin(self.delete(call, body)).await,
            Verb::DeleteCollection => Box::pin(self.delete_collection(call, body)).await,
            Verb::Connect => match call.sub {
                Some(sub) => Box::pin(self.connect(call, sub, body)).await,
                None => Err(ApiError::bad_request("only streams can be connected to")),
            },
        }
    }
}

/// What a write made, and what its admission says of it.
pub(crate) struct Written {
    /// The object as it is now.
    pub(crate) stored: Arc<Stored>,
    /// For the client.
    pub(crate) warnings: Vec<String>,
}

/// The reply that is one object.
pub(crate) fn object_reply(object: Arc<Stored>, created: bool, warnings: Vec<String>) -> Reply {
    Reply::Object { object, created, warnings: warnings::bounded(warnings) }
}

/// The reply that is a document.
pub(crate) fn json_reply(document: &Value, code: u16) -> Reply {
    Reply::Json { json: order::json(document).into(), code, warnings: Vec::new() }
}

/// The `Status` of a success, with what it is about.
pub(crate) fn success(code: u16, about: Option<(&str, Value)>) -> Reply {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    match about {
        Some((group, mut details)) => {
            if !group.is_empty() {
                details["group"] = json!(group);
            }
            status["details"] = details;
        }
        None => status["code"] = json!(code),
    }
    json_reply(&status, code)
}
