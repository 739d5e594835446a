//! Durations as Go writes them, and points in time as RFC 3339 has them.
use crate::error::EvalError;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use std::fmt::Write as _;

/// Nanoseconds of a unit.
const UNITS: [(&str, i128); 8] =
    [("ns", 1), ("us", 1000), ("µs", 1000), ("μs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];
/// The first second that a timestamp may have: year 1.
const FIRST: i64 = -62_135_596_800;
/// The last one: year 9999.
const LAST: i64 = 253_402_300_799;

/// Nanoseconds of a text such as `1h30m` or `-1.5s`.
///
/// # Errors
/// It is no duration, or a longer one than 64 bits of nanoseconds.
pub fn duration(text: &str) -> Result<i64, EvalError> {
    let invalid = || EvalError::value(format!("time: invalid duration {text:?}"));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, after) = rest.split_at(end);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(invalid)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let fraction = fraction.get(..fraction.len().min(15)).unwrap_or_default();
        let part = if whole.is_empty() { 0 } else { whole.parse::<i128>().map_err(|_| invalid())? };
        total += part * scale;
        if !fraction.is_empty() {
            let digits: i128 = fraction.parse().map_err(|_| invalid())?;
            total += digits * scale / 10_i128.pow(u32::try_from(fraction.len()).unwrap_or_default());
        }
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// A point in time as RFC 3339 has it.
///
/// # Errors
/// It is none, or not between the years 1 and 9999.
pub fn timestamp(text: &str) -> Result<Timestamp, EvalError> {
    let invalid = || EvalError::value(format!("parsing time {text:?} as an RFC 3339 time failed"));
    let strict = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.as_bytes().get(4) == Some(&b'-') && !text.contains('[');
    let parsed: Timestamp = if strict { text.parse().map_err(|_| invalid())? } else { return Err(invalid()) };
    in_range(parsed).ok_or_else(|| EvalError::value("timestamp overflow"))
}

/// A date, or a point in time, as data has them.
///
/// # Errors
/// It is neither.
pub fn date_or_time(text: &str) -> Result<Timestamp, EvalError> {
    if text.len() == 10 { timestamp(&format!("{text}T00:00:00Z")) } else { timestamp(text) }
}

/// A point in time that is between the years 1 and 9999.
pub fn in_range(at: Timestamp) -> Option<Timestamp> {
    (FIRST..=LAST).contains(&at.as_second()).then_some(at)
}

/// A time zone: a name of the IANA's, or `+01:00`.
///
/// # Errors
/// There is none of this name.
pub fn zone(name: &str) -> Result<TimeZone, EvalError> {
    let unknown = || EvalError::value(format!("unknown time zone {name}"));
    if matches!(name, "" | "UTC" | "Z") {
        return Ok(TimeZone::UTC);
    }
    let (sign, digits) = match name.as_bytes().first() {
        Some(b'-') => (-1, name.get(1..).unwrap_or_default()),
        Some(b'+') => (1, name.get(1..).unwrap_or_default()),
        _ => (1, name),
    };
    match digits.split_once(':') {
        Some((hours, minutes)) => {
            let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit()));
            let (hours, minutes) = (number(hours).ok_or_else(unknown)?, number(minutes).ok_or_else(unknown)?);
            let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).map_err(|_| unknown())?;
            Ok(TimeZone::fixed(offset))
        }
        None => TimeZone::get(name).map_err(|_| unknown()),
    }
}

/// A part of a point in time, by the name of the function that asks for it.
///
/// # Errors
/// There is no such time zone.
pub fn part(at: Timestamp, function: &str, zone_name: &str) -> Result<i64, EvalError> {
    let local = at.to_zoned(zone(zone_name)?);
    Ok(match function {
        "getFullYear" => local.year().into(),
        "getMonth" => i64::from(local.month()) - 1,
        "getDayOfYear" => i64::from(local.day_of_year()) - 1,
        "getDayOfMonth" => i64::from(local.day()) - 1,
        "getDate" => local.day().into(),
        "getDayOfWeek" => local.weekday().to_sunday_zero_offset().into(),
        "getHours" => local.hour().into(),
        "getMinutes" => local.minute().into(),
        "getSeconds" => local.second().into(),
        _ => local.millisecond().into(),
    })
}

/// A part of a duration: all of it in hours and so on, but milliseconds within the second.
pub fn duration_part(nanoseconds: i64, function: &str) -> i64 {
    match function {
        "getHours" => nanoseconds / 3_600_000_000_000,
        "getMinutes" => nanoseconds / 60_000_000_000,
        "getSeconds" => nanoseconds / 1_000_000_000,
        _ => nanoseconds / 1_000_000 % 1000,
    }
}

/// A duration in seconds, as CEL writes it: `1.5s`.
pub fn written(nanoseconds: i64) -> String {
    let (seconds, rest) = (nanoseconds.unsigned_abs() / 1_000_000_000, nanoseconds.unsigned_abs() % 1_000_000_000);
    let mut out = format!("{}{seconds}", if nanoseconds < 0 { "-" } else { "" });
    if rest > 0 {
        let fraction = format!("{rest:09}");
        _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
    out + "s"
}
