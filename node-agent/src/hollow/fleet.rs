//! Changes the faults of a process's simulated nodes while they run.
use super::Mode;
use bus::actor::{Actor, ActorRef, Context};
use bus::bus::ActorRequest;
use bus::{Call, Impairment, ImpairmentMode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Makes something the matter with simulated nodes; without a mode it only asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FleetOrder {
    /// What.
    pub mode: Option<Mode>,
    /// With these nodes; none: with the first ones that it changes something for.
    pub nodes: Vec<String>,
    /// With so many of them; `None`: all.
    pub count: Option<usize>,
    /// For how long; `None`: until another order.
    pub lasts: Option<Duration>,
}

impl Call for FleetOrder {
    type Reply = Result<Report, String>;
    const SERVICE: &'static str = "process.hollow";
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The nodes that it concerned.
    pub changed: Vec<String>,
    /// How many nodes are now in each mode.
    pub modes: BTreeMap<String, usize>,
}

/// A node's present order.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    mode: Mode,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Standing {
    /// What the matter is with the connection now, and when that changes.
    fn impairment(&self, now: Instant) -> (ImpairmentMode, Option<Instant>) {
        let since = self.since.unwrap_or(now);
        let (mode, next) = self.mode.impairment(now.saturating_duration_since(since));
        (mode, [next.map(|next| since + next), self.until].into_iter().flatten().min())
    }
}

/// One node: its connection, and what is the matter with it. Outlives the actor's restarts.
pub(super) struct Member {
    name: String,
    impairment: Impairment,
    standing: Mutex<Standing>,
}

impl Member {
    pub(super) fn new(name: String, impairment: Impairment) -> Self {
        Self { name, impairment, standing: Mutex::default() }
    }

    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Brings the connection up to date; when the next time is.
    fn keep(&self, now: Instant) -> Option<Instant> {
        if self.standing().until.is_some_and(|until| until <= now) {
            self.stand(Standing::default());
        }
        let (mode, next) = self.standing().impairment(now);
        self.impairment.set(mode);
        next
    }
}

/// What the fleet is told.
pub enum FleetMessage {
    /// An order.
    Order(ActorRequest<FleetOrder>),
    /// Something is due.
    Wake,
}

impl From<ActorRequest<FleetOrder>> for FleetMessage {
    fn from(ask: ActorRequest<FleetOrder>) -> Self {
        Self::Order(ask)
    }
}

/// The nodes of a process.
pub(super) struct Fleet {
    members: Arc<Vec<Member>>,
    timer: Option<tokio::task::AbortHandle>,
}

impl Fleet {
    pub(super) fn new(members: Arc<Vec<Member>>) -> Self {
        Self { members, timer: None }
    }

    fn obey(&self, order: &FleetOrder, now: Instant) -> Result<Report, String> {
        let known = |name: &&String| !self.members.iter().any(|m| m.name == **name);
        if let Some(unknown) = order.nodes.iter().find(known) {
            return Err(format!("there is no simulated node {unknown} here"));
        }
        let mut changed = Vec::new();
        if let Some(mode) = order.mode {
            let concerned = |m: &&Member| if order.nodes.is_empty() { m.standing().mode.name() != mode.name() } else { order.nodes.contains(&m.name) };
            for member in self.members.iter().filter(concerned).take(order.count.unwrap_or(usize::MAX)) {
                member.stand(Standing { mode, since: Some(now), until: order.lasts.map(|lasts| now + lasts) });
                changed.push(member.name.clone());
            }
        }
        let mut modes = BTreeMap::new();
        for member in self.members.iter() {
            *modes.entry(member.standing().mode.name().to_owned()).or_default() += 1;
        }
        Ok(Report { changed, modes })
    }

    fn keep(&mut self, me: ActorRef<FleetMessage>, now: Instant) {
        let next = self.members.iter().filter_map(|m| m.keep(now)).min();
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let Some(next) = next else { return };
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(next).await;
            if let Err(stopped) = me.send(FleetMessage::Wake).await {
                tracing::trace!(%stopped, "the simulated nodes have stopped");
            }
        });
        self.timer = Some(task.abort_handle());
    }
}

impl Actor for Fleet {
    type Message = FleetMessage;
    type Error = Infallible;

    async fn started(&mut self, ctx: &Context<FleetMessage>) -> Result<(), Infallible> {
        self.keep(ctx.me(), Instant::now());
        Ok(())
    }

    async fn handle(&mut self, asked: FleetMessage, ctx: &Context<FleetMessage>) -> Result<(), Infallible> {
        let now = Instant::now();
        match asked {
            FleetMessage::Wake => self.keep(ctx.me(), now),
            FleetMessage::Order(ActorRequest { incoming, reply }) => {
                let report = self.obey(&incoming.message, now);
                self.keep(ctx.me(), now);
                if reply.send(report).is_err() {
                    tracing::debug!("who gave the order has gone");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::ImpairmentMode::{Blackholed, Disconnected, None as Unimpaired};

    fn fleet(n: usize) -> Fleet {
        Fleet::new(Arc::new((0..n).map(|i| Member::new(format!("h{i}"), Impairment::default())).collect()))
    }

    fn modes(fleet: &Fleet, now: Instant) -> Vec<ImpairmentMode> {
        fleet.members.iter().for_each(|m| _ = m.keep(now));
        fleet.members.iter().map(|m| m.impairment.mode()).collect()
    }

    #[test]
    fn an_order_concerns_those_for_whom_it_changes_something_and_ends_in_its_time() {
        let (fleet, now) = (fleet(4), Instant::now());
        let order = FleetOrder { mode: Some(Mode::Silent), count: Some(2), lasts: Some(Duration::from_secs(30)), ..FleetOrder::default() };
        assert_eq!(fleet.obey(&order, now).unwrap().changed, ["h0", "h1"]);
        let cut = FleetOrder { mode: Some(Mode::Cut), nodes: vec!["h3".to_owned()], ..FleetOrder::default() };
        let report = fleet.obey(&cut, now).unwrap();
        assert_eq!(report.modes, BTreeMap::from([("silent".to_owned(), 2), ("cut".to_owned(), 1), ("well".to_owned(), 1)]));
        assert_eq!(modes(&fleet, now), [Blackholed, Blackholed, Unimpaired, Disconnected]);
        assert_eq!(modes(&fleet, now + Duration::from_secs(31)), [Unimpaired, Unimpaired, Unimpaired, Disconnected]);
        assert_eq!(fleet.obey(&FleetOrder { mode: Some(Mode::Well), ..FleetOrder::default() }, now).unwrap().changed, ["h3"]);
        let other = FleetOrder { nodes: vec!["x".to_owned()], ..order };
        assert_eq!(fleet.obey(&other, now), Err("there is no simulated node x here".to_owned()));
    }
}
