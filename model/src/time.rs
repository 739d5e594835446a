//! Times as Kubernetes writes them, and ages as `kubectl` shows them.
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// `metav1.Time`: whole seconds, UTC: `2026-01-01T00:00:00Z`.
pub fn format(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
/// `metav1.MicroTime`: `2026-01-01T00:00:00.000000Z`.
pub fn format_micro(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
/// From RFC 3339, with nothing that ISO 8601 would allow besides; `None` when `text` is no time, or one that can't be written so in UTC.
pub fn parse(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok().filter(|_| is_rfc3339(text))?;
    (0..=9999).contains(&time.to_zoned(TimeZone::UTC).year()).then_some(time)
}

/// `2026-01-02T03:04:05`, perhaps a fraction, then `Z` or an offset such as `+02:00`.
fn is_rfc3339(text: &str) -> bool {
    let like =
        |text: &str, form: &str| text.len() == form.len() && text.bytes().zip(form.bytes()).all(|(b, f)| if f == b'0' { b.is_ascii_digit() } else { b == f });
    let Some((whole, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let fraction = rest.len() - zone.len();
    like(whole, "0000-00-00T00:00:00") && fraction != 1 && (zone == "Z" || like(zone, "+00:00") || like(zone, "-00:00"))
}
/// Seconds from `since` to `now`.
pub fn seconds_between(since: Timestamp, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(since.as_second())
}

/// A time span in at most two units, precise where it is short: `5m3s`, `4h`, `2d3h`, `1y20d`. Negative spans show as `0s` or `<invalid>`.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |a: i64, unit: &str, rest: i64, small: &str| if rest == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{rest}{small}") };
    match seconds {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// The age of a time written in an object: `5m3s`, or `<unknown>` when there is none.
pub fn age(since: Option<&Value>, now: Timestamp) -> String {
    age_of(since.and_then(Value::as_str).unwrap_or_default(), now)
}
/// The age of an RFC 3339 time, or `<unknown>`.
pub fn age_of(since: &str, now: Timestamp) -> String {
    parse(since).map_or_else(|| "<unknown>".to_owned(), |t| human_duration(seconds_between(t, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_kubectl_shows_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (303, "5m3s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (183_600, "2d3h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (64_000_000, "2y10d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times() {
        let t = parse("2026-01-02T03:04:05.678901Z").unwrap();
        assert_eq!((format(t).as_str(), format_micro(t).as_str()), ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901Z"));
        assert_eq!(parse("2026-01-02T05:04:05.678901+02:00"), Some(t));
        for no_time in [
            "",
            "2026-01-02",
            "2026-01-02T03:04Z",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Z[UTC]",
            "20260102T030405Z",
            "-009999-01-02T01:59:59Z",
            "0000-01-01T00:00:00+01:00",
            "2026-01-02T03:04:05+02",
            "2026-13-02T03:04:05Z",
        ] {
            assert_eq!(parse(no_time), None, "{no_time}");
        }
        assert_eq!(age_of("", t), "<unknown>");
        assert_eq!(age_of("2026-01-02T02:59:02Z", t), "5m3s");
    }
}
