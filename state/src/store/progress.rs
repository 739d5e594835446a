//! A number that others wait for. Those who wait are woken in the order in which they came, so that a seed of the simulation replays.
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// A number that others wait for.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    value: AtomicU64,
    moved: Notify,
}

impl Progress {
    /// Where it is.
    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Moves it to `value`, and wakes those who wait where that is another one.
    pub(crate) fn set(&self, value: u64) {
        if self.value.swap(value, Ordering::AcqRel) != value {
            self.moved.notify_waiters();
        }
    }

    /// Waits until it is `value` or more.
    pub(crate) async fn reach(&self, value: u64) {
        loop {
            let moved = self.moved.notified();
            if self.get() >= value {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn who_waits_is_woken_by_the_move_that_is_far_enough() {
        let progress = Progress::default();
        let mut far = Box::pin(progress.reach(3));
        assert!(far.as_mut().now_or_never().is_none());
        progress.set(2);
        assert!(far.as_mut().now_or_never().is_none());
        progress.set(3);
        assert!(far.now_or_never().is_some() && progress.reach(1).now_or_never().is_some());
    }
}
