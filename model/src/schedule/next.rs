//! When a schedule is due next: every instant at which a clock of its time zone shows what its fields name. What a clock leaves out when it is put
//! forward is left out, and what it shows twice when it is put back is due twice.
use super::{Schedule, Values};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// A schedule that isn't due within so many years is never due.
const YEARS: i16 = 5;

impl Values {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1 << value) != 0)
    }
}

impl Schedule {
    /// When it is due first after `after`, by clocks of `zone`. `None`: never.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let second = Timestamp::from_second(after.as_second()).ok()?;
        match self {
            Self::Every(seconds) => second.checked_add(SignedDuration::from_secs(i64::try_from(*seconds).ok()?)).ok(),
            Self::Fields(fields) => next_of(fields, second.checked_add(SignedDuration::from_secs(1)).ok()?, zone),
        }
    }

    /// When it was due last by `now`, after `after`. `None`: not since.
    pub fn last(&self, after: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut last = self.next(after, zone).filter(|first| *first <= now)?;
        if let Self::Every(seconds) = self {
            let each = i64::try_from(*seconds).ok()?.max(1);
            let more = (now.as_second() - last.as_second()) / each * each;
            return last.checked_add(SignedDuration::from_secs(more)).ok();
        }
        // nothing is due after `until` up to now
        let mut until = now;
        while let Some(next) = self.next(last, zone).filter(|next| *next <= until) {
            last = next;
            let middle = last.checked_add(until.duration_since(last) / 2).ok()?;
            match self.next(middle, zone).filter(|next| *next <= until) {
                Some(later) => last = later,
                None => until = middle,
            }
        }
        Some(last)
    }
}

/// The first instant from `from` on that the fields name.
fn next_of([minutes, hours, days, months, weekdays]: &[Values; 5], from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut at = from.to_zoned(zone.clone());
    let last_year = at.year().saturating_add(YEARS);
    if at.second() > 0 {
        at = later(&at, 60 - i64::from(at.second()))?;
    }
    while at.year() <= last_year {
        let weekday = at.weekday().to_sunday_zero_offset();
        let (in_month, in_week) = (days.has(at.day()), weekdays.has(weekday));
        // where both are named, either will do
        let day = if days.any || weekdays.any { in_month && in_week } else { in_month || in_week };
        at = if !months.has(at.month()) {
            first_of_month(&at)?
        } else if !day {
            midnight(&at)?
        } else if !hours.has(at.hour()) {
            next_hour(&at)?
        } else if !minutes.has(at.minute()) {
            later(&at, 60)?
        } else {
            return Some(at.timestamp());
        };
    }
    None
}

fn later(at: &Zoned, seconds: i64) -> Option<Zoned> {
    at.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The beginning of the next day; a minute later where that isn't later.
fn midnight(at: &Zoned) -> Option<Zoned> {
    let next = at.date().tomorrow().ok()?.to_zoned(at.time_zone().clone()).ok()?;
    if next > *at { Some(next) } else { later(at, 60) }
}

fn first_of_month(at: &Zoned) -> Option<Zoned> {
    let next = at.date().last_of_month().tomorrow().ok()?.to_zoned(at.time_zone().clone()).ok()?;
    if next > *at { Some(next) } else { later(at, 60) }
}

/// The beginning of the next hour; the next minute where clocks change before that.
fn next_hour(at: &Zoned) -> Option<Zoned> {
    let next = later(at, 60 * (60 - i64::from(at.minute())))?;
    if next.offset() == at.offset() { Some(next) } else { later(at, 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nexts(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (schedule, zone) = (Schedule::parse(schedule).unwrap(), TimeZone::get(zone).unwrap());
        let first = schedule.next(at(after), &zone);
        std::iter::successors(first, |last| schedule.next(*last, &zone)).take(count).map(|t| t.to_string()).collect()
    }

    #[test]
    fn due_times() {
        for (schedule, after, expected) in [
            ("*/15 * * * *", "2026-03-01T00:00:00Z", ["2026-03-01T00:15:00Z", "2026-03-01T00:30:00Z"]),
            ("*/15 * * * *", "2026-03-01T00:14:59.5Z", ["2026-03-01T00:15:00Z", "2026-03-01T00:30:00Z"]),
            ("0 0 29 2 *", "2026-03-01T00:00:00Z", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            // a day of the month and a day of the week: either
            ("0 12 13 * fri", "2026-11-01T00:00:00Z", ["2026-11-06T12:00:00Z", "2026-11-13T12:00:00Z"]),
            ("0 12 * * 0", "2026-11-01T12:00:00Z", ["2026-11-08T12:00:00Z", "2026-11-15T12:00:00Z"]),
            ("30 6-16/4 * * 1-5", "2026-11-06T14:30:00Z", ["2026-11-09T06:30:00Z", "2026-11-09T10:30:00Z"]),
            ("@yearly", "2026-11-06T14:30:00Z", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
            ("@every 1h30m", "2026-11-06T14:30:10.7Z", ["2026-11-06T16:00:10Z", "2026-11-06T17:30:10Z"]),
        ] {
            assert_eq!(nexts(schedule, "UTC", after, 2), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn clocks_that_change() {
        for (schedule, zone, after, expected) in [
            // at 2:00 it is 3:00: 2:30 doesn't come
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]),
            ("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"]),
            // at 3:00 it is 2:00 again: 2:30 comes twice
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
            ("0 9 * * *", "America/New_York", "2026-03-07T12:00:00Z", ["2026-03-07T14:00:00Z", "2026-03-08T13:00:00Z"]),
            // half an hour forward
            ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", ["2026-10-04T15:15:00Z", "2026-10-05T15:15:00Z"]),
            // days that begin at 1:00
            ("0 0 * * *", "America/Asuncion", "2023-09-30T12:00:00Z", ["2023-10-02T03:00:00Z", "2023-10-03T03:00:00Z"]),
            ("30 1 * * *", "America/Asuncion", "2023-09-30T12:00:00Z", ["2023-10-01T04:30:00Z", "2023-10-02T04:30:00Z"]),
        ] {
            assert_eq!(nexts(schedule, zone, after, 2), expected, "{schedule} in {zone} after {after}");
        }
    }

    #[test]
    fn what_never_comes_is_never_due() {
        for schedule in ["59 23 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(nexts(schedule, "America/St_Johns", "2026-11-06T14:30:00Z", 1), [""; 0], "{schedule}");
        }
    }

    #[test]
    fn the_last_time() {
        for (schedule, after, now, expected) in [
            ("* * * 12 *", "2020-01-01T00:00:00Z", "2026-11-06T14:30:00Z", Some("2025-12-31T23:59:00Z")),
            ("0 0 * * *", "2026-11-06T00:00:00Z", "2026-11-06T23:59:59Z", None),
            ("0 0 * * *", "2026-11-05T00:00:00Z", "2026-11-06T00:00:00Z", Some("2026-11-06T00:00:00Z")),
            ("@every 7s", "2026-11-05T00:00:01Z", "2026-11-05T00:00:23Z", Some("2026-11-05T00:00:22Z")),
            ("@every 7s", "2026-11-05T00:00:01Z", "2026-11-05T00:00:07Z", None),
        ] {
            let last = Schedule::parse(schedule).unwrap().last(at(after), at(now), &TimeZone::UTC);
            assert_eq!(last.map(|t| t.to_string()).as_deref(), expected, "{schedule} after {after} by {now}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The next time is the first minute from there on whose clock shows what the fields name; the last one is the last of these.
        #[test]
        fn the_next_time_is_the_first_that_matches(
            minute in 0_u32..60, hour in prop::sample::select(vec!["*", "*/6", "1-3", "2", "23", "0"]), day in prop::sample::select(vec!["*", "29", "1,25"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
            start in 1_772_000_000_i64..1_800_000_000,
        ) {
            let schedule = Schedule::parse(&format!("{minute} {hour} {day} * *")).unwrap();
            let (zone, start) = (TimeZone::get(zone).unwrap(), Timestamp::from_second(start).unwrap());
            let Schedule::Fields([m, h, d, ..]) = &schedule else { panic!() };
            let matches = |t: &Timestamp| {
                let z = t.to_zoned(zone.clone());
                z.second() == 0 && m.has(z.minute()) && h.has(z.hour()) && d.has(z.day())
            };
            let minutes = (start.as_second() / 60 + 1..).map(|n| Timestamp::from_second(n * 60).unwrap()).take(45 * 1440);
            let all: Vec<Timestamp> = minutes.filter(matches).collect();
            let found: Vec<Timestamp> = std::iter::successors(schedule.next(start, &zone), |t| schedule.next(*t, &zone)).take(all.len()).collect();
            prop_assert_eq!(&found, &all);
            if let Some(now) = start.checked_add(SignedDuration::from_hours(24 * 45)).ok().filter(|_| !all.is_empty()) {
                prop_assert_eq!(schedule.last(start, now, &zone), all.iter().rfind(|t| **t <= now).copied());
            }
        }
    }
}
