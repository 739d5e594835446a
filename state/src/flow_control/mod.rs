//! Limits how many requests are accepted and how many of them are worked on at the same time.
//!
//! Components, nodes and users have priority levels of their own, so that one kind of caller can't use up what another needs. Within a level, a caller may
//! have at most as many requests as are still free, so that some always remain. An accepted request waits for a seat before it is worked on; seats are given
//! to callers in turn.
mod level;
mod limits;
mod weight;

pub use level::Seat;
pub(crate) use level::too_many;
pub use limits::{LevelLimits, PriorityLevels};
pub use weight::weight;

use crate::identity;
use bus::{Caller, Class, Role};
use level::{PriorityLevel, SeatWaiter};
use model::ApiError;
use state_client::User;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a request is at least, where what it has parsed is held.
const REQUEST_MIN: usize = 1 << 10;

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
    began: Instant,
}

impl InFlightRequest {
    /// How much is left of so long a time after it came.
    pub fn left_of(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.began.elapsed())
    }

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

    /// Waits for something that others do, without a seat meanwhile.
    ///
    /// # Errors
    /// 429 when too much waits so, or no seat is free afterwards.
    pub async fn without_seat<T>(&self, wait: impl Future<Output = T>) -> Result<T, ApiError> {
        let had_seat = self.held_seat().is_some();
        let aside = self.park()?;
        let done = wait.await;
        drop(aside);
        if had_seat {
            self.take_seat().await?;
        }
        Ok(done)
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
        InFlightRequest { level: self.level(class).clone(), class, who, bytes: None, more: AtomicUsize::new(0), seat: Mutex::default(), began: Instant::now() }
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

#[cfg(test)]
mod tests;
