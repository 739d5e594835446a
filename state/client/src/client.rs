//! Requests to `state`, in the same process or over NATS.
use crate::api::{Batch, Body, Event, ListReply, PatchKind, Reply, Request, Verb, WatchRequest};
use bus::{Bus, BusError, Duplex, FencingToken, To};
use model::{ApiError, Object, Stored};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a request of the cluster's own parts may take before it fails with 504.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The same of a request of a user, as Kubernetes has it: webhooks may take half of it.
pub const USERS_TIMEOUT: Duration = Duration::from_secs(60);

/// A way to `state`. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    bus: Bus,
    fence: Option<Arc<FencingToken>>,
    timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("caller", self.bus.caller()).field("fence", &self.fence).finish()
    }
}

/// What the bus can't do becomes an API error: nobody there is 503, no answer is 504, too much to do is 429.
pub fn bus_error(e: BusError) -> ApiError {
    match e {
        BusError::Timeout { .. } => ApiError::timeout(e.to_string()),
        BusError::NoResponder { .. } | BusError::Disconnected(_) => ApiError::unavailable(e.to_string()),
        BusError::Busy { .. } => ApiError::too_many_requests("The server has received too many requests and has asked us to try again later", 1),
        BusError::Codec { .. } | BusError::Failed { .. } => ApiError::internal(e.to_string()),
    }
}

impl Client {
    /// A client that speaks as `bus` does.
    pub fn new(bus: Bus) -> Self {
        Self { bus, fence: None, timeout: TIMEOUT }
    }
    /// The same, for users.
    #[must_use]
    pub fn for_users(self) -> Self {
        Self { timeout: USERS_TIMEOUT, ..self }
    }
    /// The same, for the holder of a lease: its writes are refused once it is deposed.
    #[must_use]
    pub fn fenced(self, fence: FencingToken) -> Self {
        Self { fence: Some(Arc::new(fence)), ..self }
    }
    /// The bus below.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Sends one request.
    ///
    /// # Errors
    /// What `state` answers, or 503 and 504 when it doesn't.
    pub fn call(&self, request: Request) -> impl Future<Output = Result<Reply, ApiError>> + Send + use<'_> {
        let request = Box::new(Request { fence: self.fence.clone(), ..request });
        async move { self.bus.call(&To::Any, request, self.timeout).await.map_err(bus_error)? }
    }

    /// Sends many writes as one message; the replies come in the same order.
    pub async fn batch(&self, mut requests: Vec<Request>) -> Vec<Result<Reply, ApiError>> {
        let n = requests.len();
        for request in &mut requests {
            request.fence.clone_from(&self.fence);
        }
        match self.bus.call(&To::Any, Batch(requests), self.timeout).await {
            Ok(replies) => replies,
            Err(e) => vec![Err(bus_error(e)); n],
        }
    }

    /// Sends a request whose reply is one object.
    ///
    /// # Errors
    /// As [`Client::call`]; 500 when the reply is something else.
    pub async fn object(&self, request: Request) -> Result<Arc<Stored>, ApiError> {
        match self.call(request).await? {
            Reply::Object { object, .. } => Ok(object),
            _ => Err(ApiError::internal("the reply is not an object")),
        }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Stored>, ApiError> {
        self.object(Request::new(Verb::Get, group, resource, namespace, name)).await
    }

    /// Lists a resource, in one namespace or (`""`) in all.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<ListReply, ApiError> {
        match self.call(Request::new(Verb::List, group, resource, namespace, "")).await? {
            Reply::List(list) => Ok(list),
            _ => Err(ApiError::internal("the reply is not a list")),
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn create(&self, group: &str, resource: &str, namespace: &str, object: Object) -> Result<Arc<Stored>, ApiError> {
        self.object(Request::new(Verb::Create, group, resource, namespace, "").body(Body::Object(Box::new(object)))).await
    }

    /// Replaces an object, or one of its subresources (`""`: the main one).
    ///
    /// # Errors
    /// As [`Client::call`]; 409 when its `resourceVersion` is stale.
    pub async fn update(&self, group: &str, resource: &str, subresource: &str, object: Object) -> Result<Arc<Stored>, ApiError> {
        let request = Request::new(Verb::Update, group, resource, object.namespace(), object.name()).subresource(subresource);
        self.object(request.body(Body::Object(Box::new(object)))).await
    }

    /// Merge-patches an object or one of its subresources.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn merge(
        &self,
        group: &str,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
        patch: &impl Serialize,
    ) -> Result<Arc<Stored>, ApiError> {
        let json = serde_json::to_vec(patch).map_err(|e| ApiError::internal(e.to_string()))?;
        let request = Request::new(Verb::Patch, group, resource, namespace, name).subresource(subresource);
        self.object(request.body(Body::Patch(PatchKind::Merge, json.into()))).await
    }

    /// Deletes an object with its kind's default propagation.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Reply, ApiError> {
        self.call(Request::new(Verb::Delete, group, resource, namespace, name)).await
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// What `state` answers (410 for a revision that is no longer held), or 503 and 504 when it doesn't.
    pub async fn watch(&self, request: WatchRequest) -> Result<Watch, ApiError> {
        let stream = self.bus.open(&To::Any, request, self.timeout).await.map_err(bus_error)??;
        Ok(Watch { stream, ready: VecDeque::new() })
    }
}

/// An open watch.
pub struct Watch {
    stream: Duplex<(), Vec<Event>>,
    ready: VecDeque<Event>,
}

impl Watch {
    /// The next event; `None` when `state` ended the watch: watch again from the last revision seen.
    ///
    /// # Errors
    /// 503 when the stream was cut.
    pub async fn next(&mut self) -> Result<Option<Event>, ApiError> {
        while self.ready.is_empty() {
            match self.next_batch().await? {
                Some(events) => self.ready.extend(events),
                None => return Ok(None),
            }
        }
        Ok(self.ready.pop_front())
    }

    /// As many events as came together: what a view applies at once. Don't mix with a half-read [`Watch::next`].
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Event>>, ApiError> {
        self.stream.recv().await.map_err(|e| ApiError::unavailable(e.to_string()))
    }
}
