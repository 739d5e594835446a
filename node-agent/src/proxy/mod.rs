//! Services' addresses on this node: what kube-proxy does, by one nftables table that is replaced as a whole.
mod ruleset;

pub(crate) use ruleset::TABLE;
pub use ruleset::ruleset;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use model::Stored;
use state_client::{Client, Reflector};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Changes within so long become one ruleset.
const GATHER: Duration = Duration::from_millis(20);

/// The services as they are, shared with the pods' environment.
pub type Services = watch::Sender<Option<Arc<Vec<Arc<Stored>>>>>;

/// Follows services and endpoint slices, and keeps the ruleset.
///
/// # Errors
/// When nftables refuses; it is tried again with everything.
pub async fn follow(client: Client, node: String, services: Arc<Services>, cancel: CancellationToken) -> Result<(), crate::nft::NftError> {
    let mut all = Reflector::of(client.clone(), "", "services", "");
    let mut slices = Reflector::of(client, "discovery.k8s.io", "endpointslices", "");
    let mut applied = String::new();
    loop {
        tokio::select! {
            changes = all.next() => {
                if !changes.is_empty() && all.revision().is_some() {
                    services.send_replace(Some(Arc::new(all.objects().cloned().collect())));
                }
            }
            _ = slices.next() => {}
            () = cancel.cancelled() => return Ok(()),
        }
        if all.revision().is_none() || slices.revision().is_none() {
            continue;
        }
        gather(&mut all, &mut slices).await;
        services.send_replace(Some(Arc::new(all.objects().cloned().collect())));
        let wanted = ruleset(&typed::<Service>(&all), &typed::<EndpointSlice>(&slices), &node);
        if wanted != applied {
            crate::nft::apply(&wanted).await?;
            applied = wanted;
        }
    }
}

/// Takes what comes within [`GATHER`].
async fn gather(all: &mut Reflector, slices: &mut Reflector) {
    let until = tokio::time::sleep(GATHER);
    tokio::pin!(until);
    loop {
        tokio::select! {
            _ = all.next() => {}
            _ = slices.next() => {}
            () = &mut until => return,
        }
    }
}

fn typed<T: serde::de::DeserializeOwned + Send + Sync + 'static>(reflector: &Reflector) -> Vec<Arc<T>> {
    let decode = |o: &Arc<Stored>| o.typed::<T>().inspect_err(|error| tracing::warn!(object = %o.key, %error, "does not decode")).ok();
    reflector.objects().filter_map(decode).collect()
}
