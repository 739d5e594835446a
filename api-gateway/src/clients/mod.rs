//! Users' programs over NATS: the same requests and answers as over HTTP, where the subject says what HTTP's method and path say, and headers what its
//! headers and query say. `docs/nats.md` is for those who write such programs.
//!
//! [`request`] makes one of HTTP of a message; [`answer`] makes messages of HTTP's answer; [`pack`] is MessagePack.
mod answer;
pub mod pack;
mod request;

use crate::handler::Api;
use bus::{Bus, BusError, ClientRequest};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Serves users' programs until `stop`.
///
/// # Errors
/// When NATS refuses the subscription.
pub async fn serve(bus: &Bus, api: &Arc<Api>, stop: CancellationToken) -> Result<(), BusError> {
    let (api, ends) = (api.clone(), stop.clone());
    let handle = move |message: ClientRequest| {
        let (api, stop) = (api.clone(), ends.clone());
        async move {
            let user = message.user.clone();
            let outcome = stop.run_until_cancelled(answer::give(&api, message)).await;
            if let Some(Err(gone)) = outcome {
                tracing::debug!(user, %gone, "a program took no more of its answer");
            }
        }
    };
    bus.serve_clients(stop, handle).await
}
