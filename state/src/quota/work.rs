//! The task of one namespace: it works on the queue as long as something waits.
use super::counted::{Counted, Refusal};
use super::queue::{AT_ONCE, Queue, Reply, Waiting};
use super::quotas::{QUOTAS, Quotas};
use super::round::Share;
use crate::store::{CommitError, Group, StoreOp, Write};
use model::{Key, Stored};
use std::sync::Arc;

/// How often writes go again because others write the quotas.
const ATTEMPTS: usize = 32;

/// A write with its writer.
struct Pending {
    counted: Box<Counted>,
    reply: Reply,
}

impl Pending {
    fn answer(self, result: Result<Arc<Stored>, Refusal>) {
        // a writer that has gone away doesn't want to know
        _ = self.reply.send(result);
    }
}

impl Quotas {
    /// Adds something to the queue of a namespace, and starts its task if there is none.
    pub(super) fn push(&self, namespace: Arc<str>, waiting: Waiting) {
        let queue = self.queues.entry(namespace.clone()).or_default().clone();
        let mut state = queue.lock();
        state.waiting.push_back(waiting);
        if !std::mem::replace(&mut state.running, true) {
            drop(state);
            tokio::spawn(self.clone().work(namespace, queue));
        }
    }

    async fn work(self, namespace: Arc<str>, queue: Arc<Queue>) {
        loop {
            let next = queue.next();
            if next.is_empty() {
                // who pushes meanwhile has the queue, and starts another task
                self.queues.remove_if(&namespace, |_, queue| !queue.lock().running && Arc::strong_count(queue) <= 2);
                return;
            }
            self.round(&namespace, next).await;
        }
    }

    /// Works on some of what waits, until each is answered.
    async fn round(&self, namespace: &str, all: Vec<Waiting>) {
        let (mut pending, mut anew) = (Vec::new(), false);
        for waiting in all {
            match waiting {
                Waiting::Write(counted, reply) => pending.push(Pending { counted, reply }),
                Waiting::Count => anew = true,
            }
        }
        let (mut at_once, mut fruitless) = (AT_ONCE, 0);
        while (anew || !pending.is_empty()) && fruitless < ATTEMPTS {
            let rest = pending.split_off(pending.len().min(at_once));
            let tried = pending.len();
            let done = self.attempt(namespace, pending, anew).await;
            fruitless += usize::from(done.left.len() == tried && !(anew && done.counted));
            anew &= !done.counted;
            if done.too_large {
                at_once = (tried / 2).max(1);
            }
            pending = done.left;
            pending.extend(rest);
        }
        let why = || CommitError::Unavailable("others change the quotas of the namespace all the time; try again".to_owned());
        pending.into_iter().for_each(|one| one.answer(Err(Refusal::Commit(why()))));
    }

    /// Tries to do these writes, and says what came of it.
    async fn attempt(&self, namespace: &str, pending: Vec<Pending>, anew: bool) -> Attempt {
        if anew && let Err(error) = self.store.barrier(QUOTAS.0, QUOTAS.1).await {
            tracing::debug!(namespace, %error, "quotas are not counted");
            return Attempt { left: pending, ..Attempt::default() };
        }
        let mut limits = self.limits(namespace, anew);
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for one in pending {
            match limits.take(&one.counted.asked()) {
                Ok(Share::Less) => first.push(one),
                Ok(Share::More) => last.push(one),
                Err(why) => one.answer(Err(Refusal::Forbidden(why))),
            }
        }
        let writes = |all: &[Pending]| all.iter().map(|one| one.counted.write.clone()).collect::<Vec<Write>>();
        let (before, after) = (writes(&first), writes(&last));
        let between = limits.writes(before.iter().chain(&after));
        let (from, to) = (before.len(), before.len() + between.len());
        let order = [before, between, after].concat();
        if order.is_empty() {
            return Attempt { counted: true, ..Attempt::default() };
        }
        let mut results = self.store.commit_group(Group::from_vec(order)).await.into_vec();
        let counted = results.drain(from..to).all(|result| result.is_ok());
        first.append(&mut last);
        Attempt { counted, ..self.answer(first, results) }
    }

    /// Answers who can be answered.
    fn answer(&self, pending: Vec<Pending>, results: Vec<Result<Arc<Stored>, CommitError>>) -> Attempt {
        let several = pending.len() > 1;
        let mut attempt = Attempt::default();
        for (one, result) in pending.into_iter().zip(results) {
            match result {
                Err(CommitError::TooLarge { .. }) if several => {
                    attempt.too_large = true;
                    attempt.left.push(one);
                }
                // it may be another one of the group that is out of date
                Err(CommitError::Conflict) if self.is_current(&one.counted.write) => attempt.left.push(one),
                result => one.answer(result.map_err(Refusal::Commit)),
            }
        }
        attempt
    }

    /// Whether an object is still as a write expects it.
    fn is_current(&self, write: &Write) -> bool {
        let key: &Key = &write.key;
        let there = self.store.get(key).map_or(0, |stored| stored.revision);
        there == write.expect && !(there == 0 && matches!(write.op, StoreOp::Delete(_)))
    }
}

/// What became of an attempt.
#[derive(Default)]
struct Attempt {
    /// Who isn't answered yet, and goes again.
    left: Vec<Pending>,
    /// Whether what the quotas say is in the log.
    counted: bool,
    /// Whether they are too much for one group.
    too_large: bool,
}
