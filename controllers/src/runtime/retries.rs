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
pub(super) static NONE: Retries = Retries(BTreeMap::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retry {
    times: u32,
    last: Timestamp,
}

/// How often something was tried, and when last, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries(BTreeMap<String, Retry>);

impl Retries {
    /// When something may be tried again: at once where that isn't later than now. The pause doubles with each retry.
    pub fn next(&self, what: &str) -> Timestamp {
        self.0.get(what).map_or(Timestamp::MIN, |retry| {
            let pause = SignedDuration::try_from(backoff::delay(retry.times, MIN, MAX)).unwrap_or(SignedDuration::MAX);
            later(retry.last, pause)
        })
    }

    /// These are tried now.
    pub fn note(&mut self, what: Vec<String>, now: Timestamp) {
        self.0.retain(|_, retry| now.duration_since(retry.last) < FORGOTTEN);
        for what in what {
            let retry = self.0.entry(what).or_insert(Retry { times: 0, last: now });
            *retry = Retry { times: retry.times.saturating_add(1), last: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_nothing_was_tried_for_long() {
        let mut retries = Retries::default();
        let (mut now, mut pauses) = (Timestamp::UNIX_EPOCH, Vec::new());
        assert_eq!(retries.next("n1"), Timestamp::MIN);
        for _ in 0..12 {
            retries.note(vec!["n1".to_owned()], now);
            pauses.push(retries.next("n1").duration_since(now).as_secs());
            now = retries.next("n1");
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(retries.next("n2"), Timestamp::MIN, "each has its own pause");
        now = later(now, SignedDuration::from_mins(31));
        retries.note(vec!["n1".to_owned()], now);
        assert_eq!(retries.next("n1").duration_since(now).as_secs(), 1);
    }
}
