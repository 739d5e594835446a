//! What the gateway itself asks `state`.
use super::users::own;
use model::ApiError;
use serde_json::Value;
use state_client::{Client, Reply, Request};

/// A question of the gateway's own to `state`: a review, whose answer is a document.
///
/// # Errors
/// What `state` answers.
pub(crate) async fn ask(client: &Client, request: Request) -> Result<Value, ApiError> {
    let request = Request { user: Some(own()), version: "v1".into(), ..request };
    match client.call(request).await? {
        Reply::Json { json, .. } => serde_json::from_slice(&json).map_err(|e| ApiError::internal(e.to_string())),
        Reply::Object { object, .. } => Ok(Value::Object(object.object().0.clone())),
        Reply::List(_) => Err(ApiError::internal("the answer to a review is a list")),
    }
}
