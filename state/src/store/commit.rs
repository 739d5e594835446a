//! The committer of one stream. It sends concurrent writes in few publishes.
//!
//! While few writes wait, it publishes them one at a time, which is quickest for a lone writer. Writes that arrive while publishes are in progress are
//! collected and published as one atomic batch, which costs the server one sync. Meanwhile only the first of the writes that arrive next is published alone.
//! Of each key only one write is in progress: the next one waits for its outcome, which decides whether the next can still succeed.
use super::barrier::Barrier;
use super::error::CommitError;
use super::log::Log;
use super::server::{LastMessage, StreamServer};
use super::stats::Counters;
use super::table::Last;
use super::wire::{self, MAX_BATCH, Message, PublishReply, Publisher};
use bus::Backoff;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use model::Key;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The committer takes no more than so many writes out of its queue.
const TAKEN_MAX: usize = 4 * MAX_BATCH;
/// A batch holds no more than so many bytes of payload.
const BATCH_BYTES: usize = 8 << 20;
/// How often a write whose batch was refused goes into another one, before it goes alone.
const BATCH_ATTEMPTS: u32 = 3;
/// So many questions about lost acknowledgements at once.
const QUESTIONS: usize = 32;
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// JetStream's codes for batches that were refused for what else is going on, not for what is in them.
const INCOMPLETE_BATCH: u64 = 10_176;
const TOO_MANY_BATCHES: u64 = 10_210;
/// JetStream's code for a store that has reached its limit.
const NO_SPACE: u64 = 10_023;

/// When writes leave one by one, when together, and how many publishes may be on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// So many waiting writes make a batch, and fewer leave one by one.
    batch_from: usize,
    /// So many single messages may be on their way.
    singles: usize,
    /// So many batches may be on their way.
    batches: usize,
    /// Whether single messages and batches may be on their way at the same time.
    mixed: bool,
}

impl Policy {
    /// A stream with one replica handles one publish after the other: writes rather gather behind a batch than follow it in pieces. Gathering a batch
    /// costs the server as much as three or four single messages (`docs/adr/0002-group-commit.md`).
    pub(crate) const ALONE: Self = Self { batch_from: 4, singles: 4, batches: 1, mixed: false };
    /// Replicas stage in memory, and what is under way overlaps.
    pub(crate) const REPLICATED: Self = Self { batch_from: 16, singles: 16, batches: 4, mixed: true };
    /// A stream without atomic batches.
    pub(crate) const SINGLES: Self = Self { batch_from: usize::MAX, singles: 64, batches: 0, mixed: true };
}

/// A write in the committer's hands.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    /// Which object.
    pub(crate) key: Key,
    /// What to publish.
    pub(crate) message: Message,
    /// Until when it is worth trying; who asked for it has gone then.
    until: Instant,
    attempts: u32,
    /// It may have been stored by an earlier attempt whose acknowledgement was lost.
    doubtful: bool,
}

impl PendingWrite {
    pub(crate) fn new(key: Key, message: Message, until: Instant) -> Self {
        Self { key, message, until, attempts: 0, doubtful: false }
    }

    /// What its time being up means, if it is.
    fn overdue(&self, now: Instant) -> Option<Outcome> {
        const WHY: &str = "NATS doesn't acknowledge writes; look at its log, and whether its disk is full";
        let outcome = if self.doubtful { Outcome::Unknown } else { Outcome::Failed };
        (now >= self.until).then(|| outcome(WHY.to_owned()))
    }

    fn alone(&self) -> bool {
        self.doubtful || self.attempts >= BATCH_ATTEMPTS
    }
}

/// What became of a write's attempt.
#[derive(Debug)]
enum Outcome {
    /// It is in the log.
    Stored(u64),
    /// The tail has seen it in the log and has answered it.
    Answered,
    /// Its expectation doesn't hold.
    Stale,
    /// It is not in the log now; the same again.
    Again,
    /// It is not in the log.
    Failed(String),
    /// It is not known whether it is in the log.
    Unknown(String),
}

/// A publish that has come to its end.
struct FinishedPublish {
    batch: bool,
    outcomes: Vec<(PendingWrite, Outcome)>,
}

type Outcomes = Vec<(PendingWrite, Outcome)>;

/// What publishes share.
#[derive(Clone)]
pub(crate) struct PublishContext {
    pub(crate) log: Arc<Log>,
    pub(crate) publisher: Publisher,
    pub(crate) server: Arc<dyn StreamServer>,
    pub(crate) barrier: Barrier,
    pub(crate) counters: Arc<Counters>,
}

impl PublishContext {
    async fn single(self, mut write: PendingWrite) -> FinishedPublish {
        self.counters.singles.add(1);
        write.attempts += 1;
        let outcome = match self.publisher.one(&write.message).await {
            PublishReply::Stored(sequence) => Outcome::Stored(sequence),
            PublishReply::WrongSequence if write.doubtful => self.resolve(&write, "a conflict after a lost acknowledgement".to_owned()).await,
            PublishReply::WrongSequence => Outcome::Stale,
            PublishReply::Refused { why, .. } if write.doubtful => Outcome::Unknown(why),
            PublishReply::Refused { code, why } => refused(code, why),
            PublishReply::NoReply(why) => self.resolve(&write, why).await,
        };
        write.doubtful |= matches!(outcome, Outcome::Again);
        FinishedPublish { batch: false, outcomes: vec![(write, outcome)] }
    }

    async fn batch(self, writes: Vec<PendingWrite>) -> FinishedPublish {
        FinishedPublish { batch: true, outcomes: self.batch_outcomes(writes).await }
    }

    async fn batch_outcomes(self, mut writes: Vec<PendingWrite>) -> Outcomes {
        self.counters.batches.add(1);
        self.counters.batched.add(writes.len() as u64);
        writes.iter_mut().for_each(|t| t.attempts += 1);
        let messages: Vec<Message> = writes.iter().map(|t| t.message.clone()).collect();
        match self.publisher.batch(&messages).await {
            PublishReply::Stored(last) => {
                let first = last + 1 - writes.len() as u64;
                writes.into_iter().zip(first..).map(|(t, sequence)| (t, Outcome::Stored(sequence))).collect()
            }
            PublishReply::WrongSequence => self.split_batch(writes).await,
            PublishReply::Refused { code: INCOMPLETE_BATCH | TOO_MANY_BATCHES, why } => {
                tracing::debug!(why, "a batch was refused, its writes go again");
                tokio::time::sleep(BACKOFF_MIN).await;
                writes.into_iter().map(|t| (t, Outcome::Again)).collect()
            }
            PublishReply::Refused { code, why } => writes.into_iter().map(|t| (t, refused(code, why.clone()))).collect(),
            PublishReply::NoReply(why) => self.resolve_all(writes, why).await,
        }
    }

    /// One of a batch expects a wrong sequence: once the tables have reached the log's end they tell which.
    async fn split_batch(&self, writes: Vec<PendingWrite>) -> Outcomes {
        self.counters.split.add(1);
        if let Err(error) = self.barrier.wait().await {
            return writes.into_iter().map(|t| (t, Outcome::Failed(error.to_string()))).collect();
        }
        let lasts: Vec<Last> = writes.iter().map(|t| self.log.last(&t.key)).collect();
        let found = writes.iter().zip(&lasts).any(|(t, last)| last.sequence() != t.message.base);
        let judge = |(mut write, last): (PendingWrite, Last)| {
            if last.sequence() != write.message.base {
                return (write, Outcome::Stale);
            }
            // A marker that the tables remember may have left the log since; and when none is to blame, each is asked alone.
            if !found || matches!(last, Last::Marker(_)) {
                write.attempts = BATCH_ATTEMPTS;
            }
            (write, Outcome::Again)
        };
        writes.into_iter().zip(lasts).map(judge).collect()
    }

    async fn resolve_all(&self, writes: Vec<PendingWrite>, why: String) -> Outcomes {
        let one = |mut write: PendingWrite| {
            let why = why.clone();
            async move {
                let outcome = self.resolve(&write, why).await;
                write.doubtful = true;
                (write, outcome)
            }
        };
        futures::stream::iter(writes.into_iter().map(one)).buffered(QUESTIONS).collect().await
    }

    /// Finds out whether a write whose acknowledgement was lost is in the log, by asking the stream's leader for the subject's last message.
    /// That it may still arrive doesn't matter: its expectation lets it, or its repetition, in only once.
    async fn resolve(&self, write: &PendingWrite, why: String) -> Outcome {
        self.counters.resolved.add(1);
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            if !self.log.is_open(write.message.id) {
                return Outcome::Answered;
            }
            match self.server.last(&write.message.subject).await {
                Ok(last) => return self.compare(write, last, why).await,
                Err(error) if Instant::now() >= write.until => return Outcome::Unknown(format!("{why}; {error}")),
                Err(_) => tokio::time::sleep(backoff.pause()).await,
            }
        }
    }

    async fn compare(&self, write: &PendingWrite, last: Option<LastMessage>, why: String) -> Outcome {
        let message = &write.message;
        let Some(last) = last else {
            return if message.base == 0 { Outcome::Again } else { Outcome::Stale };
        };
        if wire::own_id(&last.headers, &self.log.session) == Some(message.id) {
            return Outcome::Stored(last.sequence);
        }
        if last.sequence == message.base {
            return Outcome::Again;
        }
        if wire::base(&last.headers) == Some(message.base) {
            return Outcome::Stale;
        }
        // Somebody wrote more than once meanwhile, perhaps on top of this write: only the tail may have seen it.
        match self.barrier.wait().await {
            Ok(()) if !self.log.is_open(message.id) => Outcome::Answered,
            _ => Outcome::Unknown(why),
        }
    }
}

fn refused(code: u64, why: String) -> Outcome {
    tracing::debug!(code, why, "the log refused a write");
    match code {
        NO_SPACE => {
            Outcome::Failed("NATS has reached its storage limit: give it space (max_file_store in its jetstream section), and start it again".to_owned())
        }
        _ => Outcome::Failed(why),
    }
}

/// The committer's loop.
pub(crate) struct Committer {
    context: PublishContext,
    policy: Policy,
    inbox: mpsc::Receiver<PendingWrite>,
    /// Ready to go; each of another key.
    ready: VecDeque<PendingWrite>,
    /// Keys that are ready or on their way, and who waits behind them.
    busy: HashMap<Key, VecDeque<PendingWrite>>,
    in_flight: FuturesUnordered<BoxFuture<'static, FinishedPublish>>,
    /// Single messages on their way.
    singles: usize,
    /// What came back last was a batch.
    after_batch: bool,
    /// Batches on their way.
    batches: usize,
    /// Tickets taken and not done with.
    taken: usize,
}

impl Committer {
    pub(crate) fn new(context: PublishContext, policy: Policy, inbox: mpsc::Receiver<PendingWrite>) -> Self {
        let (ready, busy, flights) = (VecDeque::new(), HashMap::new(), FuturesUnordered::new());
        Self { context, policy, inbox, ready, busy, in_flight: flights, singles: 0, after_batch: false, batches: 0, taken: 0 }
    }

    /// Runs until cancelled or until nobody can send any more.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(finished) = self.in_flight.next() => {
                    self.finished(finished);
                    // Those who were answered may have more to write: let them, so that it leaves together with what has gathered.
                    tokio::task::yield_now().await;
                }
                write = self.inbox.recv(), if self.taken < TAKEN_MAX => match write {
                    Some(write) => self.take(write),
                    None => return,
                },
            }
            while self.taken < TAKEN_MAX {
                let Ok(write) = self.inbox.try_recv() else { break };
                self.take(write);
            }
            self.dispatch();
        }
    }

    fn take(&mut self, write: PendingWrite) {
        self.taken += 1;
        match self.busy.get_mut(&write.key) {
            Some(behind) => behind.push_back(write),
            None => {
                self.busy.insert(write.key.clone(), VecDeque::new());
                self.ready.push_back(write);
            }
        }
    }

    fn dispatch(&mut self) {
        self.drop_overdue();
        while let Some(first) = self.ready.front() {
            let policy = self.policy;
            let single = first.alone() || self.ready.len() < policy.batch_from;
            // after a batch many write: while the first of what comes next goes alone, the rest gathers
            let singles = if self.after_batch && !policy.mixed { 1 } else { policy.singles };
            let (own, limit, other) = if single { (self.singles, singles, self.batches) } else { (self.batches, policy.batches, self.singles) };
            if own >= limit || (other > 0 && !policy.mixed) {
                return;
            }
            let Some(first) = self.ready.pop_front() else { return };
            let context = self.context.clone();
            if single {
                self.singles += 1;
                self.in_flight.push(Box::pin(context.single(first)));
            } else {
                self.batches += 1;
                let batch = self.gather(first);
                self.in_flight.push(Box::pin(context.batch(batch)));
            }
        }
    }

    /// While nothing is acknowledged, those who wait longest are told.
    fn drop_overdue(&mut self) {
        let now = Instant::now();
        while let Some(outcome) = self.ready.front().and_then(|t| t.overdue(now)) {
            let Some(write) = self.ready.pop_front() else { return };
            self.attempt_ended(write, outcome);
        }
    }

    fn gather(&mut self, first: PendingWrite) -> Vec<PendingWrite> {
        let mut bytes = first.message.payload.len();
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH && self.ready.front().is_some_and(|t| !t.alone() && bytes + t.message.payload.len() <= BATCH_BYTES) {
            let Some(write) = self.ready.pop_front() else { break };
            bytes += write.message.payload.len();
            batch.push(write);
        }
        batch
    }

    fn finished(&mut self, finished: FinishedPublish) {
        self.after_batch = finished.batch;
        *(if finished.batch { &mut self.batches } else { &mut self.singles }) -= 1;
        let stored: Vec<(u64, u64)> =
            finished.outcomes.iter().filter_map(|(t, o)| if let Outcome::Stored(n) = o { Some((t.message.id, *n)) } else { None }).collect();
        self.context.counters.stored.add(stored.len() as u64);
        self.context.log.acknowledged(&stored);
        for (write, outcome) in finished.outcomes {
            let overdue = if matches!(outcome, Outcome::Again) { write.overdue(Instant::now()) } else { None };
            self.attempt_ended(write, overdue.unwrap_or(outcome));
        }
    }

    /// An attempt is over, and with it the write unless it goes again.
    fn attempt_ended(&mut self, write: PendingWrite, outcome: Outcome) {
        let id = write.message.id;
        match outcome {
            Outcome::Again => {
                self.context.counters.again.add(1);
                return self.ready.push_back(write);
            }
            Outcome::Stored(_) => {}
            Outcome::Answered => self.context.counters.stored.add(1),
            Outcome::Stale => {
                self.context.counters.stale.add(1);
                self.context.log.stale(id);
            }
            Outcome::Failed(why) => self.context.log.failed(id, CommitError::Unavailable(why)),
            Outcome::Unknown(why) => self.context.log.failed(id, CommitError::Unknown(why)),
        }
        self.taken -= 1;
        self.release(&write.key);
    }

    /// The next write of the key may go.
    fn release(&mut self, key: &Key) {
        let next = self.busy.get_mut(key).and_then(VecDeque::pop_front);
        match next {
            Some(write) => self.ready.push_back(write),
            None => _ = self.busy.remove(key),
        }
    }
}
