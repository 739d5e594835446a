//! Makes the addresses and node ports of Services unique over all `state` processes: each one in use has an entry of its own in the log, its claim.
//!
//! A claim is created before its Service is written, and only one process can create it. It is deleted after the Service no longer uses it. A process that
//! finds an address claimed chooses another one. Claims that a process left when it died are taken back by the next process on the same data. Otherwise a
//! sweep deletes a claim whose Service was missing in two sweeps in a row.
use crate::admission::service::{CLAIMS, Claim, claims};
use crate::pipeline::Pipeline;
use crate::store::{CommitError, StoreOp, Write};
use futures::future::join_all;
use model::{ApiError, Key, Object, Stored};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often claims without a Service are looked for. One goes when it is found twice: no write takes so long.
const SWEEP: Duration = Duration::from_secs(300);

/// Whether claims are made for a write of this key.
pub(crate) fn concerns(key: &Key) -> bool {
    key.group.is_empty() && &*key.resource == "services"
}

fn key(claim: &Claim) -> Key {
    Key::new(CLAIMS.0, CLAIMS.1, "", claim.to_string())
}

fn owner(claim: &Stored) -> &str {
    claim.object().str_at(&["owner", "uid"])
}

/// Claims that were made for a write that isn't done yet.
#[derive(Debug, Default)]
pub(crate) struct Made(Vec<(Key, u64, Object)>);

/// Claims that end with a write.
#[derive(Default)]
pub(crate) struct GivenUp {
    owner: String,
    claims: BTreeSet<Claim>,
}

/// What `old` has claimed, and no longer has after `op`.
pub(crate) fn given_up(old: &Stored, op: &StoreOp) -> GivenUp {
    if !concerns(&old.key) {
        return GivenUp::default();
    }
    let keeps = match op {
        StoreOp::Put(new) => claims(new),
        StoreOp::Delete(_) => BTreeSet::new(),
    };
    GivenUp { owner: old.uid(), claims: claims(old.object()).difference(&keeps).cloned().collect() }
}

impl Pipeline {
    /// Claims what `new` has and `old` hadn't. `None`: somebody else was quicker, and the cache shows it.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) async fn claim(&self, at: &Key, new: &Object, old: Option<&Object>) -> Result<Option<Made>, ApiError> {
        if !concerns(at) {
            return Ok(Some(Made::default()));
        }
        let had = old.map(claims).unwrap_or_default();
        let wanted: Vec<Claim> = claims(new).difference(&had).cloned().collect();
        let outcomes = join_all(wanted.iter().map(|claim| self.claim_one(claim, new))).await;
        let (mut made, mut taken, mut failed) = (Made::default(), false, None);
        for outcome in outcomes {
            match outcome {
                Ok(Some(one)) => made.0.push(one),
                Ok(None) => taken = true,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if !taken && failed.is_none() {
            return Ok(Some(made));
        }
        self.unclaim(made).await;
        failed.map_or(Ok(None), Err)
    }

    async fn claim_one(&self, claim: &Claim, service: &Object) -> Result<Option<(Key, u64, Object)>, ApiError> {
        let (key, body) = (key(claim), self.claimant().body(claim, service)?);
        match self.store().commit(Write { key: key.clone(), expect: 0, op: StoreOp::Put(body.clone()) }).await {
            Ok(stored) => Ok(Some((key, stored.revision, body))),
            Err(CommitError::Conflict) => Ok(None),
            Err(other) => Err(other.to_api(&key, true)),
        }
    }

    /// Takes back the claims of a write that wasn't done.
    pub(crate) async fn unclaim(&self, made: Made) {
        let drops = made.0.into_iter().map(|(key, expect, body)| self.drop_claim(key, expect, body));
        join_all(drops).await;
    }

    /// Drops claims that their Service no longer needs.
    pub(crate) async fn let_go(&self, given_up: GivenUp) {
        let held = given_up.claims.iter().filter_map(|claim| self.store().get(&key(claim))).filter(|stored| owner(stored) == given_up.owner);
        let drops: Vec<_> = held.map(|stored| self.drop_claim(stored.key.clone(), stored.revision, stored.object().clone())).collect();
        join_all(drops).await;
    }

    /// Who can't is followed by the sweep.
    async fn drop_claim(&self, key: Key, expect: u64, body: Object) {
        if let Err(error) = self.store().commit(Write { key: key.clone(), expect, op: StoreOp::Delete(body) }).await {
            tracing::debug!(%key, %error, "a claim is left for the sweep");
        }
    }

    /// Sweeps now and then, for ever.
    pub(crate) async fn sweep_claims(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut suspects = HashMap::new();
        loop {
            ticks.tick().await;
            match self.sweep(&suspects).await {
                Ok(found) => suspects = found,
                Err(error) => tracing::debug!(%error, "claims were not swept"),
            }
        }
    }

    /// Takes back what former runs of this process left claimed without a Service.
    ///
    /// # Errors
    /// When the log can't be asked.
    pub(crate) async fn take_back_claims(&self) -> Result<(), ApiError> {
        for orphan in self.orphans().await?.iter().filter(|claim| self.claimant().is_heir(claim)) {
            self.drop_claim(orphan.key.clone(), orphan.revision, orphan.object().clone()).await;
        }
        Ok(())
    }

    /// Claims without a Service.
    async fn orphans(&self) -> Result<Vec<Arc<Stored>>, ApiError> {
        self.store().barrier("", "services").await?;
        let services = self.store().list("", "services", "").items;
        let alive: HashSet<&str> = services.iter().map(|s| s.object().uid()).collect();
        let claims = self.store().list(CLAIMS.0, CLAIMS.1, "").items;
        Ok(claims.into_iter().filter(|claim| !alive.contains(owner(claim))).collect())
    }

    /// Drops those of `suspects` that are still without a Service; gives the present ones.
    async fn sweep(&self, suspects: &HashMap<Key, u64>) -> Result<HashMap<Key, u64>, ApiError> {
        let mut found = HashMap::new();
        for orphan in self.orphans().await? {
            if suspects.get(&orphan.key) == Some(&orphan.revision) {
                self.drop_claim(orphan.key.clone(), orphan.revision, orphan.object().clone()).await;
            } else {
                found.insert(orphan.key.clone(), orphan.revision);
            }
        }
        Ok(found)
    }
}
