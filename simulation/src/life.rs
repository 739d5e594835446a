//! One life of a simulated cluster, from its start to the end of everything in it.
use crate::cluster::Cluster;
use crate::net::{Event, Proc};
use crate::{batch, disruption, quiet, users};
use jiff::SignedDuration;
use rand::Rng;
use std::fmt;

/// How long it may take, in virtual time, until all is as it should be once nothing goes wrong any more: container restarts wait up to 5 minutes.
const CALM: SignedDuration = SignedDuration::from_mins(20);
/// How often all pods are evicted, as far as their budgets allow it.
const EVICTIONS: usize = 4;
/// More events than any seed needs.
const EVENTS: usize = 400_000;

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

/// A cluster on its way through its life.
pub struct Life {
    cluster: Cluster,
    events: usize,
}

impl Life {
    /// One whole life: trouble, then quiet, evictions and a rollout in peace, and the end of everything.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong and what led to it.
    pub fn run(seed: u64) -> Result<usize, Failure> {
        let mut life = Self { cluster: Cluster::new(seed), events: 0 };
        users::namespaces(&mut life.cluster.net);
        match life.phases() {
            Ok(()) => Ok(life.events),
            Err(why) => Err(Failure { seed, why, trace: life.cluster.net.trace.into() }),
        }
    }

    fn phases(&mut self) -> Result<(), String> {
        self.cluster.net.after(3_000, Event::Trouble);
        let trouble = self.cluster.net.random.random_range(60..240);
        self.run_for(SignedDuration::from_secs(trouble))?;
        self.calm();
        self.settle("after the trouble")?;
        self.cluster.check.losses.forget();
        for _ in 0..EVICTIONS {
            disruption::evict_all(&mut self.cluster.net);
            self.run_for(SignedDuration::from_secs(7))?;
        }
        self.settle("after evictions in peace")?;
        self.cluster.check.peace = true;
        users::roll_all(&mut self.cluster.net);
        self.settle("after a rollout in peace")?;
        users::delete_all(&mut self.cluster.net);
        self.settle("after everything was deleted")
    }

    fn run_for(&mut self, span: SignedDuration) -> Result<(), String> {
        let end = self.cluster.net.now.saturating_add(span).unwrap_or(self.cluster.net.now);
        while self.cluster.net.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step()?;
        }
        self.cluster.net.now = end;
        Ok(())
    }

    /// Nothing goes wrong any more, and everybody is back.
    fn calm(&mut self) {
        self.cluster.net.say("-- calm --");
        self.cluster.net.chaos = false;
        let cut: Vec<Proc> = self.cluster.net.cut.keys().copied().collect();
        cut.into_iter().for_each(|p| self.cluster.net.heal(p));
        let down = [(Proc::Controllers, self.cluster.controllers.up), (Proc::Scheduler, self.cluster.scheduler.up)];
        let agents = self.cluster.agents.iter().enumerate().map(|(i, a)| (Proc::Agent(i), a.up));
        let all: Vec<Proc> = down.into_iter().chain(agents).filter(|(_, up)| !up).map(|(p, _)| p).collect();
        all.into_iter().for_each(|p| self.cluster.net.after(1, Event::Start(p)));
        users::priorities(&mut self.cluster.net);
    }

    /// Until all is as it should be, in bounded time.
    fn settle(&mut self, when: &str) -> Result<(), String> {
        let end = self.cluster.net.now.saturating_add(CALM).unwrap_or(self.cluster.net.now);
        loop {
            // what users said before may still have been on its way
            users::uncordon(&mut self.cluster.net);
            batch::resume(&mut self.cluster.net);
            users::end_bursts(&mut self.cluster.net);
            self.run_for(SignedDuration::from_secs(5))?;
            let open = quiet::open(&self.cluster);
            if open.is_empty() {
                return Ok(());
            }
            if self.cluster.net.now > end {
                return Err(format!("not as it should be {CALM:#} {when}:\n  {}", open.join("\n  ")));
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let Some(((at, _), event)) = self.cluster.net.queue.pop_first() else { return Ok(()) };
        self.cluster.net.now = at;
        self.events += 1;
        if self.events > EVENTS {
            return Err(format!("more than {EVENTS} events: something goes round in circles, the last was {event:?}"));
        }
        match event {
            Event::Trouble => users::trouble(&mut self.cluster),
            event => self.cluster.happen(event),
        }
        self.cluster.look()
    }
}
