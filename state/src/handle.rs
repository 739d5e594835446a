//! One request's way through the pipeline: it is let in, allowed, and answered by its verb.
use crate::fencing;
use crate::flow_control::weight;
use crate::identity;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use bus::{Caller, FencingToken, Role};
use model::ApiError;
use state_client::{Body, Reply, Request, Verb};
use std::sync::Arc;
use std::time::Instant;

/// A request that was let in.
struct AdmittedRequest {
    call: RequestContext,
    body: Body,
    fence: Option<Arc<FencingToken>>,
}

impl Pipeline {
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
        let requests = self.requests();
        let admitted = if counted { requests.enter(caller, &user, weight(&request))? } else { requests.uncounted(caller, &user) };
        let fence = request.fence.take();
        let (call, body) = RequestContext::resolve(&self.kinds(), user, admitted, *request, jiff::Timestamp::now())?;
        let call = if caller.role == Role::Gateway { call.of_user() } else { call };
        Ok(AdmittedRequest { call, body, fence })
    }

    fn count(&self, verb: Verb, resource: &Arc<str>, reply: &Result<Reply, ApiError>, began: Instant) {
        let code = match reply {
            Ok(Reply::Object { created: true, .. }) => 201,
            Ok(Reply::Json { code, .. }) => *code,
            Ok(_) => 200,
            Err(e) => e.code(),
        };
        self.metrics().count(verb, resource, code, began.elapsed());
    }

    /// What a verb keeps while it waits lives on the heap: requests are moved, into queues and batches, before they are worked on. What is asked stays
    /// where it is: what is moved into a future is in it twice.
    async fn answer(&self, caller: &Caller, asked: &mut Result<AdmittedRequest, ApiError>) -> Result<Reply, ApiError> {
        let AdmittedRequest { call, body, fence } = asked.as_mut().map_err(|refusal| refusal.clone())?;
        if let Some(fence) = fence {
            self.fences().admit(caller, fence, (call.verb, &call.kind.resource, &call.name)).await?;
        }
        self.allow(call).await?;
        if fencing::writes(call.verb) {
            call.admitted.take_seat().await?;
        }
        let body = std::mem::replace(body, Body::None);
        if let Some(of) = &call.kind.derived_from {
            return Box::pin(self.read_derived(call, of)).await;
        }
        if let Some(sub) = call.sub.filter(|sub| sub.is_proxy()) {
            return Box::pin(self.proxy(call, sub, body)).await;
        }
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
