//! What is known of one request, and what all that answer requests share.
use crate::metrics::Metrics;
use crate::path::ResourcePath;
use crate::query::Query;
use crate::upload::Upload;
use http::Request;
use model::{Kind, Subresource};
use state_client::{Client, User, Verb, api};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What requests are answered with.
pub(crate) struct Context {
    /// The way to `state`.
    pub client: Client,
    /// Counters.
    pub metrics: Metrics,
    /// Ends what is under way.
    pub stop: CancellationToken,
    /// Streams that outlive their request's response: exec, attach, port-forward.
    pub tasks: TaskTracker,
}

/// One request, after it is known who asks.
pub(crate) struct ApiRequest {
    pub request: Request<Upload>,
    pub user: User,
    pub query: Query,
}

/// A request for a resource, after its path was resolved.
pub(crate) struct Resolved {
    pub kind: Arc<Kind>,
    pub sub: Option<Subresource>,
    pub verb: Verb,
    pub path: ResourcePath,
}

impl Resolved {
    /// The request to `state`, without body.
    pub fn request(&self, user: User, options: api::Options) -> api::Request {
        let request = api::Request::new(self.verb, &self.path.group, &self.path.resource, &self.path.namespace, &self.path.name);
        api::Request { user: Some(user), version: self.path.version.as_str().into(), options, ..request.subresource(&self.path.subresource) }
    }
}
