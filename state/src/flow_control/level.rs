//! One priority level: who has how much of it, and who waits for a seat.
use super::limits::LevelLimits;
use model::ApiError;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a request waits for a seat: half of the time that its sender waits for the answer.
const SEAT_TIMEOUT: Duration = Duration::from_secs(15);

/// The 429 for what there is no level for.
pub(crate) fn too_many() -> ApiError {
    ApiError::too_many_requests("The server has received too many requests and has asked us to try again later", 1)
}

/// Who has how much of a level.
#[derive(Default)]
pub(super) struct Flow {
    in_flight: usize,
    bytes: usize,
    parked: usize,
    waiting: VecDeque<oneshot::Sender<Seat>>,
}

pub(super) struct State {
    pub(super) free: usize,
    pub(super) in_flight: usize,
    pub(super) bytes: usize,
    pub(super) parked: usize,
    pub(super) flows: HashMap<u64, Flow>,
    /// Those who wait for a seat, in the order in which they get one.
    pub(super) round_robin: VecDeque<u64>,
}

/// Whether somebody who has `mine` of a level may have `more`, when all have `all` of `limit`. Where it is fair, each leaves as much free as is theirs.
fn fits(fair: bool, limit: usize, all: usize, mine: usize, more: usize) -> bool {
    let free = limit.saturating_sub(all);
    let own = if fair { mine } else { 0 };
    own.saturating_add(more) <= free
}

/// One kind of callers' level.
pub(super) struct PriorityLevel {
    pub(super) limits: LevelLimits,
    /// Whether those in it compete with each other.
    fair: bool,
    /// Whether one request of each is let in even into a full level: who they are was decided by an administrator.
    guaranteed: bool,
    state: Mutex<State>,
}

impl PriorityLevel {
    pub(super) fn new(limits: LevelLimits, fair: bool, guaranteed: bool) -> Arc<Self> {
        let state = State { free: limits.seats, in_flight: 0, bytes: 0, parked: 0, flows: HashMap::new(), round_robin: VecDeque::new() };
        Arc::new(Self { limits, fair, guaranteed, state: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn admit(&self, who: u64, bytes: usize) -> bool {
        let mut state = self.lock();
        let (in_flight, held) = state.flows.get(&who).map_or((0, 0), |flow| (flow.in_flight, flow.bytes));
        let guaranteed = self.guaranteed && in_flight == 0;
        let fit = guaranteed || fits(self.fair, self.limits.in_flight, state.in_flight, in_flight, 1);
        if !fit || in_flight >= self.limits.each || !fits(self.fair, self.limits.bytes, state.bytes, held, bytes) {
            return false;
        }
        state.in_flight += 1;
        state.bytes += bytes;
        let flow = state.flows.entry(who).or_default();
        flow.in_flight += 1;
        flow.bytes += bytes;
        true
    }

    pub(super) fn leave(&self, who: u64, bytes: usize) {
        let mut state = self.lock();
        state.in_flight -= 1;
        state.bytes -= bytes;
        if let Some(flow) = state.flows.get_mut(&who) {
            flow.in_flight -= 1;
            flow.bytes -= bytes;
        }
        state.remove_if_idle(who);
    }

    /// Counts bytes that somebody who is here has beyond those of the body.
    pub(super) fn charge(&self, who: u64, bytes: usize) -> bool {
        let mut state = self.lock();
        let held = state.flows.get(&who).map_or(0, |flow| flow.bytes);
        let fit = fits(self.fair, self.limits.bytes, state.bytes, held, bytes);
        if fit {
            state.bytes += bytes;
            state.flows.entry(who).or_default().bytes += bytes;
        }
        fit
    }

    pub(super) fn refund(&self, who: u64, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut state = self.lock();
        state.bytes -= bytes;
        if let Some(flow) = state.flows.get_mut(&who) {
            flow.bytes -= bytes;
        }
        state.remove_if_idle(who);
    }

    pub(super) fn park(&self, who: u64, bytes: usize) -> bool {
        let mut state = self.lock();
        let held = state.flows.get(&who).map_or(0, |flow| flow.parked);
        let fit = fits(self.fair, self.limits.parked, state.parked, held, bytes);
        if fit {
            state.parked += bytes;
            state.flows.entry(who).or_default().parked += bytes;
        }
        fit
    }

    pub(super) fn unpark(&self, who: u64, bytes: usize) {
        let mut state = self.lock();
        state.parked -= bytes;
        if let Some(flow) = state.flows.get_mut(&who) {
            flow.parked -= bytes;
        }
        state.remove_if_idle(who);
    }

    /// A seat now, or where one will come.
    pub(super) fn ask(self: &Arc<Self>, who: u64) -> Result<Seat, oneshot::Receiver<Seat>> {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Ok(Seat(Some(self.clone())));
        }
        let (sender, seat) = oneshot::channel();
        let waiting = &mut state.flows.entry(who).or_default().waiting;
        waiting.push_back(sender);
        if waiting.len() == 1 {
            state.round_robin.push_back(who);
        }
        Err(seat)
    }

    /// Hands a seat that became free to who is next.
    fn hand_over(self: &Arc<Self>) {
        let mut state = self.lock();
        while let Some(next) = state.next() {
            match next.send(Seat(Some(self.clone()))) {
                Ok(()) => return,
                // who gave up waiting: the seat goes to another, and not back while the level is locked
                Err(mut seat) => seat.0 = None,
            }
        }
        state.free += 1;
    }

    /// Forgets who gave up waiting.
    fn remove_cancelled(&self, who: u64) {
        let mut state = self.lock();
        let Some(flow) = state.flows.get_mut(&who) else { return };
        flow.waiting.retain(|sender| !sender.is_closed());
        if flow.waiting.is_empty() {
            state.round_robin.retain(|turn| *turn != who);
            state.remove_if_idle(who);
        }
    }
}

impl State {
    /// Forgets who has nothing here any more.
    fn remove_if_idle(&mut self, who: u64) {
        let idle = |flow: &Flow| flow.in_flight == 0 && flow.bytes == 0 && flow.parked == 0 && flow.waiting.is_empty();
        if self.flows.get(&who).is_some_and(idle) {
            self.flows.remove(&who);
        }
    }

    /// Who waits for a seat and is next: one of each flow in turn.
    fn next(&mut self) -> Option<oneshot::Sender<Seat>> {
        while let Some(who) = self.round_robin.pop_front() {
            let Some(flow) = self.flows.get_mut(&who) else { continue };
            let next = flow.waiting.pop_front();
            if flow.waiting.is_empty() {
                self.remove_if_idle(who);
            } else {
                self.round_robin.push_back(who);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

/// A seat among those that are worked on. Dropping it gives it to the next.
pub struct Seat(Option<Arc<PriorityLevel>>);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(level) = self.0.take() {
            level.hand_over();
        }
    }
}

/// Somebody's wait for a seat.
pub(super) struct SeatWaiter<'a> {
    pub(super) level: &'a PriorityLevel,
    pub(super) who: u64,
    pub(super) seat: oneshot::Receiver<Seat>,
    pub(super) over: bool,
}

impl SeatWaiter<'_> {
    /// Waits for the end of it.
    ///
    /// # Errors
    /// 429 when no seat comes in time.
    pub(super) async fn end(mut self) -> Result<Seat, ApiError> {
        let seat = tokio::time::timeout(SEAT_TIMEOUT, &mut self.seat).await;
        self.over = matches!(seat, Ok(Ok(_)));
        seat.ok().and_then(Result::ok).ok_or_else(too_many)
    }
}

impl Drop for SeatWaiter<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.seat.close();
            self.level.remove_cancelled(self.who);
        }
    }
}
