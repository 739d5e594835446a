//! Updates of existing objects: read, decide, write by compare-and-swap, and repeat when another writer came in between.
use crate::claims;
use crate::pipeline::Pipeline;
use crate::quota::{self, Counted, Refusal};
use crate::request_context::RequestContext;
use crate::store::{CommitError, StoreOp, Write};
use model::{ApiError, Key, Stored, Subresource};
use std::future::Future;
use std::sync::Arc;

/// How often a write is tried.
const ATTEMPTS: usize = 16;

impl Pipeline {
    /// The object of this name; a cache that is behind gets a second chance.
    pub(crate) async fn present(&self, call: &RequestContext, name: &str) -> Result<Arc<Stored>, ApiError> {
        let key = call.key(name);
        if let Some(found) = self.store().get(&key) {
            return Ok(found);
        }
        self.store().barrier(&key.group, &key.resource).await?;
        self.store().get(&key).ok_or_else(|| call.not_found(name))
    }

    /// Runs `attempt` on the object's present form until it doesn't answer `None`, which says that somebody else wrote first.
    /// A conflict that it answers counts once the cache is known to be current.
    ///
    /// # Errors
    /// What `attempt` answers, 404, or 409 when others keep on writing.
    pub(crate) async fn guarded<T, R>(&self, call: &RequestContext, name: &str, attempt: impl Fn(Arc<Stored>) -> R) -> Result<T, ApiError>
    where
        R: Future<Output = Result<Option<T>, ApiError>>,
    {
        let mut old = self.present(call, name).await?;
        let mut current = false;
        for _ in 0..ATTEMPTS {
            let conflict = match attempt(old.own()).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => None,
                Err(e) if e.is_conflict() && !current => Some(e),
                Err(e) => return Err(e),
            };
            if conflict.is_some() {
                self.store().barrier(&call.row.group, &call.row.resource).await?;
                current = true;
            }
            let now = self.store().get(&old.key).ok_or_else(|| call.not_found(name))?;
            if let Some(e) = conflict.filter(|_| now.revision == old.revision) {
                return Err(e);
            }
            old = now;
        }
        Err(ApiError::modified(&call.kind.group, &call.kind.resource, name))
    }

    /// What this process has made of objects follows its own writes at once: who was told of one finds it in force.
    pub(crate) fn refresh(&self, key: &Key) {
        self.authorizer().refresh(key);
        self.webhooks().table.refresh(self.store(), key);
        if (&*key.group, &*key.resource) == quota::QUOTAS {
            self.quotas().count(&key.namespace);
        }
    }

    /// Writes what became of `old`, which ends here with all that was parsed of it; `None` when somebody else wrote first.
    pub(crate) async fn swap(&self, call: &RequestContext, old: Arc<Stored>, op: StoreOp, dry_run: bool) -> Result<Option<Arc<Stored>>, ApiError> {
        let (key, expect, given_up) = (old.key.clone(), old.revision, claims::given_up(&old, &op));
        let counted = Counted { write: Write { key: key.clone(), expect, op }, old: Some(old), refusable: call.sub != Some(Subresource::STATUS) };
        if dry_run {
            return self.quotas().try_out(&key, counted).map(Some);
        }
        match self.quotas().commit(counted).await {
            Ok(stored) => {
                self.refresh(&key);
                self.let_go(given_up).await;
                Ok(Some(stored))
            }
            Err(Refusal::Commit(CommitError::Conflict)) => Ok(None),
            Err(other) => Err(other.to_api(&key, false)),
        }
    }
}
