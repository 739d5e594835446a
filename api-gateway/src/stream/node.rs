//! The way from the gateway to the node that a pod runs on.
use crate::request::Context;
use bus::{Bus, Duplex, To};
use model::{ApiError, Stored};
use state_client::client::bus_error;
use state_client::node::{FromNode, NodeAction, NodeRequest, ToNode};
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to begin a stream: attaching to a container that starts right now included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to a node.
pub(crate) type NodeStream = Duplex<ToNode, FromNode>;

/// The way to a pod's node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct NodeDialer {
    bus: Bus,
    node: Arc<str>,
    pod: Arc<Stored>,
}

impl NodeDialer {
    /// The way to the node that `pod` runs on; 400 when it runs on none.
    pub fn new(context: &Context, pod: &Arc<Stored>) -> Result<Self, ApiError> {
        let node = pod.object().str_at(&["spec", "nodeName"]);
        if node.is_empty() {
            return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.object().name())));
        }
        Ok(Self { bus: context.client.bus().clone(), node: node.into(), pod: pod.clone() })
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
