//! Time, chance and the fates of messages: one queue of events in virtual time.
use crate::store::{Store, lost};
use jiff::{SignedDuration, Timestamp};
use model::{ApiError, Kinds};
use node_agent::pod::sync::PodOp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use state_client::{Reply, Request};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// The users' namespace.
pub const NAMESPACE: &str = "a";
/// How many nodes there are.
pub const NODES: usize = 4;
/// How long a request without a reply is waited for.
const PATIENCE: i64 = 10_000;
/// Who is cut off for longer misses two heartbeats of its own.
const NOTICED: SignedDuration = SignedDuration::from_secs(37);
/// Lines of the trace that are kept.
const TRACE: usize = 400;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proc {
    /// The controllers.
    Controllers,
    /// The scheduler.
    Scheduler,
    /// A node's agent.
    Agent(usize),
    /// Somebody with `kubectl`.
    User,
}

/// What a request brings back.
pub type Results = Vec<Result<Reply, ApiError>>;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// Requests reach `state`.
    Arrive(Proc, u32, u64, Vec<Request>),
    /// Replies reach who asked, or the wait for them is over.
    Replied(Proc, u32, u64, Results),
    /// A watch shows its news.
    Show(Proc, u32, usize),
    /// Something is due.
    Wake(Proc, u32),
    /// A node has done something for a pod.
    Done(usize, u32, String, PodOp),
    /// A container ends by itself, with this exit code.
    Exit(usize, String, i32),
    /// The next thing that users do, or that goes wrong.
    Trouble,
    /// A link is whole again.
    Heal(Proc),
    /// A process starts.
    Start(Proc),
}

/// Time, chance, messages, and the store that they go to.
pub struct Net {
    /// Now.
    pub now: Timestamp,
    /// Chance.
    pub random: StdRng,
    /// The log.
    pub store: Store,
    /// Whether things go wrong.
    pub chaos: bool,
    /// Who is cut off, and since when.
    pub cut: BTreeMap<Proc, Timestamp>,
    /// When somebody came back who had been cut off for so long that it must have noticed.
    pub returned: BTreeMap<Proc, Timestamp>,
    /// What happened lately.
    pub trace: VecDeque<String>,
    pub(crate) queue: BTreeMap<(Timestamp, u64), Event>,
    serial: u64,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        let kinds: Arc<Kinds> = Arc::new(model::kinds::builtin());
        Self {
            now: Timestamp::from_second(1_767_225_600).unwrap_or_default(),
            random: StdRng::seed_from_u64(seed),
            store: Store::new(kinds),
            chaos: true,
            cut: BTreeMap::new(),
            returned: BTreeMap::new(),
            trace: VecDeque::new(),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Whether something of this probability happens, while things go wrong.
    pub fn mishap(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent && self.chaos
    }

    /// Cuts somebody off.
    pub fn cut_off(&mut self, who: Proc, millis: i64) {
        self.say(format_args!("{who:?} is cut off for {millis} ms"));
        self.cut.entry(who).or_insert(self.now);
        self.after(millis, Event::Heal(who));
    }

    pub(crate) fn heal(&mut self, who: Proc) {
        let since = self.cut.remove(&who);
        if since.is_some_and(|since| self.now.duration_since(since) > NOTICED) {
            self.returned.insert(who, self.now);
        }
    }

    /// How long a message takes.
    pub(crate) fn latency(&mut self) -> i64 {
        if self.mishap(1) {
            self.random.random_range(1_000..6_000)
        } else if self.mishap(10) {
            self.random.random_range(50..2_000)
        } else {
            self.random.random_range(1..20)
        }
    }

    /// `event` happens in so many milliseconds.
    pub fn after(&mut self, millis: i64, event: Event) {
        let at = self.now.saturating_add(SignedDuration::from_millis(millis)).unwrap_or(self.now);
        self.at(at, event);
    }

    /// `event` happens then, or now if that is past.
    pub fn at(&mut self, at: Timestamp, event: Event) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), event);
    }

    /// Sends requests to `state`. A reply comes in any case, if only that none came.
    pub fn send(&mut self, from: Proc, epoch: u32, requests: Vec<Request>) -> u64 {
        self.serial += 1;
        let id = self.serial;
        if self.cut.contains_key(&from) || self.mishap(2) {
            let nothing = requests.iter().map(|_| Err(lost())).collect();
            self.after(PATIENCE, Event::Replied(from, epoch, id, nothing));
        } else {
            let late = self.latency();
            self.after(late, Event::Arrive(from, epoch, id, requests));
        }
        id
    }

    pub(crate) fn reply(&mut self, to: Proc, epoch: u32, id: u64, results: Results) {
        if self.cut.contains_key(&to) || self.mishap(2) {
            let nothing = results.iter().map(|_| Err(lost())).collect();
            self.after(PATIENCE, Event::Replied(to, epoch, id, nothing));
        } else {
            let late = self.latency();
            self.after(late, Event::Replied(to, epoch, id, results));
        }
    }

    /// Writes a line of the trace.
    pub fn say(&mut self, what: impl fmt::Display) {
        if self.trace.len() >= TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{} {what}", self.now.strftime("%H:%M:%S%.3f")));
    }
}
