//! When a CronJob's next Job is due, and which one is due now. Pure functions, with the estimates that Kubernetes makes.
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::schedule::Schedule;

/// From so many missed times on people are told.
const MANY: i64 = 100;
/// So much later a due time is looked at: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_millis(100);

/// What decides when Jobs are due.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The schedule.
    pub schedule: Schedule,
    /// By which clocks.
    pub zone: TimeZone,
    /// When the CronJob was made.
    pub created: Timestamp,
    /// When its last Job was due.
    pub last: Option<Timestamp>,
    /// So long after it was due a Job is still begun.
    pub deadline: Option<SignedDuration>,
}

/// What was due since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The latest time that was due.
    pub latest: Option<Timestamp>,
    /// From when on was looked.
    pub since: Timestamp,
    /// About how many times were due, if more than one.
    pub count: i64,
}

impl Missed {
    /// Whether people are to be told.
    pub fn too_many(&self) -> bool {
        self.count > MANY
    }
}

impl Timing {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, &self.zone)
    }

    /// What was due by `now`; with `within_deadline` only what may still begin.
    ///
    /// # Errors
    /// When the schedule is never due.
    pub fn missed(&self, now: Timestamp, within_deadline: bool) -> Result<Missed, &'static str> {
        let last = self.last.unwrap_or(self.created);
        let too_late = self.deadline.filter(|_| within_deadline).and_then(|deadline| now.checked_sub(deadline).ok());
        let since = too_late.map_or(last, |too_late| too_late.max(last));
        let found = |latest, count| Ok(Missed { latest, since, count });
        let first = self.next(since).ok_or("time difference between two schedules is less than 1 second")?;
        if now < first {
            return found(None, 0);
        }
        let Some(second) = self.next(first).filter(|second| *second <= now) else { return found(Some(first), 0) };
        // as many as there would be if all were as far apart as the first two
        let apart = second.duration_since(first).as_secs().max(1);
        let count = now.duration_since(first).as_secs() / apart + 1;
        let from = SignedDuration::from_secs((count - 2).saturating_mul(apart));
        found(first.checked_add(from).ok().and_then(|from| self.schedule.last(from, now, &self.zone)), count)
    }

    /// When to look at the schedule next.
    pub fn look_at(&self, now: Timestamp) -> Option<Timestamp> {
        let from = match self.missed(now, false) {
            Ok(Missed { latest: Some(latest), .. }) => latest,
            Ok(Missed { count: 0, since, .. }) => since,
            Ok(_) | Err(_) => now,
        };
        self.next(from)?.checked_add(MARGIN).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}Z").parse().unwrap()
    }

    fn timing(schedule: &str, last: Option<&str>, deadline: Option<i64>) -> Timing {
        let deadline = deadline.map(SignedDuration::from_secs);
        Timing { schedule: Schedule::parse(schedule).unwrap(), zone: TimeZone::UTC, created: at("01-01T10:00:00"), last: last.map(at), deadline }
    }

    #[test]
    fn what_is_due() {
        for (schedule, last, deadline, now, latest, count) in [
            ("0 * * * *", None, None, "01-01T10:59:59", None, 0),
            ("0 * * * *", None, None, "01-01T11:00:00", Some("01-01T11:00:00"), 0),
            ("0 * * * *", Some("01-01T11:00:00"), None, "01-01T11:59:00", None, 0),
            ("0 * * * *", Some("01-01T11:00:00"), None, "01-01T13:10:00", Some("01-01T13:00:00"), 2),
            ("0 * * * *", None, None, "01-05T13:10:00", Some("01-05T13:00:00"), 99),
            ("0 * * * *", None, None, "01-05T15:10:00", Some("01-05T15:00:00"), 101),
            ("0 * * * *", None, Some(200), "01-05T15:10:00", None, 0),
            ("0 * * * *", None, Some(700), "01-05T15:10:00", Some("01-05T15:00:00"), 0),
            ("30 6-16/4 * * 1-5", None, None, "01-05T14:31:00", Some("01-05T14:30:00"), 26),
            ("@every 90m", None, None, "01-01T20:00:00", Some("01-01T19:00:00"), 6),
            // the first two are close, and none follows for long
            ("0,1 12 1 * *", None, None, "01-20T00:00:00", None, 26_641),
        ] {
            let missed = timing(schedule, last, deadline).missed(at(now), true).unwrap();
            assert_eq!((missed.latest, missed.count), (latest.map(at), count), "{schedule} by {now}");
            assert_eq!(missed.too_many(), count > 100);
        }
        assert!(timing("59 23 31 2 *", None, None).missed(at("06-01T00:00:00"), true).is_err());
        assert_eq!(timing("59 23 31 2 *", None, None).look_at(at("06-01T00:00:00")), None);
    }

    #[test]
    fn it_is_looked_at_soon_after_the_next_time() {
        for (last, now, next) in [
            (None, "01-01T10:30:00", "01-01T11:00:00.1"),
            (Some("01-01T11:00:00"), "01-01T11:00:01", "01-01T12:00:00.1"),
            (Some("01-01T11:00:00"), "01-03T11:30:01", "01-03T12:00:00.1"),
        ] {
            assert_eq!(timing("0 * * * *", last, Some(10)).look_at(at(now)), Some(at(next)));
        }
    }
}
