//! The processes of a simulated cluster: what each event does to them, and what they see of the log.
use crate::agent::Agent;
use crate::check::Check;
use crate::feed::Feed;
use crate::net::{Event, NODES, Net, Proc};
use crate::process::{ControllersProcess, Process, SchedulerProcess};
use rand::Rng;

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
}

impl Cluster {
    /// A cluster that is about to begin.
    pub fn new(seed: u64) -> Self {
        let net = Net::new(seed);
        let controllers = Process::new(Proc::Controllers, ControllersProcess::new(&net));
        let scheduler = Process::new(Proc::Scheduler, SchedulerProcess::new(seed));
        let agents = (0..NODES).map(Agent::new).collect();
        let mut cluster = Self { net, controllers, scheduler, agents, check: Check::default(), checked: 0 };
        [Proc::Controllers, Proc::Scheduler].into_iter().chain((0..NODES).map(Proc::Agent)).for_each(|p| cluster.net.after(0, Event::Start(p)));
        cluster
    }

    /// Has one event come about, other than what users do.
    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(from, epoch, id, requests) => {
                let results = requests.iter().map(|r| self.net.store.handle(r, self.net.now)).collect();
                self.net.reply(from, epoch, id, results);
            }
            Event::Replied(Proc::Controllers, epoch, id, results) => self.controllers.replied(&mut self.net, epoch, id, results),
            Event::Replied(Proc::Scheduler, epoch, id, results) => self.scheduler.replied(&mut self.net, epoch, id, results),
            Event::Replied(Proc::Agent(i), epoch, id, results) => self.agent(i, epoch, |a, net| a.replied(net, id, results)),
            Event::Replied(Proc::User, ..) => {}
            Event::Show(to, epoch, feed) => self.show(to, epoch, feed),
            Event::Wake(Proc::Controllers, epoch) => self.controllers.woken(&mut self.net, epoch),
            Event::Wake(Proc::Scheduler, epoch) => self.scheduler.woken(&mut self.net, epoch),
            Event::Wake(Proc::Agent(i), epoch) => self.agent(i, epoch, Agent::woken),
            Event::Wake(Proc::User, _) => {}
            Event::Done(i, epoch, uid, op) => self.agent(i, epoch, |a, net| a.done(net, &uid, &op)),
            Event::Exit(i, id, code) => {
                if let Some(agent) = self.agents.get_mut(i) {
                    agent.exited(&mut self.net, &id, code);
                }
            }
            Event::Trouble => {}
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
            Proc::Agent(i) if resource.1 == "persistentvolumes" => self.agent(i, epoch, Agent::woken),
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
    pub(crate) fn look(&mut self) -> Result<(), String> {
        while let Some(entry) = self.net.store.log.get(self.checked).cloned() {
            self.checked += 1;
            let line = crate::check::describe(&entry);
            if let Some(line) = line {
                self.net.say(line);
            }
            self.check.written(&entry, &self.net)?;
            crate::storage::written(&entry, &self.net)?;
        }
        crate::storage::directories(&self.net, &self.agents)?;
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
