//! Measures from how many waiting writes on an atomic batch is quicker than single messages.
//!
//! A stream of one replica handles one publish after the other. A single message costs it one sync. A batch costs one sync and the gathering of its messages:
//! as much as three or four single messages where the server gathers in memory (see `bus/src/server/staging.rs`), and as ten where it gathers on disk. Neither
//! that nor the speed of the disk can be asked for. So both costs are measured, and the measurement of a batch slowly returns to a guess while no batches are
//! sent.
use std::time::Duration;

/// What a batch is taken for before one was measured, in messages that go alone.
const GUESS: f64 = 4.0;
/// Fewer writes are never sent together, as those who wait for few answers would all wait for the last of them; and more always.
const BOUNDS: (f64, f64) = (4.0, 16.0);
/// A larger batch says more of its messages than of itself.
const SMALL: usize = 32;
/// Together they must be quicker by so much: of those that go one by one, most have their answer before the last has.
const MARGIN: f64 = 1.25;
/// What a measurement weighs against those before it.
const WEIGHT: f64 = 1.0 / 8.0;
/// What the guess weighs against measured batches with each message that goes alone: else a batch that was slow once would be the last.
const DOUBT: f64 = 1.0 / 4096.0;
/// A measurement counts for at most so many times of what was measured before: a disk stalls now and then.
const STALL: f64 = 4.0;

/// What publishes to one stream have taken of late, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    single: Option<f64>,
    batch: Option<f64>,
}

impl Pace {
    /// A message that went alone was acknowledged, and `under_way` were on their way then, itself included.
    pub(crate) fn single(&mut self, took: Duration, under_way: usize) {
        let single = toward(self.single, took.as_secs_f64() / under_way.max(1) as f64);
        self.single = Some(single);
        self.batch = self.batch.map(|batch| batch + (GUESS * single - batch) * DOUBT);
    }

    /// A batch was acknowledged.
    pub(crate) fn batch(&mut self, took: Duration, messages: usize) {
        if messages <= SMALL {
            self.batch = Some(toward(self.batch, took.as_secs_f64()));
        }
    }

    /// So many waiting writes are sent together; fewer one by one.
    pub(crate) fn batch_from(&self) -> usize {
        let ratio = match (self.single, self.batch) {
            (Some(single), Some(batch)) if single > 0.0 => MARGIN * batch / single,
            _ => GUESS,
        };
        ratio.clamp(BOUNDS.0, BOUNDS.1).round() as usize
    }
}

fn toward(before: Option<f64>, now: f64) -> f64 {
    before.map_or(now, |before| before + (now.min(STALL * before) - before) * WEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn measured(single: Duration, batch: Duration) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.single(single, 1);
            pace.batch(batch, 8);
        }
        pace
    }

    #[test]
    fn what_is_quicker_is_done() {
        assert_eq!(Pace::default().batch_from(), 4, "a guess");
        for (single, batch, from) in [(1, 3, 4), (1, 7, 9), (1, 11, 14), (2, 1, 4), (1, 100, 16)] {
            assert_eq!(measured(MS * single, MS * batch).batch_from(), from, "{single} {batch}");
        }
    }

    #[test]
    fn messages_under_way_together_share_their_time() {
        let mut pace = Pace::default();
        pace.single(MS * 4, 4);
        pace.batch(MS * 8, 8);
        assert_eq!(pace.batch_from(), 10);
    }

    #[test]
    fn large_batches_say_nothing_of_small_ones() {
        let mut pace = measured(MS, MS * 4);
        (0..100).for_each(|_| pace.batch(MS * 15, 1_000));
        assert_eq!(pace.batch_from(), 5);
    }

    #[test]
    fn one_stall_changes_little() {
        let mut pace = measured(MS, MS * 6);
        pace.batch(MS * 1_000, 8);
        assert!(pace.batch_from() <= 11, "{pace:?}");
        pace.single(MS * 1_000, 1);
        assert!(pace.batch_from() >= 5, "{pace:?}");
    }

    #[test]
    fn what_was_dear_is_tried_again() {
        let mut pace = measured(MS, MS * 10);
        (0..6_000).for_each(|_| pace.single(MS, 1));
        assert!(pace.batch_from() < 8, "{pace:?}");
    }
}
