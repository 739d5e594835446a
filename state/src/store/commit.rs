//! The committer of one stream. It sends concurrent writes in few publishes.
//!
//! While few writes wait, it publishes them one at a time, which is quickest for a lone writer. Writes that arrive while publishes are in progress are
//! collected and published as one atomic batch, which costs the server one sync. Meanwhile only the first of the writes that arrive next is published alone.
//! Of each key only one write is in progress: the next one waits for its outcome, which decides whether the next can still succeed.
//!
//! Some writes belong together, such as an object and the quota that counts it: they are a group, which leaves in one batch whole, and is refused whole. Most
//! groups are of one write.
use super::barrier::Barrier;
use super::error::CommitError;
use super::log::Log;
use super::server::{LastMessage, StreamServer};
use super::stats::Counters;
use super::table::Last;
use super::wire::{self, BATCH_BYTES, MAX_BATCH, Message, PublishReply, Publisher};
use bus::Backoff;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use model::Key;
use smallvec::{SmallVec, smallvec};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The committer takes no more than so many writes out of its queue.
const TAKEN_MAX: usize = 4 * MAX_BATCH;
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
}

/// Writes that are done together or not at all, in their order; of different keys.
#[derive(Debug)]
pub(crate) struct PendingGroup {
    writes: Writes,
    /// Until when it is worth trying; who asked for it has gone then.
    until: Instant,
    attempts: u32,
    /// They may have been stored by an earlier attempt whose acknowledgement was lost.
    doubtful: bool,
}

/// The writes of a group: mostly one.
pub(crate) type Writes = SmallVec<[PendingWrite; 1]>;

impl PendingGroup {
    pub(crate) fn new(writes: Writes, until: Instant) -> Self {
        Self { writes, until, attempts: 0, doubtful: false }
    }

    /// What its time being up means, if it is.
    fn overdue(&self, now: Instant) -> Option<Outcome> {
        const WHY: &str = "NATS doesn't acknowledge writes; look at its log, and whether its disk is full";
        let outcome = if self.doubtful { Outcome::Unknown } else { Outcome::Failed };
        (now >= self.until).then(|| outcome(WHY.to_owned()))
    }

    /// Whether it leaves without others.
    fn alone(&self) -> bool {
        self.doubtful || self.attempts >= BATCH_ATTEMPTS
    }

    fn bytes(&self) -> usize {
        self.writes.iter().map(|write| write.message.payload.len()).sum()
    }

    /// The same writes by another name: those that have come to their end with it, and those that go on.
    fn split(mut self, outcomes: Vec<Outcome>) -> Outcomes {
        let (mut ended, mut left, mut worst) = (Outcomes::new(), Writes::new(), Outcome::Again);
        for (write, outcome) in std::mem::take(&mut self.writes).into_iter().zip(outcomes) {
            if matches!(outcome, Outcome::Stored(_) | Outcome::Answered) {
                ended.push((Self { writes: smallvec![write], ..self }, outcome));
            } else {
                left.push(write);
                worst = worst.and(outcome);
            }
        }
        if !left.is_empty() {
            ended.push((Self { writes: left, ..self }, worst));
        }
        ended
    }
}

/// What became of a group's attempt.
#[derive(Clone, Debug)]
enum Outcome {
    /// It is in the log: the sequence of its first write, which those of the others follow.
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

impl Outcome {
    /// What became of two writes of a group that are not in the log: they go again only where both may.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Again, other) => other,
            (unknown @ Self::Unknown(_), _) | (_, unknown @ Self::Unknown(_)) => unknown,
            (one, _) => one,
        }
    }
}

/// A publish that has come to its end.
struct FinishedPublish {
    batch: bool,
    outcomes: Outcomes,
}

type Outcomes = Vec<(PendingGroup, Outcome)>;

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
    /// Publishes the only write of a group.
    async fn single(self, mut group: PendingGroup) -> FinishedPublish {
        let Some(write) = group.writes.first() else { return FinishedPublish { batch: false, outcomes: Vec::new() } };
        self.counters.singles.add(1);
        group.attempts += 1;
        let outcome = match self.publisher.one(&write.message).await {
            PublishReply::Stored(sequence) => Outcome::Stored(sequence),
            PublishReply::WrongSequence if group.doubtful => self.resolve(write, group.until, "a conflict after a lost acknowledgement".to_owned()).await,
            PublishReply::WrongSequence => Outcome::Stale,
            PublishReply::Refused { why, .. } if group.doubtful => Outcome::Unknown(why),
            PublishReply::Refused { code, why } => refused(code, why),
            PublishReply::NoReply(why) => self.resolve(write, group.until, why).await,
        };
        group.doubtful |= matches!(outcome, Outcome::Again);
        FinishedPublish { batch: false, outcomes: vec![(group, outcome)] }
    }

    async fn batch(self, groups: Vec<PendingGroup>) -> FinishedPublish {
        FinishedPublish { batch: true, outcomes: self.batch_outcomes(groups).await }
    }

    async fn batch_outcomes(self, mut groups: Vec<PendingGroup>) -> Outcomes {
        let messages: Vec<Message> = groups.iter().flat_map(|group| &group.writes).map(|write| write.message.clone()).collect();
        self.counters.batches.add(1);
        self.counters.batched.add(messages.len() as u64);
        groups.iter_mut().for_each(|group| group.attempts += 1);
        let doubtful = groups.iter().any(|group| group.doubtful);
        match self.publisher.batch(&messages).await {
            PublishReply::Stored(last) => in_place(groups, last + 1 - messages.len() as u64),
            PublishReply::WrongSequence if doubtful => self.resolve_all(groups, "a conflict after a lost acknowledgement".to_owned()).await,
            PublishReply::WrongSequence => self.split_batch(groups).await,
            PublishReply::Refused { code: INCOMPLETE_BATCH | TOO_MANY_BATCHES, why } => {
                tracing::debug!(why, "a batch was refused, its writes go again");
                tokio::time::sleep(BACKOFF_MIN).await;
                groups.into_iter().map(|group| (group, Outcome::Again)).collect()
            }
            PublishReply::Refused { why, .. } if doubtful => groups.into_iter().map(|group| (group, Outcome::Unknown(why.clone()))).collect(),
            PublishReply::Refused { code, why } => groups.into_iter().map(|group| (group, refused(code, why.clone()))).collect(),
            PublishReply::NoReply(why) => self.resolve_all(groups, why).await,
        }
    }

    /// One of a batch expects a wrong sequence: once the tables have reached the log's end they tell which.
    async fn split_batch(&self, groups: Vec<PendingGroup>) -> Outcomes {
        self.counters.split.add(1);
        if let Err(error) = self.barrier.wait().await {
            return groups.into_iter().map(|group| (group, Outcome::Failed(error.to_string()))).collect();
        }
        let stale = |group: &PendingGroup| group.writes.iter().any(|write| self.log.last(&write.key).sequence() != write.message.base);
        let alone = groups.len() == 1;
        let found: Vec<bool> = groups.iter().map(stale).collect();
        let any = found.contains(&true);
        let judge = |(mut group, stale): (PendingGroup, bool)| {
            // where none is to blame, and it was the only one, the log knows of one that the tables don't
            if stale || (alone && !any) {
                return (group, Outcome::Stale);
            }
            // A marker that the tables remember may have left the log since; and when none is to blame, each is asked alone.
            if !any || group.writes.iter().any(|write| matches!(self.log.last(&write.key), Last::Marker(_))) {
                group.attempts = BATCH_ATTEMPTS;
            }
            (group, Outcome::Again)
        };
        groups.into_iter().zip(found).map(judge).collect()
    }

    async fn resolve_all(&self, groups: Vec<PendingGroup>, why: String) -> Outcomes {
        let one = |mut group: PendingGroup| {
            let why = why.clone();
            async move {
                let outcomes = self.resolve_group(&group, why).await;
                group.doubtful = true;
                group.split(outcomes)
            }
        };
        let ended: Vec<Outcomes> = futures::stream::iter(groups.into_iter().map(one)).buffered(QUESTIONS).collect().await;
        ended.into_iter().flatten().collect()
    }

    /// What became of each write of a group. A power failure may have left the first ones of them alone in the log.
    async fn resolve_group(&self, group: &PendingGroup, why: String) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(group.writes.len());
        for write in &group.writes {
            outcomes.push(self.resolve(write, group.until, why.clone()).await);
        }
        outcomes
    }

    /// Finds out whether a write whose acknowledgement was lost is in the log, by asking the stream's leader for the subject's last message.
    /// That it may still arrive doesn't matter: its expectation lets it, or its repetition, in only once.
    async fn resolve(&self, write: &PendingWrite, until: Instant, why: String) -> Outcome {
        self.counters.resolved.add(1);
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            if !self.log.is_open(write.message.id) {
                return Outcome::Answered;
            }
            match self.server.last(&write.message.subject).await {
                Ok(last) => return self.compare(write, last, why).await,
                Err(error) if Instant::now() >= until => return Outcome::Unknown(format!("{why}; {error}")),
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

/// All of a batch are in the log, from this sequence on.
fn in_place(groups: Vec<PendingGroup>, first: u64) -> Outcomes {
    let mut next = first;
    let mut place = |group: PendingGroup| {
        let at = next;
        next += group.writes.len() as u64;
        (group, Outcome::Stored(at))
    };
    groups.into_iter().map(&mut place).collect()
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

/// A group that waits until others are done with its keys.
struct Waiting {
    group: PendingGroup,
    /// So many of its keys are not its own yet.
    blocked: usize,
}

/// The committer's loop.
pub(crate) struct Committer {
    context: PublishContext,
    policy: Policy,
    inbox: mpsc::Receiver<PendingGroup>,
    /// Ready to go; each of other keys.
    ready: VecDeque<PendingGroup>,
    /// Keys that are ready, on their way or kept for who waits for others, and who waits behind them, by the number of his first write.
    busy: HashMap<Key, VecDeque<u64>>,
    waiting: HashMap<u64, Waiting>,
    in_flight: FuturesUnordered<BoxFuture<'static, FinishedPublish>>,
    /// Single messages on their way.
    singles: usize,
    /// What came back last was a batch.
    after_batch: bool,
    /// Batches on their way.
    batches: usize,
    /// Writes taken and not done with.
    taken: usize,
}

impl Committer {
    pub(crate) fn new(context: PublishContext, policy: Policy, inbox: mpsc::Receiver<PendingGroup>) -> Self {
        let (ready, busy, waiting, flights) = (VecDeque::new(), HashMap::new(), HashMap::new(), FuturesUnordered::new());
        Self { context, policy, inbox, ready, busy, waiting, in_flight: flights, singles: 0, after_batch: false, batches: 0, taken: 0 }
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
                group = self.inbox.recv(), if self.taken < TAKEN_MAX => match group {
                    Some(group) => self.take(group),
                    None => return,
                },
            }
            while self.taken < TAKEN_MAX {
                let Ok(group) = self.inbox.try_recv() else { break };
                self.take(group);
            }
            self.dispatch();
        }
    }

    fn take(&mut self, group: PendingGroup) {
        let Some(number) = group.writes.first().map(|write| write.message.id) else { return };
        self.taken += group.writes.len();
        let mut blocked = 0;
        for write in &group.writes {
            match self.busy.get_mut(&write.key) {
                Some(behind) => {
                    behind.push_back(number);
                    blocked += 1;
                }
                None => _ = self.busy.insert(write.key.clone(), VecDeque::new()),
            }
        }
        if blocked == 0 {
            self.ready.push_back(group);
        } else {
            self.waiting.insert(number, Waiting { group, blocked });
        }
    }

    fn dispatch(&mut self) {
        self.drop_overdue();
        while let Some(first) = self.ready.front() {
            let policy = self.policy;
            let single = first.writes.len() == 1 && (first.alone() || self.ready.len() < policy.batch_from);
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
            let Some(group) = self.ready.pop_front() else { return };
            self.attempt_ended(group, outcome);
        }
    }

    /// Who leaves in one batch with `first`.
    fn gather(&mut self, first: PendingGroup) -> Vec<PendingGroup> {
        let (mut bytes, mut writes) = (first.bytes(), first.writes.len());
        if first.alone() {
            return vec![first];
        }
        let mut batch = vec![first];
        while let Some(next) = self.ready.front() {
            (bytes, writes) = (bytes + next.bytes(), writes + next.writes.len());
            if next.alone() || writes > MAX_BATCH || bytes > BATCH_BYTES {
                break;
            }
            batch.extend(self.ready.pop_front());
        }
        batch
    }

    fn finished(&mut self, finished: FinishedPublish) {
        self.after_batch = finished.batch;
        *(if finished.batch { &mut self.batches } else { &mut self.singles }) -= 1;
        let stored: Vec<(u64, u64)> = finished.outcomes.iter().flat_map(|(group, outcome)| placed(group, outcome)).collect();
        self.context.counters.stored.add(stored.len() as u64);
        self.context.log.acknowledged(&stored);
        for (group, outcome) in finished.outcomes {
            let overdue = if matches!(outcome, Outcome::Again) { group.overdue(Instant::now()) } else { None };
            self.attempt_ended(group, overdue.unwrap_or(outcome));
        }
    }

    /// An attempt is over, and with it the group unless it goes again.
    fn attempt_ended(&mut self, group: PendingGroup, outcome: Outcome) {
        if matches!(outcome, Outcome::Again) {
            self.context.counters.again.add(1);
            return self.ready.push_back(group);
        }
        for write in group.writes {
            self.ended(&write, &outcome);
            self.release(&write.key);
        }
    }

    fn ended(&mut self, write: &PendingWrite, outcome: &Outcome) {
        let (id, context) = (write.message.id, &self.context);
        match outcome {
            Outcome::Again | Outcome::Stored(_) => {}
            Outcome::Answered => context.counters.stored.add(1),
            Outcome::Stale => {
                context.counters.stale.add(1);
                context.log.stale(id);
            }
            Outcome::Failed(why) => context.log.failed(id, CommitError::Unavailable(why.clone())),
            Outcome::Unknown(why) => context.log.failed(id, CommitError::Unknown(why.clone())),
        }
        self.taken -= 1;
    }

    /// The next who waits for the key may have it.
    fn release(&mut self, key: &Key) {
        let Some(next) = self.busy.get_mut(key).and_then(VecDeque::pop_front) else {
            self.busy.remove(key);
            return;
        };
        let Some(waiting) = self.waiting.get_mut(&next) else { return };
        waiting.blocked -= 1;
        if waiting.blocked == 0 {
            self.ready.extend(self.waiting.remove(&next).map(|waiting| waiting.group));
        }
    }
}

/// The writes of a stored group, by their numbers, and their sequences.
fn placed(group: &PendingGroup, outcome: &Outcome) -> Vec<(u64, u64)> {
    let Outcome::Stored(first) = outcome else { return Vec::new() };
    group.writes.iter().map(|write| write.message.id).zip(*first..).collect()
}
