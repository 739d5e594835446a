//! Decides whether a request is allowed, on the data with which it is answered. What a node may read follows from its pods, and these can change while the
//! request waits for the cache. The decision is therefore made again when the cache is current.
use crate::authz::{self, node};
use crate::node_name::node_of;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use model::{ApiError, Reason, Stored};

impl Pipeline {
    /// Refuses what isn't allowed. A node's pod may be newer than this cache: before a node is refused for that, the cache is made current.
    pub(crate) async fn allow(&self, call: &RequestContext) -> Result<(), ApiError> {
        match self.allow_now(call) {
            Err(refusal) if refusal.reason == Reason::Forbidden && call.node().is_some() => Box::pin(self.allow_late(call)).await,
            decided => decided,
        }
    }

    fn allow_now(&self, call: &RequestContext) -> Result<(), ApiError> {
        call.attributes(|what| self.authorizer().require(what))?
    }

    async fn allow_late(&self, call: &RequestContext) -> Result<(), ApiError> {
        self.store().barrier("", "pods").await?;
        self.allow_again(call).await
    }

    /// Asks once more whether a node may read what the cache has now; it isn't asked of others, whose rights don't follow from what is read.
    pub(crate) async fn allow_again(&self, call: &RequestContext) -> Result<(), ApiError> {
        if call.node().is_none() {
            return Ok(());
        }
        // a pod's node is read from the pod itself
        if !call.of_pods() && !self.routes().reach(self.store().revision("", "pods")).await {
            return Err(ApiError::unavailable("the pods of the node are not known now"));
        }
        self.allow_now(call)
    }

    /// The node to whose pods a reader of pods is limited; `None` for those who aren't.
    pub(crate) fn limit(&self, call: &RequestContext) -> Result<Option<String>, ApiError> {
        let Some(node) = call.node().filter(|_| call.of_pods()) else { return Ok(None) };
        let granted = call.attributes(|what| self.authorizer().grants(what))?;
        Ok((!granted).then(|| node.to_owned()))
    }

    /// Refuses a node another's pod, whatever its name stood for when it was asked for.
    pub(crate) fn check_read(&self, call: &RequestContext, stored: &Stored) -> Result<(), ApiError> {
        match self.limit(call)? {
            Some(node) if node_of(stored) != node => Err(call.attributes(|what| authz::refusal(what, &node::no_relationship(&node)))?),
            _ => Ok(()),
        }
    }
}
