//! What the plans of a key have tried in vain, and when it may be tried again: a plan names it, and a later one is told when.
use super::queue::later;
use bus::backoff;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_mins(15);
/// What was not tried for so long is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(30);

/// Nothing was tried.
pub(super) static NONE: Attempts = Attempts(BTreeMap::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    times: u32,
    last: Timestamp,
}

/// How often something was tried, and when last, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts(BTreeMap<String, Attempt>);

impl Attempts {
    /// When something may be tried again: at once where that isn't later than now. The pause doubles with each attempt.
    pub fn next(&self, what: &str) -> Timestamp {
        self.0.get(what).map_or(Timestamp::MIN, |attempt| {
            let pause = SignedDuration::try_from(backoff::delay(attempt.times, MIN, MAX)).unwrap_or(SignedDuration::MAX);
            later(attempt.last, pause)
        })
    }

    /// These are tried now.
    pub fn note(&mut self, what: Vec<String>, now: Timestamp) {
        self.0.retain(|_, attempt| now.duration_since(attempt.last) < FORGOTTEN);
        for what in what {
            let attempt = self.0.entry(what).or_insert(Attempt { times: 0, last: now });
            *attempt = Attempt { times: attempt.times.saturating_add(1), last: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_nothing_was_tried_for_long() {
        let mut attempts = Attempts::default();
        let (mut now, mut pauses) = (Timestamp::UNIX_EPOCH, Vec::new());
        assert_eq!(attempts.next("n1"), Timestamp::MIN);
        for _ in 0..12 {
            attempts.note(vec!["n1".to_owned()], now);
            pauses.push(attempts.next("n1").duration_since(now).as_secs());
            now = attempts.next("n1");
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(attempts.next("n2"), Timestamp::MIN, "each has its own pause");
        now = later(now, SignedDuration::from_mins(31));
        attempts.note(vec!["n1".to_owned()], now);
        assert_eq!(attempts.next("n1").duration_since(now).as_secs(), 1);
    }
}
