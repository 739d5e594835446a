//! Services' addresses on this node: what kube-proxy does, by one nftables table that changes as a whole.
mod memory;
mod ruleset;

pub(crate) use memory::{Memory, Services};
pub(crate) use ruleset::TABLE;
pub use ruleset::{Ruleset, ruleset};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use model::Stored;
use state_client::{Client, Reflector};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

/// Changes within so long become one ruleset.
const GATHER: Duration = Duration::from_millis(20);

/// What keeps the node's table.
pub(crate) struct Proxy {
    /// Speaks to the cluster.
    pub client: Client,
    /// This node's name.
    pub node: String,
    /// The services as they are, shared with the pods' environment.
    pub services: watch::Sender<Services>,
    /// What was applied last, here and on disk.
    pub memory: Mutex<Memory>,
}

impl Proxy {
    /// Follows services and endpoint slices, and keeps the table.
    ///
    /// # Errors
    /// When nftables refuses; it is tried again with everything.
    pub async fn follow(self: Arc<Self>, cancel: CancellationToken) -> Result<(), crate::nft::NftError> {
        let mut all = Reflector::of(self.client.clone(), "", "services", "");
        let mut slices = Reflector::of(self.client.clone(), "discovery.k8s.io", "endpointslices", "");
        loop {
            tokio::select! {
                changes = all.next() => {
                    if !changes.is_empty() && all.revision().is_some() {
                        self.services.send_replace(Some(Arc::new(all.objects().cloned().collect())));
                    }
                }
                _ = slices.next() => {}
                () = cancel.cancelled() => return Ok(()),
            }
            if all.revision().is_none() || slices.revision().is_none() {
                continue;
            }
            gather(&mut all, &mut slices).await;
            let services: Arc<Vec<Arc<Stored>>> = Arc::new(all.objects().cloned().collect());
            self.services.send_replace(Some(services.clone()));
            let wanted = ruleset(&typed::<Service>(&all), &typed::<EndpointSlice>(&slices), &self.node);
            let mut memory = self.memory.lock().await;
            memory.apply(wanted).await?;
            memory.remember(&services);
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
