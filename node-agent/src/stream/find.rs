//! Finds the container that a request means, and its runs.
use crate::executor::Executor;
use crate::runtime::{Container, RunState};
use k8s_openapi::api::core::v1::Pod;
use model::ApiError;

/// The container asked for; the only one where none is named.
pub fn container_name(pod: &Pod, asked: &str) -> Result<String, ApiError> {
    let spec = crate::pod::spec(pod);
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    if asked.is_empty() {
        return match spec.containers.as_slice() {
            [only] => Ok(only.name.clone()),
            many => {
                let names: Vec<&str> = many.iter().map(|c| c.name.as_str()).collect();
                Err(ApiError::bad_request(format!("a container name must be specified for pod {pod_name}, choose one of: [{}]", names.join(" "))))
            }
        };
    }
    match crate::pod::container(pod, asked) {
        Some(c) => Ok(c.name.clone()),
        None => Err(ApiError::bad_request(format!("container {asked} is not valid for pod {pod_name}"))),
    }
}

/// A container's runs, oldest first.
pub async fn runs(executor: &Executor, uid: &str, name: &str) -> Result<Vec<Container>, ApiError> {
    let mut list = executor.runs(uid).await.map_err(|e| ApiError::internal(e.to_string()))?;
    list.retain(|c| c.name == name);
    list.sort_by_key(|c| c.attempt);
    Ok(list)
}

/// A container's run that a command can be run in.
pub async fn running(executor: &Executor, uid: &str, name: &str) -> Result<Container, ApiError> {
    let newest = runs(executor, uid, name).await?.pop().filter(|c| matches!(c.state, RunState::Running(_)));
    newest.ok_or_else(|| ApiError::internal(format!("unable to upgrade connection: container not found (\"{name}\")")))
}
