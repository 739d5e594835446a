//! The way from the gateway to the node that a pod runs on.
use crate::request::Context;
use bus::{Bus, Duplex, To};
use model::{ApiError, Stored};
use state_client::client::bus_error;
use state_client::connect::ProxyTarget;
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
    namespace: Arc<str>,
    pod: Arc<str>,
    uid: Arc<str>,
}

impl NodeDialer {
    /// The way to the node that `pod` runs on; 400 when it runs on none.
    pub fn new(context: &Context, pod: &Arc<Stored>) -> Result<Self, ApiError> {
        let node = pod.object().str_at(&["spec", "nodeName"]);
        if node.is_empty() {
            return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.object().name())));
        }
        let pod = pod.object();
        Ok(Self { bus: context.client.bus().clone(), node: node.into(), namespace: pod.namespace().into(), pod: pod.name().into(), uid: pod.uid().into() })
    }

    /// The way to the node of a pod that requests are passed on to.
    pub fn to(context: &Context, target: &ProxyTarget) -> Self {
        let ProxyTarget { node, namespace, pod, uid, .. } = target;
        let text = |text: &String| Arc::from(text.as_str());
        Self { bus: context.client.bus().clone(), node: text(node), namespace: text(namespace), pod: text(pod), uid: text(uid) }
    }

    /// The pod's name.
    pub fn pod_name(&self) -> &str {
        &self.pod
    }

    /// Opens a stream: what the node refuses it with; 503 and 504 when the node can't be reached.
    pub async fn open(&self, action: NodeAction) -> Result<NodeStream, ApiError> {
        let request = NodeRequest { namespace: self.namespace.to_string(), pod: self.pod.to_string(), uid: self.uid.to_string(), action };
        self.bus.open(&To::instance(&*self.node), request, PATIENCE).await.map_err(bus_error)?
    }
}
