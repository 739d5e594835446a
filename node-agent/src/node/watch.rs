//! The node's own object as others change it: labels, taints, and resources that the agent doesn't know of.
use crate::executor::Executor;
use model::ApiError;
use state_client::{Change, Reflector, Request, Verb};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a decision waits for the node's object: then it goes by the one that is known.
const LOOK: Duration = Duration::from_secs(5);

/// Follows the node's object until it is told to stop.
///
/// # Errors
/// Never by the cluster's absence: it is waited for.
pub async fn follow(executor: Arc<Executor>, cancel: CancellationToken) -> Result<(), ApiError> {
    let mut request = Request::new(Verb::Watch, "", "nodes", "", "");
    request.options.field_selector = format!("metadata.name={}", executor.node.name);
    let mut reflector = Reflector::new(executor.client.clone(), request);
    while let Some(changes) = cancel.run_until_cancelled(reflector.next()).await {
        for change in changes {
            if let Change::Applied { new, .. } = change {
                executor.admission.learn(&new);
            }
        }
    }
    Ok(())
}

/// Reads the node's object now.
pub async fn look(executor: &Executor) {
    match tokio::time::timeout(LOOK, executor.client.get("", "nodes", "", &executor.node.name)).await {
        Ok(Ok(node)) => executor.admission.learn(&node),
        Ok(Err(error)) => tracing::debug!(node = executor.node.name, %error, "the node's object could not be read"),
        Err(_) => tracing::debug!(node = executor.node.name, "the node's object was not read in time"),
    }
}
