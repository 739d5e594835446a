//! Streams between a client and a pod's node: logs, exec, attach, port-forward. `state` says whether and to which pod; the node's agent does it.
pub mod channels;
pub mod command;
pub mod forward;
pub mod log;
pub mod messages;
pub mod outputs;
pub mod pairs;
pub mod ports;
pub mod protocols;
mod relay;
pub mod session;
pub mod spdy;
pub mod transport;
pub mod upgrade;

use crate::handler::{Api, ApiRequest, Resolved};
use crate::respond::Body;
use bus::{Bus, Duplex, To};
use http::Response;
use model::kind::Subresource;
use model::{ApiError, Stored};
use state_client::client::bus_error;
use state_client::connect::{self, Target};
use state_client::node::{FromNode, NodeAction, NodeRequest, ToNode};
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to begin a stream: attaching to a container that starts right now included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to a node.
pub(crate) type NodeStream = Duplex<ToNode, FromNode>;

/// Answers a `Connect`: asks `state` for the pod, and opens what the subresource says.
///
/// # Errors
/// What `state` or the node refuse it with; 400 for options that don't fit the pod.
pub(crate) async fn respond(api: &Api, asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
    let sub = resolved.sub.ok_or_else(ApiError::not_served)?;
    let asked_for = asked.query.text("container");
    let target = serde_json::to_vec(&Target { container: asked_for.to_owned() }).map_err(|e| ApiError::internal(e.to_string()))?;
    let request = resolved.request(asked.user.clone(), asked.query.options(resolved.verb)?).body(state_client::Body::Json(target.into()));
    let pod = api.client.object(request).await?;
    let container = connect::check(sub, pod.object(), asked_for)?;
    let open = api.metrics.open(&resolved.path.group, &format!("{}/{}", resolved.path.resource, resolved.path.subresource));
    match sub {
        Subresource::Log => log::respond(api, asked, &pod, container, open).await,
        Subresource::Exec => channels::exec(api, asked, &pod, container, open).await,
        Subresource::Attach => channels::attach(api, asked, &pod, container, open).await,
        Subresource::Portforward => forward::respond(api, asked, &pod, open),
        _ => Err(ApiError::not_served()),
    }
}

/// The way to a pod's node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct NodeDialer {
    bus: Bus,
    node: Arc<str>,
    pod: Arc<Stored>,
}

impl NodeDialer {
    /// The door to the node that `pod` runs on; 400 when it runs on none.
    pub fn new(api: &Api, pod: &Arc<Stored>) -> Result<Self, ApiError> {
        let node = pod.object().str_at(&["spec", "nodeName"]);
        if node.is_empty() {
            return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.object().name())));
        }
        Ok(Self { bus: api.client.bus().clone(), node: node.into(), pod: pod.clone() })
    }

    /// The pod's name.
    pub fn pod_name(&self) -> &str {
        self.pod.object().name()
    }

    /// Opens a stream: what the node refuses it with; 503 and 504 when the node can't be reached.
    pub async fn open(&self, action: NodeAction) -> Result<NodeStream, ApiError> {
        let pod = self.pod.object();
        let request = NodeRequest { namespace: pod.namespace().to_owned(), pod: pod.name().to_owned(), uid: pod.uid().to_owned(), action };
        self.bus.open(&To::instance(&*self.node), request, PATIENCE).await.map_err(bus_error)?
    }
}
