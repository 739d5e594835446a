//! The quotas of all namespaces: which writes they concern, and how what they count is known.
use super::counted::{Counted, Refusal};
use super::queue::{Queue, Waiting};
use super::round::Limits;
use crate::store::{CommitError, Store, StoreOp};
use dashmap::DashMap;
use model::quota::{self, Quota, Taken};
use model::{ApiError, Key, Stored};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

/// The resource of quotas.
pub const QUOTAS: (&str, &str) = ("", "resourcequotas");
/// How often everything is counted anew.
const SWEEP: Duration = Duration::from_secs(300);

/// The quotas of all namespaces. Clones are the same.
#[derive(Clone)]
pub(crate) struct Quotas {
    pub(super) store: Store,
    pub(super) queues: Arc<DashMap<Arc<str>, Arc<Queue>>>,
}

impl Quotas {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, queues: Arc::default() }
    }

    /// Does a write, with what quotas have to say of it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn commit(&self, counted: Counted) -> Result<Arc<Stored>, Refusal> {
        if !self.concern(&counted) {
            let Counted { write, old, .. } = counted;
            // what was parsed of it isn't needed while the log is waited for
            drop(old);
            return self.store.commit(write).await.map_err(Refusal::Commit);
        }
        if !self.store.are_together(&counted.write.key, &Key::new(QUOTAS.0, QUOTAS.1, "", "")) {
            return self.commit_apart(counted).await;
        }
        let (reply, told) = oneshot::channel();
        let namespace = counted.write.key.namespace.clone();
        self.push(namespace, Waiting::Write(Box::new(counted), reply));
        let lost = || Refusal::Commit(CommitError::Unknown("who counts for the quotas of the namespace has stopped".to_owned()));
        told.await.unwrap_or_else(|_| Err(lost()))
    }

    /// A write of another stream, such as that of Leases, can be in no group with quotas: they count it afterwards.
    async fn commit_apart(&self, counted: Counted) -> Result<Arc<Stored>, Refusal> {
        self.check(&counted)?;
        let namespace = counted.write.key.namespace.clone();
        let done = self.store.commit(counted.write).await;
        self.count(&namespace);
        done.map_err(Refusal::Commit)
    }

    /// What a write of `key` would leave, if it can be done now as far as quotas have a say in it.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn try_out(&self, key: &Key, counted: Counted) -> Result<Arc<Stored>, ApiError> {
        self.check(&counted).map_err(|refusal| refusal.to_api(key, false))?;
        let (StoreOp::Put(object) | StoreOp::Delete(object)) = counted.write.op;
        Ok(Arc::new(Stored::from_object(key.clone(), object)?))
    }

    fn check(&self, counted: &Counted) -> Result<(), Refusal> {
        if !self.concern(counted) {
            return Ok(());
        }
        let mut limits = self.limits(&counted.write.key.namespace, false);
        limits.take(&counted.asked()).map(|_| ()).map_err(Refusal::Forbidden)
    }

    /// Counts anew what the quotas of a namespace say is used, some time soon.
    pub(crate) fn count(&self, namespace: &Arc<str>) {
        self.push(namespace.clone(), Waiting::Count);
    }

    /// Counts in each namespace that has quotas, now and then, for ever.
    pub(crate) async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let quotas = self.store.list(QUOTAS.0, QUOTAS.1, "").items;
            let namespaces: BTreeSet<&Arc<str>> = quotas.iter().map(|stored| &stored.key.namespace).collect();
            namespaces.into_iter().for_each(|namespace| self.count(namespace));
        }
    }

    /// Whether a quota of its namespace has something to say of a write.
    fn concern(&self, counted: &Counted) -> bool {
        let key = &counted.write.key;
        if key.namespace.is_empty() || !quota::counts(&key.group, &key.resource) {
            return false;
        }
        let quotas = self.store.list(QUOTAS.0, QUOTAS.1, &key.namespace).items;
        if quotas.is_empty() {
            return false;
        }
        let mut quotas = quotas.iter().map(|stored| Quota::of(stored.object())).filter(|quota| quota.concerns(&key.group, &key.resource)).peekable();
        if quotas.peek().is_none() {
            return false;
        }
        let asked = counted.asked();
        if asked.old.is_none() || asked.new.is_none() {
            // what is new or goes is judged once, in its turn
            return true;
        }
        let (old, new) = asked.taken();
        quotas.any(|quota| !quota.change(old.as_ref(), new.as_ref()).0.is_empty())
    }

    /// The quotas of a namespace as they are, counted where they aren't, or where `anew` says so.
    pub(super) fn limits(&self, namespace: &str, anew: bool) -> Limits {
        let stored = self.store.list(QUOTAS.0, QUOTAS.1, namespace).items;
        let counted = |stored: &Arc<Stored>| {
            let mut quota = Quota::of(stored.object());
            if anew || !quota.is_counted() {
                self.count_in(namespace, &mut quota);
            }
            (stored.clone(), quota)
        };
        Limits::new(stored.iter().map(counted))
    }

    fn count_in(&self, namespace: &str, quota: &mut Quota) {
        let all: Vec<Arc<Stored>> = quota.concerned().into_iter().flat_map(|(group, resource)| self.store.list(group, resource, namespace).items).collect();
        quota.count(all.iter().map(|stored| Taken::by(&stored.key.group, &stored.key.resource, stored.object())));
    }
}
