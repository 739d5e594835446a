//! How long a container that ends must wait: at once, then 10 s, doubling up to 5 minutes, from the start again after 10 minutes of good behaviour.
use jiff::{SignedDuration, Timestamp};

/// The first delay.
pub const INITIAL: SignedDuration = SignedDuration::from_secs(10);
/// The longest delay.
pub const MAX: SignedDuration = SignedDuration::from_secs(300);
/// Running that long since the last restart forgets the past.
pub const RESET: SignedDuration = SignedDuration::from_secs(600);

/// A container's delay, which grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartBackoff {
    /// How long after the next end.
    pub delay: SignedDuration,
    /// When it last grew: at the last restart.
    pub grown: Timestamp,
}

impl RestartBackoff {
    /// Until when a container that ended at `finished` must wait; `None`: not at all.
    pub fn until(self, finished: Timestamp) -> Option<Timestamp> {
        (finished.duration_since(self.grown) <= RESET).then(|| finished.saturating_add(self.delay).unwrap_or(finished))
    }

    /// After a restart at `now` of what ended at `finished`.
    pub fn next(previous: Option<Self>, finished: Timestamp, now: Timestamp) -> Self {
        let delay = match previous.filter(|b| finished.duration_since(b.grown) <= RESET) {
            Some(b) => doubled(b.delay),
            None => INITIAL,
        };
        Self { delay, grown: now }
    }
}

/// Twice as long, at most [`MAX`].
pub fn doubled(delay: SignedDuration) -> SignedDuration {
    delay.checked_mul(2).unwrap_or(MAX).min(MAX)
}

/// The delay before try number `failures` + 1 of what isn't a container's run: a pull, a volume.
pub fn after(failures: u32, initial: SignedDuration) -> SignedDuration {
    let pause = bus::backoff::delay(failures, initial.unsigned_abs(), MAX.unsigned_abs());
    SignedDuration::try_from(pause).unwrap_or(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_as_documented_and_forgets() {
        let at = |s: i64| Timestamp::from_second(s).unwrap();
        let (mut now, mut backoff, mut delays) = (0, None, Vec::new());
        for _ in 0..8 {
            let finished = now;
            let until = backoff.and_then(|b: RestartBackoff| b.until(at(finished)));
            now = until.map_or(now, |t| t.as_second());
            delays.push(now - finished);
            backoff = Some(RestartBackoff::next(backoff, at(finished), at(now)));
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.unwrap().until(at(now + 601)), None);
        assert_eq!(RestartBackoff::next(backoff, at(now + 601), at(now + 601)).delay, INITIAL);
    }

    #[test]
    fn tries() {
        let delays: Vec<i64> = (1..=7).map(|n| after(n, INITIAL).as_secs()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    }
}
