//! Refuses writes of processes that no longer hold their lease. A write may name a lease and its fencing token; it is accepted only while the lease is held
//! with that token.
//!
//! The lease is read from where it is stored when the write arrives, so that no `state` process decides on an old copy. A write that was accepted just before
//! the lease changed hands may still reach the log just after. The compare-and-swap of each object protects against that.
use bus::{Caller, FencingToken, LeaseError, Leases, Role};
use model::{ApiError, Reason};
use state_client::Verb;
use std::collections::HashMap;
use std::time::Instant;
use tokio::sync::Mutex;

/// So many leases are remembered; there are a handful.
const REMEMBERED: usize = 64;

/// An answer, and when its question was asked.
struct Answer {
    asked: Instant,
    current: Option<FencingToken>,
}

/// Asks who holds a lease. Those who come while a question is on its way share the next one.
pub struct FencingCheck {
    leases: Leases,
    answers: Mutex<HashMap<String, Answer>>,
}

/// Whether a request changes anything.
pub fn writes(verb: Verb) -> bool {
    matches!(verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection)
}

/// Whether a component may hold leases. Others would only ask about those of components, and have these wait for the answers.
fn holds_leases(role: Role) -> bool {
    matches!(role, Role::State | Role::Scheduler | Role::Controllers)
}

impl FencingCheck {
    /// Over these leases.
    pub fn new(leases: Leases) -> Self {
        Self { leases, answers: Mutex::default() }
    }

    /// Lets a request for `what` in, unless it is a deposed holder's write.
    ///
    /// # Errors
    /// 403 to those who can't hold a lease; 409 when the lease is another's or nobody's; 503 when that can't be known now.
    pub async fn admit(&self, caller: &Caller, fence: &FencingToken, what: (Verb, &str, &str)) -> Result<(), ApiError> {
        let (verb, resource, name) = what;
        if !holds_leases(caller.role) {
            return Err(ApiError::new(Reason::Forbidden, format!("{caller} can't hold a lease")));
        }
        if !writes(verb) {
            return Ok(());
        }
        // on the heap: few requests have a fence, and what asks for a lease would be ten times the rest of a request's future
        match Box::pin(self.current(&fence.lease)).await {
            Ok(Some(current)) if current == *fence => Ok(()),
            Ok(_) => {
                let why = LeaseError::Deposed { name: fence.lease.clone(), token: fence.token };
                tracing::warn!(verb = verb.name(), resource, name, %why, "a write is refused");
                Err(ApiError::new(Reason::Conflict, why.to_string()))
            }
            Err(error) => Err(ApiError::unavailable(error.to_string())),
        }
    }

    async fn current(&self, lease: &str) -> Result<Option<FencingToken>, LeaseError> {
        let came = Instant::now();
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.get(lease).filter(|answer| answer.asked >= came) {
            return Ok(answer.current.clone());
        }
        let asked = Instant::now();
        let current = self.leases.current(lease).await?;
        if answers.len() >= REMEMBERED {
            answers.clear();
        }
        answers.insert(lease.to_owned(), Answer { asked, current: current.clone() });
        Ok(current)
    }
}
