//! The log format of container runtimes: `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, one line each; `P` is continued by the next one.
use jiff::Timestamp;

/// One line of a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When it was written.
    pub time: Timestamp,
    /// Whether it came from stderr.
    pub stderr: bool,
    /// Whether a newline follows.
    pub full: bool,
    /// What was written.
    pub text: &'a [u8],
}

/// Parses a line without its newline; `None` for what isn't one.
pub fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let stamp = std::str::from_utf8(parts.next()?).ok()?;
    let stream = parts.next()?;
    let tag = parts.next()?;
    let text = parts.next().unwrap_or_default();
    let time = stamp.parse().ok()?;
    Some(Line { time, stderr: stream == b"stderr", full: tag.first() != Some(&b'P'), text })
}

/// A time as it stands before a line: in UTC, with nine digits of a second.
pub fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// The beginning of a text: at most so many bytes, and whole characters.
pub fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// The end of a log as text: at most so many bytes and lines.
pub fn last_words(log: &[u8], bytes: usize, lines: usize) -> String {
    let parsed: Vec<Line<'_>> = log.split(|b| *b == b'\n').filter_map(parse).collect();
    let skip = parsed.len().saturating_sub(lines);
    let mut text: Vec<u8> = Vec::new();
    for line in parsed.iter().skip(skip) {
        text.extend_from_slice(line.text);
        if line.full {
            text.push(b'\n');
        }
    }
    let from = text.len().saturating_sub(bytes);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_of_whole_characters() {
        for (text, most, want) in [("abc", 2, "ab"), ("abc", 9, "abc"), ("éé", 3, "é"), ("é", 1, ""), ("", 0, "")] {
            assert_eq!(beginning(text, most), want);
        }
    }

    #[test]
    fn lines_and_ends() {
        let log = b"2026-01-01T00:00:00.1+00:00 stdout P ab\n2026-01-01T00:00:00.2+00:00 stdout F c d\nnonsense\n2026-01-01T00:00:01Z stderr F \n";
        assert_eq!(last_words(log, 100, 10), "abc d\n\n");
        assert_eq!(last_words(log, 3, 10), "d\n\n");
        assert_eq!(last_words(log, 100, 1), "\n");
        let line = parse(b"2026-01-01T00:00:01Z stderr F x").unwrap();
        assert!(line.stderr && line.full && line.text == b"x");
    }
}
