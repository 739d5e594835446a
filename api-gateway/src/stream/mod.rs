//! Streams between a client and a pod's node: logs, exec, attach, port-forward. `state` says whether and to which pod; the node's agent does it.
pub mod channels;
pub mod command;
pub mod forward;
pub mod log;
pub mod messages;
mod node;
pub mod outputs;
pub mod pairs;
pub mod ports;
pub mod protocols;
mod relay;
pub mod session;
pub mod spdy;
pub mod transport;
pub mod upgrade;

pub(crate) use node::{NodeDialer, NodeStream};

use crate::request::{ApiRequest, Context, Resolved};
use crate::respond::Body;
use bytes::Bytes;
use http::Response;
use model::{ApiError, Subresource};
use serde_json::json;
use state_client::connect::{self, Target};

/// What is asked of the subresource, as `PodExecOptions` and the like: the container is checked by `state`, and webhooks may see all of it.
fn options(asked: &ApiRequest, sub: Subresource) -> Result<Bytes, ApiError> {
    let document = match sub {
        Subresource::EXEC | Subresource::ATTACH => serde_json::to_vec(&asked.query.exec_options()),
        Subresource::PORTFORWARD => serde_json::to_vec(&json!({"ports": asked.query.all("ports").filter_map(|p| p.parse::<u16>().ok()).collect::<Vec<_>>()})),
        _ => serde_json::to_vec(&Target { container: asked.query.text("container").to_owned() }),
    };
    document.map(Bytes::from).map_err(|e| ApiError::internal(e.to_string()))
}

/// Answers a `Connect`: asks `state` for the pod, and opens what the subresource says.
///
/// # Errors
/// What `state` or the node refuse it with; 400 for options that don't fit the pod.
pub(crate) async fn respond(context: &Context, asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
    let sub = resolved.sub.ok_or_else(ApiError::not_served)?;
    let asked_for = asked.query.text("container");
    let request = resolved.request(asked.user.clone(), asked.query.options(resolved.verb)?).body(state_client::Body::Json(options(&asked, sub)?));
    let pod = context.client.object(request).await?;
    let container = connect::check(sub, pod.object(), asked_for)?;
    let open = context.metrics.open(&resolved.path.group, &format!("{}/{}", resolved.path.resource, resolved.path.subresource));
    match sub {
        Subresource::LOG => log::respond(context, asked, &pod, container, open).await,
        Subresource::EXEC => channels::exec(context, asked, &pod, container, open).await,
        Subresource::ATTACH => channels::attach(context, asked, &pod, container, open).await,
        Subresource::PORTFORWARD => forward::respond(context, asked, &pod, open),
        _ => Err(ApiError::not_served()),
    }
}
