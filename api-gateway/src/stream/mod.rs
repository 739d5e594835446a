//! Streams between a client and a pod's node: logs, exec, attach, port-forward. `state` says whether and to which pod; the node's agent does it.
pub mod channels;
pub mod log;
pub mod websocket;

use crate::handler::{Api, Asked, Resolved};
use crate::respond::Body;
use bus::{Duplex, To};
use http::Response;
use model::kind::Subresource;
use model::{ApiError, Object, Stored};
use serde_json::Value;
use state_client::client::bus_error;
use state_client::node::{FromNode, NodeAction, NodeRequest, ToNode};
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to begin a stream: attaching to a container that starts right now included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to a node.
pub(crate) type Node = Duplex<ToNode, FromNode>;

/// Answers a `Connect`: asks `state` for the pod, and opens what the subresource says.
///
/// # Errors
/// What `state` or the node refuse it with; 400 for options that don't fit the pod.
pub(crate) async fn connect(api: &Api, asked: Asked, resolved: Resolved) -> Result<Response<Body>, ApiError> {
    let pod = api.client.object(resolved.request(asked.user.clone(), asked.query.options(resolved.verb)?)).await?;
    let open = api.metrics.open(&resolved.path.group, &format!("{}/{}", resolved.path.resource, resolved.path.subresource));
    match resolved.sub {
        Some(Subresource::Log) => log::respond(api, &asked, &pod, open).await,
        Some(Subresource::Exec) => channels::exec(api, asked, &pod, open).await,
        Some(Subresource::Attach) => channels::attach(api, asked, &pod, open).await,
        _ => Err(crate::path::not_served()),
    }
}

/// The node that a pod runs on.
///
/// # Errors
/// 400 when it runs on none yet.
pub(crate) fn node_name(pod: &Object) -> Result<&str, ApiError> {
    match pod.str_at(&["spec", "nodeName"]) {
        "" => Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.name()))),
        node => Ok(node),
    }
}

/// Opens a stream at the pod's node.
///
/// # Errors
/// 400 for a pod without a node; what the node refuses it with; 503 and 504 when the node can't be reached.
pub(crate) async fn open(api: &Api, pod: &Arc<Stored>, action: NodeAction) -> Result<Node, ApiError> {
    let object = pod.object();
    let node = node_name(object)?;
    let request = NodeRequest { namespace: object.namespace().to_owned(), pod: object.name().to_owned(), uid: object.uid().to_owned(), action };
    api.client.bus().open(&To::instance(node), request, PATIENCE).await.map_err(bus_error)?
}

fn names<'a>(pod: &'a Object, list: &'a str) -> Vec<&'a str> {
    pod.list_at(&["spec", list]).iter().filter_map(|c| c.get("name")).filter_map(Value::as_str).collect()
}

/// The container that is meant: the one asked for, or the only one.
///
/// # Errors
/// 400 when the pod has no such container, or several and none is asked for.
pub(crate) fn container(pod: &Object, asked: &str) -> Result<String, ApiError> {
    let [main, init, ephemeral] = ["containers", "initContainers", "ephemeralContainers"].map(|list| names(pod, list));
    if !asked.is_empty() {
        let known = [&main, &init, &ephemeral].into_iter().any(|list| list.contains(&asked));
        return if known { Ok(asked.to_owned()) } else { Err(ApiError::bad_request(format!("container {asked} is not valid for pod {}", pod.name()))) };
    }
    if let [only] = main.as_slice() {
        return Ok((*only).to_owned());
    }
    let choose = |what: &str, list: &[&str]| if list.is_empty() { String::new() } else { format!(" or one of the {what}: [{}]", list.join(" ")) };
    let more = choose("init containers", &init) + &choose("ephemeral containers", &ephemeral);
    Err(ApiError::bad_request(format!("a container name must be specified for pod {}, choose one of: [{}]{more}", pod.name(), main.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    #[test]
    fn containers() {
        let one = pod(json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}));
        let two = pod(json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}));
        assert_eq!(container(&one, ""), Ok("a".to_owned()));
        assert_eq!(container(&two, "i"), Ok("i".to_owned()));
        let message = |r: Result<String, ApiError>| r.unwrap_err().message;
        assert_eq!(message(container(&one, "x")), "container x is not valid for pod p");
        let several = "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]";
        assert_eq!(message(container(&two, "")), several);
        assert_eq!(node_name(&one).unwrap_err().message, "pod p does not have a host assigned");
    }
}
