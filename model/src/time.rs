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
/// From RFC 3339; `None` when `text` is no time.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
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
        assert_eq!(age_of("", t), "<unknown>");
        assert_eq!(age_of("2026-01-02T02:59:02Z", t), "5m3s");
    }
}
