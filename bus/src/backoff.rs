//! Pauses between attempts at what fails: each is twice as long as the one before, within bounds.
use std::time::Duration;

/// The pause after so many failures in a row, where the first one is followed by `min`.
pub fn delay(failures: u32, min: Duration, max: Duration) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    min.saturating_mul(factor).min(max)
}

/// The pauses of one loop that tries again and again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// From `min` on, up to `max`.
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// Counts a failure; the pause that follows it.
    pub fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        delay(self.failures, self.min, self.max)
    }

    /// Something succeeded: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let (min, max) = (Duration::from_millis(20), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.pause(), min);
        assert_eq!([delay(0, min, max), delay(33, min, max), delay(u32::MAX, min, max)], [min, max, max]);
        assert_eq!(delay(u32::MAX, Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
