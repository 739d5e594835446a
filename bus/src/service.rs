//! What is served: the handle that keeps a service running.
use crate::micro::Announced;
use crate::nats::Link;
use crate::registry::Registration;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use crate::stats::Stats;

/// A running service. Dropping it stops it: nothing new is taken, what is being handled goes on to its end.
pub struct Service {
    pub(crate) registration: Registration,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) concurrency: u32,
    pub(crate) stats: Arc<Stats>,
    /// Ends what listens for requests from elsewhere.
    pub(crate) listening: CancellationToken,
    pub(crate) _announced: Arc<Announced>,
    /// The connection lives as long as what is served on it.
    pub(crate) _link: Option<Arc<Link>>,
}

impl Service {
    /// Its counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
    /// Stops taking requests and waits for those that are being handled.
    pub async fn drain(self) {
        self.registration.withdraw();
        self.listening.cancel();
        if self.permits.acquire_many(self.concurrency).await.is_err() {
            tracing::debug!("drained a service that was closed already");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.listening.cancel();
        self.permits.close();
    }
}
