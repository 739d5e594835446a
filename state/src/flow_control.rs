//! Limits how many requests are accepted and how many of them are worked on at the same time.
//!
//! Components, nodes and users have priority levels of their own, so that one kind of caller can't use up what another needs. Within a level, a caller may
//! have at most as many requests as are still free, so that some always remain. An accepted request waits for a seat before it is worked on; seats are given
//! to callers in turn.
use crate::identity;
use bus::{Caller, Class, Role};
use model::ApiError;
use serde_json::Value;
use state_client::{Body, Request, User};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How large a level is.
#[derive(Clone, Copy, Debug)]
pub struct LevelLimits {
    /// Requests that are worked on at once.
    pub seats: usize,
    /// Requests that are here, be they worked on or waiting.
    pub in_flight: usize,
    /// Those of one caller among them.
    pub each: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// Bytes of those that were begun and wait for something to come about.
    pub parked: usize,
}

/// How large the levels are.
#[derive(Clone, Copy, Debug)]
pub struct PriorityLevels {
    /// Of this process, the scheduler and the controllers. They don't compete with each other.
    pub components: LevelLimits,
    /// Of the nodes.
    pub nodes: LevelLimits,
    /// Of everybody else.
    pub users: LevelLimits,
}

const MIB: usize = 1 << 20;
/// How long a request waits for a seat: half of the time that its sender waits for the answer.
const SEAT_TIMEOUT: Duration = Duration::from_secs(15);
/// What a request is at least, where what it has parsed is held.
const REQUEST_MIN: usize = 1 << 10;

impl PriorityLevels {
    /// For writes: what each has parsed is many times as large as its JSON, and the log takes no more than a thousand at a time.
    pub fn of_requests() -> Self {
        Self {
            components: LevelLimits { seats: 512, in_flight: usize::MAX, each: usize::MAX, bytes: 256 * MIB, parked: 16 * MIB },
            nodes: LevelLimits { seats: 256, in_flight: 768, each: usize::MAX, bytes: 64 * MIB, parked: MIB },
            users: LevelLimits { seats: 512, in_flight: 2_560, each: usize::MAX, bytes: 128 * MIB, parked: 16 * MIB },
        }
    }

    /// For batches of requests.
    pub(crate) fn of_batches() -> Self {
        Self {
            components: LevelLimits { seats: 64, in_flight: usize::MAX, each: usize::MAX, bytes: 256 * MIB, parked: 0 },
            nodes: LevelLimits { seats: 64, in_flight: 512, each: usize::MAX, bytes: 64 * MIB, parked: 0 },
            users: LevelLimits { seats: 16, in_flight: 256, each: usize::MAX, bytes: 64 * MIB, parked: 0 },
        }
    }

    /// For looking through all that there is: it takes a processor for as long as it lasts.
    pub(crate) fn of_searches() -> Self {
        let all = LevelLimits { seats: 8, in_flight: 0, each: 0, bytes: 0, parked: 0 };
        Self { components: LevelLimits { seats: 64, ..all }, nodes: LevelLimits { seats: 4, ..all }, users: all }
    }

    /// For watches; what counts as their bytes is what they begin with.
    pub(crate) fn of_watches() -> Self {
        let all = LevelLimits { seats: 0, in_flight: usize::MAX, each: usize::MAX, bytes: 512 * MIB, parked: 0 };
        let (nodes, users) =
            (LevelLimits { in_flight: 1 << 20, each: 1 << 10, bytes: 128 * MIB, ..all }, LevelLimits { in_flight: 1 << 16, each: 1 << 13, ..all });
        Self { components: all, nodes, users }
    }
}

/// Who has how much of a level.
#[derive(Default)]
struct Flow {
    in_flight: usize,
    bytes: usize,
    parked: usize,
    waiting: VecDeque<oneshot::Sender<Seat>>,
}

struct State {
    free: usize,
    in_flight: usize,
    bytes: usize,
    parked: usize,
    flows: HashMap<u64, Flow>,
    /// Those who wait for a seat, in the order in which they get one.
    round_robin: VecDeque<u64>,
}

/// Whether somebody who has `mine` of a level may have `more`, when all have `all` of `limit`. Where it is fair, each leaves as much free as is theirs.
fn fits(fair: bool, limit: usize, all: usize, mine: usize, more: usize) -> bool {
    let free = limit.saturating_sub(all);
    let own = if fair { mine } else { 0 };
    own.saturating_add(more) <= free
}

/// One kind of callers' level.
struct PriorityLevel {
    limits: LevelLimits,
    /// Whether those in it compete with each other.
    fair: bool,
    /// Whether one request of each is let in even into a full level: who they are was decided by an administrator.
    guaranteed: bool,
    state: Mutex<State>,
}

impl PriorityLevel {
    fn new(limits: LevelLimits, fair: bool, guaranteed: bool) -> Arc<Self> {
        let state = State { free: limits.seats, in_flight: 0, bytes: 0, parked: 0, flows: HashMap::new(), round_robin: VecDeque::new() };
        Arc::new(Self { limits, fair, guaranteed, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, who: u64, bytes: usize) -> bool {
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

    fn leave(&self, who: u64, bytes: usize) {
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
    fn charge(&self, who: u64, bytes: usize) -> bool {
        let mut state = self.lock();
        let held = state.flows.get(&who).map_or(0, |flow| flow.bytes);
        let fit = fits(self.fair, self.limits.bytes, state.bytes, held, bytes);
        if fit {
            state.bytes += bytes;
            state.flows.entry(who).or_default().bytes += bytes;
        }
        fit
    }

    fn refund(&self, who: u64, bytes: usize) {
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

    fn park(&self, who: u64, bytes: usize) -> bool {
        let mut state = self.lock();
        let held = state.flows.get(&who).map_or(0, |flow| flow.parked);
        let fit = fits(self.fair, self.limits.parked, state.parked, held, bytes);
        if fit {
            state.parked += bytes;
            state.flows.entry(who).or_default().parked += bytes;
        }
        fit
    }

    fn unpark(&self, who: u64, bytes: usize) {
        let mut state = self.lock();
        state.parked -= bytes;
        if let Some(flow) = state.flows.get_mut(&who) {
            flow.parked -= bytes;
        }
        state.remove_if_idle(who);
    }

    /// A seat now, or where one will come.
    fn ask(self: &Arc<Self>, who: u64) -> Result<Seat, oneshot::Receiver<Seat>> {
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
struct SeatWaiter<'a> {
    level: &'a PriorityLevel,
    who: u64,
    seat: oneshot::Receiver<Seat>,
    over: bool,
}

impl SeatWaiter<'_> {
    async fn end(mut self) -> Result<Seat, ApiError> {
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

/// Whose level it is. Who asks through a gateway is told by the user.
fn class_of(caller: &Caller, user: &User) -> Class {
    match caller.role.class() {
        // whether a token is alive, and who may speak for whom
        Class::Users if caller.role == Role::Gateway && user.name == identity::OWN => Class::Control,
        Class::Users if identity::node(user).is_some_and(|node| !node.is_empty()) => Class::Nodes,
        class => class,
    }
}

/// A request that is here.
pub struct InFlightRequest {
    level: Arc<PriorityLevel>,
    class: Class,
    who: u64,
    /// Of its body; `None` for one that isn't counted.
    bytes: Option<usize>,
    /// What it has beyond its body.
    more: AtomicUsize,
    seat: Mutex<Option<Seat>>,
}

/// The 429 for what there is no level for.
pub(crate) fn too_many() -> ApiError {
    ApiError::too_many_requests("The server has received too many requests and has asked us to try again later", 1)
}

impl InFlightRequest {
    /// Waits for one more seat.
    ///
    /// # Errors
    /// 429 when none comes in time.
    pub async fn seat(&self) -> Result<Seat, ApiError> {
        match self.level.ask(self.who) {
            Ok(seat) => Ok(seat),
            // on the heap: few requests have to wait
            Err(seat) => Box::pin(SeatWaiter { level: &self.level, who: self.who, seat, over: false }.end()).await,
        }
    }

    /// Waits until it is worked on.
    ///
    /// # Errors
    /// As [`InFlightRequest::seat`].
    pub async fn take_seat(&self) -> Result<(), ApiError> {
        let seat = self.seat().await?;
        *self.held_seat() = Some(seat);
        Ok(())
    }

    /// Lets others be worked on.
    pub fn give_up_seat(&self) {
        let seat = self.held_seat().take();
        drop(seat);
    }

    fn held_seat(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests while something comes about that it waits for.
    ///
    /// # Errors
    /// 429 when too much waits so.
    pub fn park(&self) -> Result<ParkedBytes<'_>, ApiError> {
        let bytes = self.bytes.unwrap_or_default().max(REQUEST_MIN);
        if !self.level.park(self.who, bytes) {
            return Err(too_many());
        }
        self.give_up_seat();
        Ok(ParkedBytes { admitted: self, bytes })
    }

    /// Counts bytes that it holds beyond its body.
    ///
    /// # Errors
    /// 429 when they are too many.
    pub fn charge(&self, bytes: usize) -> Result<(), ApiError> {
        if !self.level.charge(self.who, bytes) {
            return Err(too_many());
        }
        self.more.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// It no longer holds so many bytes of those.
    pub fn refund(&self, bytes: usize) {
        let had = self.more.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |more| Some(more.saturating_sub(bytes))).unwrap_or_default();
        self.level.refund(self.who, bytes.min(had));
    }

    /// It no longer holds more than its body.
    pub fn refund_all(&self) {
        self.level.refund(self.who, self.more.swap(0, Ordering::Relaxed));
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.give_up_seat();
        self.refund_all();
        if let Some(bytes) = self.bytes {
            self.level.leave(self.who, bytes);
        }
    }
}

/// A request that waits for something without a seat.
pub struct ParkedBytes<'a> {
    admitted: &'a InFlightRequest,
    bytes: usize,
}

impl Drop for ParkedBytes<'_> {
    fn drop(&mut self) {
        self.admitted.level.unpark(self.admitted.who, self.bytes);
    }
}

/// The levels of one kind of requests.
pub struct FlowControl {
    components: Arc<PriorityLevel>,
    nodes: Arc<PriorityLevel>,
    users: Arc<PriorityLevel>,
    names: RandomState,
}

impl FlowControl {
    /// Rooms of these sizes.
    pub fn new(levels: PriorityLevels) -> Self {
        Self {
            components: PriorityLevel::new(levels.components, false, true),
            nodes: PriorityLevel::new(levels.nodes, true, true),
            users: PriorityLevel::new(levels.users, true, false),
            names: RandomState::new(),
        }
    }

    fn level(&self, class: Class) -> &Arc<PriorityLevel> {
        match class {
            Class::Control => &self.components,
            Class::Nodes => &self.nodes,
            Class::Users => &self.users,
        }
    }

    fn request(&self, class: Class, who: u64) -> InFlightRequest {
        InFlightRequest { level: self.level(class).clone(), class, who, bytes: None, more: AtomicUsize::new(0), seat: Mutex::default() }
    }

    /// Lets a request of `bytes` in.
    ///
    /// # Errors
    /// 429 when too many are here.
    pub fn enter(&self, caller: &Caller, user: &User, bytes: usize) -> Result<InFlightRequest, ApiError> {
        let mut admitted = self.uncounted(caller, user);
        if !admitted.level.admit(admitted.who, bytes) {
            return Err(too_many());
        }
        admitted.bytes = Some(bytes);
        Ok(admitted)
    }

    /// A request that came with others, which were let in together.
    pub fn uncounted(&self, caller: &Caller, user: &User) -> InFlightRequest {
        self.request(class_of(caller, user), self.names.hash_one(&user.name))
    }

    /// The same one in these levels.
    pub fn same_flow(&self, admitted: &InFlightRequest) -> InFlightRequest {
        self.request(admitted.class, admitted.who)
    }
}

/// How many bytes a request brings, about.
pub fn weight(request: &Request) -> usize {
    let options = &request.options;
    let body = match &request.body {
        Body::None => 0,
        Body::Json(json) | Body::Patch(_, json) => json.len(),
        Body::Object(object) => object.0.iter().map(|(name, value)| name.len() + of(value)).sum(),
    };
    body + options.label_selector.len() + options.field_selector.len() + options.continue_token.len()
}

/// A value's bytes as JSON, about.
fn of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(|v| of(v) + 1).sum(),
        Value::Object(map) => map.iter().map(|(name, v)| name.len() + 4 + of(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests;
