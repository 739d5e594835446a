//! Leases: of several processes, only the holder of a lease does the work that belongs to it.
//!
//! A lease is the last message on its subject in a stream, and is taken and renewed by compare-and-swap. The clocks of different machines are never compared.
//! A process that waits takes the lease over when it has seen the same revision for the whole time to live. A holder gives up by its own clock, counted from
//! before its last renewal was sent. Each holding has a fencing token, a number that only grows. Whoever writes for a holder can have the token checked, so
//! that a holder that was replaced and hasn't noticed can do no harm.
mod lead;
mod record;
mod table;

use record::{Entry, Record};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use table::WriteError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

pub use record::TTL_MAX;
pub(crate) use table::{Memory, Remote, Table};

/// The pause after a failure to reach the table.
const PAUSE: Duration = Duration::from_millis(250);
/// When to look after a hint that the log doesn't show yet; each time twice as long, up to [`PAUSE`].
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long it stays when it isn't renewed (it is, at a third of this). At most [`TTL_MAX`].
    pub ttl: Duration,
    /// Take over at once from a holder of the same name: its predecessor, where no two processes can have the name.
    pub inherit: bool,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10), inherit: false }
    }
}

/// What a holder gives along with what it asks for, so that it is refused once it is deposed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    /// The lease.
    pub lease: String,
    /// The holder's token.
    pub token: u64,
    /// Which run of the holder. A server that lost its last moments may give a token twice, but never to the same run.
    pub run: String,
}

/// Why a token isn't good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has the lease, or nobody.
    #[error("the lease {name} is no longer held under token {token}")]
    Deposed {
        /// Which.
        name: String,
        /// The token that was checked.
        token: u64,
    },
    /// It isn't known now.
    #[error("leases can't be reached: {0}")]
    Unavailable(String),
}

/// What someone who wants the lease does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Write over this revision (0: nothing there).
    Claim(u64),
    /// Look again then, unless something changes before.
    Wait(Instant),
}

/// The revision that was seen, and since when.
type Seen = Option<(u64, Instant)>;

/// Decides from what stands there and what was seen before. Pure.
fn decide(entry: Option<&Entry>, heir_of: Option<&str>, seen: &mut Seen, now: Instant) -> Next {
    let Some(entry) = entry else { return Next::Claim(0) };
    if !entry.is_held() || heir_of == Some(&entry.record.holder) {
        return Next::Claim(entry.revision);
    }
    let since = match seen {
        Some((revision, since)) if *revision == entry.revision => *since,
        _ => seen.insert((entry.revision, now)).1,
    };
    let over = since + Duration::from_millis(entry.record.ttl_ms).min(TTL_MAX);
    if now >= over { Next::Claim(entry.revision) } else { Next::Wait(over) }
}

/// The leases of a cluster.
#[derive(Clone)]
pub struct Leases {
    table: Arc<Table>,
    holder: String,
}

/// A change was published. The server passes a message on before it has stored and synced it, so that a look at once may show what was before.
struct Hint {
    /// The revision before the change.
    known: u64,
    /// When to look again.
    pause: Duration,
}

impl Hint {
    /// What remains of it after a look that showed `revision`. A change that doesn't show up was refused.
    fn unseen(self, revision: u64) -> Option<Self> {
        (self.known == revision && self.pause <= PAUSE).then(|| Self { pause: self.pause * 2, ..self })
    }
}

impl Leases {
    /// The leases of this table, taken by `holder`.
    pub(crate) fn new(table: Table, holder: String) -> Self {
        Self { table: Arc::new(table), holder }
    }

    /// The same leases, taken under this name instead of the caller's.
    #[must_use]
    pub fn held_by(self, holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), ..self }
    }

    /// Waits until it holds the lease, however long that takes. Dropping the future gives up.
    pub async fn acquire(&self, name: &str, options: LeaseOptions) -> Lease {
        let options = LeaseOptions { ttl: options.ttl.clamp(Duration::from_millis(10), TTL_MAX), ..options };
        let (mut seen, mut changes, mut revision, mut hint) = (None, None, 0, None::<Hint>);
        loop {
            if changes.is_none() {
                changes = self.table.changes(name).await;
            }
            let next = match self.table.read(name).await {
                Ok(entry) => {
                    revision = entry.as_ref().map_or(0, |e| e.revision);
                    decide(entry.as_ref(), options.inherit.then_some(&self.holder), &mut seen, Instant::now())
                }
                Err(error) => {
                    tracing::warn!(name, %error, "can't read the lease");
                    Next::Wait(Instant::now() + PAUSE)
                }
            };
            let until = match next {
                Next::Wait(until) => until,
                Next::Claim(expect) => match self.claim(name, expect, options.ttl).await {
                    Ok(lease) => return lease,
                    Err(WriteError::Conflict) => continue,
                    Err(WriteError::Unavailable(error)) => {
                        tracing::warn!(name, %error, "can't take the lease");
                        Instant::now() + PAUSE
                    }
                },
            };
            hint = hint.and_then(|hint| hint.unseen(revision));
            let until = hint.as_ref().map_or(until, |hint| until.min(Instant::now() + hint.pause));
            tokio::select! {
                () = sleep_until(until) => {}
                () = table::changed(&mut changes) => hint = Some(Hint { known: revision, pause: LOOK_AGAIN }),
            }
        }
    }

    async fn claim(&self, name: &str, expect: u64, ttl: Duration) -> Result<Lease, WriteError> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut record = Record { holder: self.holder.clone(), run: uuid::Uuid::new_v4().simple().to_string(), token: 0, ttl_ms };
        let began = Instant::now();
        let token = self.table.write(name, &record, expect).await?;
        record.token = token;
        tracing::info!(name, token, "took the lease");
        let fence = FencingToken { lease: name.to_owned(), token, run: record.run.clone() };
        let (lost, release) = (CancellationToken::new(), CancellationToken::new());
        let holding = Holding { table: self.table.clone(), name: name.to_owned(), record, revision: token, ttl };
        let keeper = tokio::spawn(holding.keep(began + ttl, lost.clone(), release.clone()));
        Ok(Lease { fence, lost, release, keeper: Some(keeper) })
    }

    /// Whether the lease is still held so: what its holder asks for may then be done.
    ///
    /// # Errors
    /// [`LeaseError::Deposed`] when it isn't; [`LeaseError::Unavailable`] when that can't be known now.
    pub async fn check(&self, fence: &FencingToken) -> Result<(), LeaseError> {
        let deposed = || LeaseError::Deposed { name: fence.lease.clone(), token: fence.token };
        self.current(&fence.lease).await?.filter(|current| current == fence).map(drop).ok_or_else(deposed)
    }

    /// What proves now that the lease is held; `None` when nobody holds it.
    ///
    /// # Errors
    /// [`LeaseError::Unavailable`] when that can't be known now.
    pub async fn current(&self, name: &str) -> Result<Option<FencingToken>, LeaseError> {
        let entry = self.table.read(name).await.map_err(LeaseError::Unavailable)?;
        Ok(entry.filter(Entry::is_held).map(|e| FencingToken { lease: name.to_owned(), token: e.token(), run: e.record.run }))
    }

    /// Who holds the lease, and under which token.
    ///
    /// # Errors
    /// [`LeaseError::Unavailable`] when that can't be known now.
    pub async fn holder(&self, name: &str) -> Result<Option<(String, u64)>, LeaseError> {
        let entry = self.table.read(name).await.map_err(LeaseError::Unavailable)?;
        Ok(entry.filter(Entry::is_held).map(|e| (e.record.holder.clone(), e.token())))
    }
}

/// A lease that is held, as far as is known. Dropping it releases it.
pub struct Lease {
    fence: FencingToken,
    lost: CancellationToken,
    release: CancellationToken,
    keeper: Option<JoinHandle<()>>,
}

impl Lease {
    /// The fencing token: greater than that of all holders before.
    pub fn token(&self) -> u64 {
        self.fence.token
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.fence.lease
    }
    /// What proves that it is held.
    pub fn fence(&self) -> &FencingToken {
        &self.fence
    }
    /// Completes when it is lost: somebody took it, or it could not be renewed in time. Stop acting then.
    pub fn lost(&self) -> WaitForCancellationFuture<'_> {
        self.lost.cancelled()
    }
    /// Whether it is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
    /// Gives it back, so that the next one needn't wait.
    pub async fn release(mut self) {
        self.release.cancel();
        if let Some(keeper) = self.keeper.take()
            && let Err(error) = keeper.await
        {
            tracing::error!(%error, "the keeper of a lease failed");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release.cancel();
    }
}

/// What a holder keeps alive.
struct Holding {
    table: Arc<Table>,
    name: String,
    record: Record,
    revision: u64,
    ttl: Duration,
}

impl Holding {
    async fn keep(mut self, mut good_until: Instant, lost: CancellationToken, release: CancellationToken) {
        loop {
            tokio::select! {
                () = release.cancelled() => return self.give_back().await,
                () = sleep(self.ttl / 3) => {}
            }
            match timeout_at(good_until, self.renew()).await {
                Ok(Some(sent)) => good_until = sent + self.ttl,
                Ok(None) => break tracing::warn!(name = self.name, token = self.record.token, "somebody took the lease"),
                Err(_) => break tracing::warn!(name = self.name, token = self.record.token, "the lease ran out"),
            }
        }
        lost.cancel();
    }

    /// When the renewal that succeeded was sent; `None` when it is somebody else's by now.
    async fn renew(&mut self) -> Option<Instant> {
        loop {
            let sent = Instant::now();
            match self.table.write(&self.name, &self.record, self.revision).await {
                Ok(revision) => {
                    self.revision = revision;
                    return Some(sent);
                }
                Err(WriteError::Conflict) => self.revision = self.adopt().await?,
                Err(WriteError::Unavailable(_)) => sleep(PAUSE.min(self.ttl / 10)).await,
            }
        }
    }

    /// After a conflict: the revision, where a renewal of ours got there though its answer didn't come; 0 where nothing is there any more, since a
    /// server that was killed may forget its last moments. Whoever came between would have left a trace.
    async fn adopt(&self) -> Option<u64> {
        loop {
            match self.table.read(&self.name).await {
                Ok(None) => return Some(0),
                Ok(entry) => return entry.filter(|e| e.record.run == self.record.run).map(|e| e.revision),
                Err(_) => sleep(PAUSE.min(self.ttl / 10)).await,
            }
        }
    }

    async fn give_back(self) {
        let released = Record { holder: String::new(), ..self.record };
        if self.table.write(&self.name, &released, self.revision).await.is_err() {
            tracing::debug!(name = self.name, "not given back; it will run out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Caller, Role};
    use crate::bus::Bus;

    fn entry(revision: u64, holder: &str) -> Entry {
        Entry { revision, record: Record { holder: holder.to_owned(), run: String::new(), token: 3, ttl_ms: 1000 } }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_claimed_when_it_is_free_or_was_silent_for_its_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut seen = None;
        assert_eq!(decide(None, None, &mut seen, now), Next::Claim(0));
        assert_eq!(decide(Some(&entry(4, "")), None, &mut seen, now), Next::Claim(4));
        assert_eq!(decide(Some(&entry(4, "me")), Some("me"), &mut seen, now), Next::Claim(4));
        assert_eq!(decide(Some(&entry(4, "a")), Some("me"), &mut seen, now), Next::Wait(now + second));
        assert_eq!(decide(Some(&entry(4, "a")), None, &mut seen, now + second / 2), Next::Wait(now + second));
        assert_eq!(decide(Some(&entry(5, "a")), None, &mut seen, now + second), Next::Wait(now + 2 * second), "it was renewed");
        assert_eq!(decide(Some(&entry(5, "a")), None, &mut seen, now + 2 * second), Next::Claim(5));
    }

    fn leases() -> (Leases, Leases) {
        let bus = Bus::local("c", Caller::new(Role::Scheduler, "a"));
        (bus.leases(1), bus.speaking_as(Caller::new(Role::Scheduler, "b")).leases(1))
    }

    #[tokio::test(start_paused = true)]
    async fn one_holds_it_and_the_next_gets_it_when_it_is_released() {
        let (a, b) = leases();
        let first = a.acquire("s", LeaseOptions::default()).await;
        let waiting = tokio::spawn(async move { (b.acquire("s", LeaseOptions::default()).await, Instant::now()) });
        sleep(Duration::from_secs(100)).await;
        assert!(!waiting.is_finished() && !first.is_lost());
        assert_eq!(a.holder("s").await, Ok(Some(("scheduler/a".to_owned(), first.token()))));
        a.check(first.fence()).await.unwrap();
        let (token, stale) = (first.token(), first.fence().clone());
        let released = Instant::now();
        first.release().await;
        let (second, when) = waiting.await.unwrap();
        assert_eq!(when, released);
        assert!(second.token() > token);
        assert_eq!(a.check(&stale).await, Err(LeaseError::Deposed { name: "s".to_owned(), token }));
        drop(second);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(a.holder("s").await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_stops_renewing_is_succeeded_after_the_time_to_live() {
        let (a, b) = leases();
        let first = a.acquire("s", LeaseOptions::default()).await;
        first.keeper.as_ref().unwrap().abort();
        let began = Instant::now();
        let second = b.acquire("s", LeaseOptions::default()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        assert!(a.check(first.fence()).await.is_err());
        b.check(second.fence()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_heir_takes_over_at_once_and_the_deposed_notices() {
        let (a, _) = leases();
        let first = a.acquire("s", LeaseOptions::default()).await;
        let second = a.acquire("s", LeaseOptions { inherit: true, ..LeaseOptions::default() }).await;
        first.lost().await;
        assert!(a.check(first.fence()).await.is_err());
        drop(first);
        sleep(Duration::from_secs(30)).await;
        assert!(!second.is_lost());
        a.check(second.fence()).await.unwrap();
    }
}
