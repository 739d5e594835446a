//! Containers that belong to no pod of the node: an agent before left them.
use crate::executor::Executor;
use crate::runtime::{Container, RuntimeError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Containers that an agent before left, of pods that aren't on this disk, by UID: whether the cluster knows those pods isn't known yet.
#[derive(Default)]
pub struct Strays(Mutex<HashMap<String, Vec<Container>>>);

impl Strays {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Container>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of one.
    pub fn add(&self, container: Container) {
        self.lock().entry(container.pod.uid.clone()).or_default().push(container);
    }

    /// The cluster knows this pod: its containers are none of these. Whether it had some.
    pub fn claim(&self, uid: &str) -> bool {
        self.lock().remove(uid).is_some()
    }

    /// Ends what belongs to no pod of the cluster, with the grace that it was made with.
    pub fn end(&self, executor: &Arc<Executor>) {
        for (uid, containers) in std::mem::take(&mut *self.lock()) {
            let executor = executor.clone();
            tokio::spawn(async move {
                if let Err(error) = end_stray(&executor, &uid, &containers).await {
                    tracing::warn!(uid, %error, "containers of a pod that is gone could not be removed");
                }
            });
        }
    }
}

async fn end_stray(executor: &Executor, uid: &str, containers: &[Container]) -> Result<(), RuntimeError> {
    futures::future::try_join_all(containers.iter().map(|c| async move {
        tracing::info!(pod = c.pod.name, container = c.name, "a container of a pod that the cluster does not know is ended");
        executor.runtime.stop(&c.id, None).await?;
        executor.runtime.remove(&c.id).await
    }))
    .await?;
    executor.runtime.remove_sandbox(uid).await
}
