//! The loop: one queue of events in virtual time, and the fates of messages.
use crate::agent::Agent;
use crate::check::Check;
use crate::feed::Feed;
use crate::process::{ControllersProcess, Process, SchedulerProcess};
use crate::store::{Store, lost};
use crate::users;
use jiff::{SignedDuration, Timestamp};
use model::{ApiError, Kinds};
use node_agent::pod::sync::PodOp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use state_client::{Reply, Request};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// How many nodes there are.
pub const NODES: usize = 4;
/// How long a request without a reply is waited for.
const PATIENCE: i64 = 10_000;
/// Who is cut off for longer misses two heartbeats of its own.
const NOTICED: SignedDuration = SignedDuration::from_secs(37);
/// Lines of the trace that are kept.
const TRACE: usize = 400;
/// How long it may take, in virtual time, until all is as it should be once nothing goes wrong any more: container restarts wait up to 5 minutes.
const CALM: SignedDuration = SignedDuration::from_mins(20);
/// More events than any seed needs.
const EVENTS: usize = 400_000;

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
    /// A container ends by itself.
    Crash(usize, String),
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
    queue: BTreeMap<(Timestamp, u64), Event>,
    serial: u64,
}

impl Net {
    fn new(seed: u64) -> Self {
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

    fn heal(&mut self, who: Proc) {
        let since = self.cut.remove(&who);
        if since.is_some_and(|since| self.now.duration_since(since) > NOTICED) {
            self.returned.insert(who, self.now);
        }
    }

    /// How long a message takes.
    fn latency(&mut self) -> i64 {
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
        let ticket = self.serial;
        if self.cut.contains_key(&from) || self.mishap(2) {
            let nothing = requests.iter().map(|_| Err(lost())).collect();
            self.after(PATIENCE, Event::Replied(from, epoch, ticket, nothing));
        } else {
            let late = self.latency();
            self.after(late, Event::Arrive(from, epoch, ticket, requests));
        }
        ticket
    }

    fn reply(&mut self, to: Proc, epoch: u32, ticket: u64, results: Results) {
        if self.cut.contains_key(&to) || self.mishap(2) {
            let nothing = results.iter().map(|_| Err(lost())).collect();
            self.after(PATIENCE, Event::Replied(to, epoch, ticket, nothing));
        } else {
            let late = self.latency();
            self.after(late, Event::Replied(to, epoch, ticket, results));
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

/// What a seed showed to be wrong.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub why: String,
    /// What happened before.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.trace.join("\n"))?;
        writeln!(f, "seed {} fails: {}", self.seed, self.why)?;
        write!(f, "replay it with: make simulate SEED={}", self.seed)
    }
}

/// Everything.
pub struct Cluster {
    /// Time, chance, messages, the store.
    pub net: Net,
    /// The controllers, while they run.
    pub controllers: Process<ControllersProcess>,
    /// The scheduler, while it runs.
    pub scheduler: Process<SchedulerProcess>,
    /// The nodes.
    pub agents: Vec<Agent>,
    /// What must hold.
    pub check: Check,
    checked: usize,
    events: usize,
}

impl Cluster {
    /// A cluster that is about to begin.
    pub fn new(seed: u64) -> Self {
        let mut net = Net::new(seed);
        users::namespaces(&mut net);
        let controllers = Process::new(Proc::Controllers, ControllersProcess::new(&net));
        let scheduler = Process::new(Proc::Scheduler, SchedulerProcess::new(seed));
        let agents = (0..NODES).map(Agent::new).collect();
        let mut cluster = Self { net, controllers, scheduler, agents, check: Check::default(), checked: 0, events: 0 };
        [Proc::Controllers, Proc::Scheduler].into_iter().chain((0..NODES).map(Proc::Agent)).for_each(|p| cluster.net.after(0, Event::Start(p)));
        cluster
    }

    /// One whole life: trouble, then quiet, a rollout in peace, and the end of everything.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong and what led to it.
    pub fn live(seed: u64) -> Result<usize, Failure> {
        let mut cluster = Self::new(seed);
        match cluster.phases() {
            Ok(()) => Ok(cluster.events),
            Err(why) => Err(Failure { seed, why, trace: cluster.net.trace.into() }),
        }
    }

    fn phases(&mut self) -> Result<(), String> {
        self.net.after(3_000, Event::Trouble);
        let trouble = self.net.random.random_range(60..240);
        self.run_for(SignedDuration::from_secs(trouble))?;
        self.calm();
        self.settle("after the trouble")?;
        self.check.peace = true;
        users::roll_all(&mut self.net);
        self.settle("after a rollout in peace")?;
        users::delete_all(&mut self.net);
        self.settle("after everything was deleted")
    }

    fn run_for(&mut self, span: SignedDuration) -> Result<(), String> {
        let end = self.net.now.saturating_add(span).unwrap_or(self.net.now);
        while self.net.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step()?;
        }
        self.net.now = end;
        Ok(())
    }

    /// Nothing goes wrong any more, and everybody is back.
    fn calm(&mut self) {
        self.net.say("-- calm --");
        self.net.chaos = false;
        let cut: Vec<Proc> = self.net.cut.keys().copied().collect();
        cut.into_iter().for_each(|p| self.net.heal(p));
        let down = [(Proc::Controllers, self.controllers.up), (Proc::Scheduler, self.scheduler.up)];
        let agents = self.agents.iter().enumerate().map(|(i, a)| (Proc::Agent(i), a.up));
        let all: Vec<Proc> = down.into_iter().chain(agents).filter(|(_, up)| !up).map(|(p, _)| p).collect();
        all.into_iter().for_each(|p| self.net.after(1, Event::Start(p)));
    }

    /// Until all is as it should be, in bounded time.
    fn settle(&mut self, when: &str) -> Result<(), String> {
        let end = self.net.now.saturating_add(CALM).unwrap_or(self.net.now);
        loop {
            // what users said before may still have been on its way
            users::uncordon(&mut self.net);
            self.run_for(SignedDuration::from_secs(5))?;
            let open = self.check.open(self);
            if open.is_empty() {
                return Ok(());
            }
            if self.net.now > end {
                return Err(format!("not as it should be {CALM:#} {when}:\n  {}", open.join("\n  ")));
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let Some(((at, _), event)) = self.net.queue.pop_first() else { return Ok(()) };
        self.net.now = at;
        self.events += 1;
        if self.events > EVENTS {
            return Err(format!("more than {EVENTS} events: something goes round in circles, the last was {event:?}"));
        }
        self.happen(event);
        self.look()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(from, epoch, ticket, requests) => {
                let results = requests.iter().map(|r| self.net.store.handle(r, self.net.now)).collect();
                self.net.reply(from, epoch, ticket, results);
            }
            Event::Replied(Proc::Controllers, epoch, ticket, results) => self.controllers.replied(&mut self.net, epoch, ticket, results),
            Event::Replied(Proc::Scheduler, epoch, ticket, results) => self.scheduler.replied(&mut self.net, epoch, ticket, results),
            Event::Replied(Proc::Agent(i), epoch, ticket, results) => self.agent(i, epoch, |a, net| a.replied(net, ticket, results)),
            Event::Replied(Proc::User, ..) => {}
            Event::Show(to, epoch, feed) => self.show(to, epoch, feed),
            Event::Wake(Proc::Controllers, epoch) => self.controllers.woken(&mut self.net, epoch),
            Event::Wake(Proc::Scheduler, epoch) => self.scheduler.woken(&mut self.net, epoch),
            Event::Wake(Proc::Agent(i), epoch) => self.agent(i, epoch, Agent::woken),
            Event::Wake(Proc::User, _) => {}
            Event::Done(i, epoch, uid, op) => self.agent(i, epoch, |a, net| a.done(net, &uid, &op)),
            Event::Crash(i, id) => {
                if let Some(agent) = self.agents.get_mut(i) {
                    agent.crashed(&mut self.net, &id);
                }
            }
            Event::Trouble => users::trouble(self),
            Event::Heal(proc) => {
                self.net.say(format_args!("{proc:?} is connected again"));
                self.net.heal(proc);
            }
            Event::Start(proc) => self.start(proc),
        }
    }

    fn agent(&mut self, i: usize, epoch: u32, what: impl FnOnce(&mut Agent, &mut Net)) {
        if let Some(agent) = self.agents.get_mut(i).filter(|a| a.up && a.epoch == epoch) {
            what(agent, &mut self.net);
        }
    }

    fn feeds(&mut self, of: Proc) -> Option<(u32, &mut Vec<Feed>)> {
        match of {
            Proc::Controllers => Some((self.controllers.epoch, &mut self.controllers.feeds)),
            Proc::Scheduler => Some((self.scheduler.epoch, &mut self.scheduler.feeds)),
            Proc::Agent(i) => self.agents.get_mut(i).map(|a| (a.epoch, &mut a.feeds)),
            Proc::User => None,
        }
    }

    /// Breaks a process's watches: they begin again with a list.
    pub fn cut_watches(&mut self, of: Proc) {
        if let Some((_, feeds)) = self.feeds(of) {
            feeds.iter_mut().for_each(Feed::cut);
        }
    }

    fn show(&mut self, to: Proc, epoch: u32, index: usize) {
        let (cut, length) = (self.net.cut.contains_key(&to), self.net.store.log.len());
        let end = if self.net.mishap(20) { length.saturating_sub(self.net.random.random_range(0..4)) } else { length };
        if cut {
            let late = self.net.random.random_range(100..3_000);
            self.net.after(late, Event::Show(to, epoch, index));
            return;
        }
        let mut shown = None;
        let Self { controllers, scheduler, agents, net, .. } = self;
        let feeds = match to {
            Proc::Controllers if controllers.epoch == epoch => Some(&mut controllers.feeds),
            Proc::Scheduler if scheduler.epoch == epoch => Some(&mut scheduler.feeds),
            Proc::Agent(i) => agents.get_mut(i).filter(|a| a.up && a.epoch == epoch).map(|a| &mut a.feeds),
            _ => None,
        };
        if let Some(feed) = feeds.and_then(|f| f.get_mut(index)) {
            feed.due = false;
            let (changes, revision) = feed.show(&net.store, end);
            shown = Some((feed.resource.clone(), changes, revision));
        }
        let Some((resource, changes, revision)) = shown else { return };
        match to {
            Proc::Controllers => controllers.shown(net, &resource, changes, revision),
            Proc::Scheduler => scheduler.shown(net, &resource, changes, revision),
            Proc::Agent(i) => self.agent(i, epoch, |a, net| a.shown(net, changes)),
            Proc::User => {}
        }
    }

    fn start(&mut self, proc: Proc) {
        self.net.say(format_args!("{proc:?} starts"));
        match proc {
            Proc::Controllers => self.controllers.start(&mut self.net),
            Proc::Scheduler => self.scheduler.start(&mut self.net),
            Proc::Agent(i) => {
                if let Some(agent) = self.agents.get_mut(i) {
                    agent.start(&mut self.net);
                }
            }
            Proc::User => {}
        }
    }

    /// Stops a process, until `Event::Start`.
    pub fn stop(&mut self, proc: Proc) {
        self.net.say(format_args!("{proc:?} is killed"));
        match proc {
            Proc::Controllers => self.controllers.stop(),
            Proc::Scheduler => self.scheduler.stop(),
            Proc::Agent(i) => self.agents.iter_mut().skip(i).take(1).for_each(|a| a.stop()),
            Proc::User => {}
        }
    }

    /// After each event: what was written is checked, and watches get word of it.
    fn look(&mut self) -> Result<(), String> {
        while let Some(entry) = self.net.store.log.get(self.checked).cloned() {
            self.checked += 1;
            let line = crate::check::describe(&entry);
            if let Some(line) = line {
                self.net.say(line);
            }
            self.check.written(&entry, &self.net)?;
        }
        let all: Vec<Proc> = [Proc::Controllers, Proc::Scheduler].into_iter().chain((0..NODES).map(Proc::Agent)).collect();
        for proc in all {
            let due = self.due(proc);
            for (epoch, feed) in due {
                let late = self.net.latency();
                self.net.after(late, Event::Show(proc, epoch, feed));
            }
        }
        Ok(())
    }

    fn due(&mut self, proc: Proc) -> Vec<(u32, usize)> {
        let up = match proc {
            Proc::Controllers => self.controllers.up,
            Proc::Scheduler => self.scheduler.up,
            Proc::Agent(i) => self.agents.get(i).is_some_and(|a| a.up),
            Proc::User => false,
        };
        let log = std::mem::take(&mut self.net.store.log);
        let mut due = Vec::new();
        if let Some((epoch, feeds)) = self.feeds(proc).filter(|_| up) {
            for (i, feed) in feeds.iter_mut().enumerate().filter(|(_, f)| !f.due) {
                if feed.is_behind(&log) {
                    feed.due = true;
                    due.push((epoch, i));
                }
            }
        }
        self.net.store.log = log;
        due
    }
}
