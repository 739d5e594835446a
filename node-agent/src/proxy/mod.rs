//! Services' addresses on this node: what kube-proxy does, by one nftables table that changes as a whole.
mod memory;
mod ruleset;
mod servable;
mod unserved;

pub(crate) use memory::{ServiceCache, Services};
pub(crate) use ruleset::TABLE;
pub use ruleset::{Ruleset, ruleset};
pub use unserved::Unserved;
pub(crate) use unserved::{REASON, sentence};

use crate::nft::NftError;
use crate::recorder::Recorder;
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
    pub memory: Mutex<ServiceCache>,
    /// Where it is said what isn't served.
    pub recorder: Recorder,
    /// The same for the node's status.
    pub unserved: watch::Sender<Vec<Unserved>>,
}

impl Proxy {
    /// Follows services and endpoint slices, and keeps the table.
    ///
    /// # Errors
    /// When nftables refuses; it is tried again with everything.
    pub async fn follow(self: Arc<Self>, cancel: CancellationToken) -> Result<(), NftError> {
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
            self.serve(&typed::<Service>(&all), &typed::<EndpointSlice>(&slices)).await?;
            self.memory.lock().await.remember(&services);
        }
    }

    /// Makes the table for these. A Service whose rules nft doesn't take is left out, so that the others are served.
    async fn serve(&self, services: &[Arc<Service>], slices: &[Arc<EndpointSlice>]) -> Result<(), NftError> {
        let (wanted, mut unserved) = ruleset(services, slices, &self.node);
        let mut memory = self.memory.lock().await;
        match memory.apply(wanted).await {
            Err(NftError::Refused(why)) => {
                tracing::warn!(why, "looking for the Services that nft refuses");
                let (taken, refused) = servable::servable(services, slices, &self.node).await?;
                memory.apply(taken).await?;
                unserved = refused;
            }
            done => done?,
        }
        unserved::tell(&self.recorder, &self.node, services, &self.unserved.borrow(), &unserved);
        self.unserved.send_if_modified(|now| {
            let changed = *now != unserved;
            *now = unserved;
            changed
        });
        Ok(())
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
