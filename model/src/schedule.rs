//! Schedules of CronJobs: the five fields of cron, or a name such as `@hourly`, or `@every 1h30m`.
mod next;

/// Names for schedules, and what they stand for.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values of one field: a bit for each, and whether all are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// Bit `n` for the value `n`.
    pub bits: u64,
    /// Whether the field is `*` or `?`.
    pub any: bool,
}

/// When a job is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At these minutes, hours, days of the month, months and days of the week, Sunday being 0.
    Fields([Values; 5]),
    /// Every so many seconds.
    Every(u64),
}

/// A field: its least and largest value, and the names of its values.
type Field = (u32, u32, &'static [&'static str]);
const FIELDS: [Field; 5] = [(0, 59, &[]), (0, 23, &[]), (1, 31, &[]), (1, 12, &MONTHS), (0, 6, &DAYS)];

impl Schedule {
    /// Parses a schedule.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        if let Some(every) = text.strip_prefix("@every ") {
            return seconds(every.trim()).map(Self::Every).ok_or_else(|| format!("failed to parse duration {text}"));
        }
        let fields = match text.strip_prefix('@') {
            Some(_) => NAMED.iter().find(|(name, _)| *name == text).map(|(_, fields)| *fields).ok_or_else(|| format!("unrecognized descriptor: {text}"))?,
            None => text,
        };
        let words: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", words.len(), words.join(" ")));
        };
        let [a, b, c, d, e] = FIELDS;
        Ok(Self::Fields([values(minute, a)?, values(hour, b)?, values(day, c)?, values(month, d)?, values(weekday, e)?]))
    }
}

/// The values of a field: parts with commas between.
fn values(text: &str, field: Field) -> Result<Values, String> {
    let mut all = Values { bits: 0, any: false };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (bits, any) = range(part, field)?;
        all.bits |= bits;
        all.any |= any;
    }
    Ok(all)
}

/// `*`, `5`, `1-5`, each perhaps with a step: `*/15`.
fn range(text: &str, (least, most, names): Field) -> Result<(u64, bool), String> {
    let (hyphens, slashes) = (text.split('/').next().map_or(0, |span| span.matches('-').count()), text.matches('/').count());
    if hyphens > 1 {
        return Err(format!("too many hyphens: {text}"));
    }
    if slashes > 1 {
        return Err(format!("too many slashes: {text}"));
    }
    let (span, step) = text.split_once('/').map_or((text, None), |(span, step)| (span, Some(step)));
    let any = matches!(span, "*" | "?");
    let value = |word: &str| -> Result<u32, String> {
        let named = names.iter().position(|name| word.eq_ignore_ascii_case(name)).and_then(|at| u32::try_from(at).ok()).map(|at| at + least);
        named.or_else(|| word.parse().ok()).ok_or_else(|| format!("failed to parse int from {word}: strconv.Atoi: parsing {word:?}: invalid syntax"))
    };
    let (from, to) = match span.split_once('-') {
        _ if any => (least, most),
        Some((from, to)) => (value(from)?, value(to)?),
        None => (value(span)?, if step.is_some() { most } else { value(span)? }),
    };
    let step_by = step.map_or(Ok(1), |s| s.parse::<u32>().map_err(|_| format!("failed to parse int from {s}: strconv.Atoi: parsing {s:?}: invalid syntax")))?;
    if from < least {
        return Err(format!("beginning of range ({from}) below minimum ({least}): {text}"));
    }
    if to > most {
        return Err(format!("end of range ({to}) above maximum ({most}): {text}"));
    }
    if from > to {
        return Err(format!("beginning of range ({from}) beyond end of range ({to}): {text}"));
    }
    if step_by == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let bits = (from..=to).step_by(usize::try_from(step_by).unwrap_or(1)).fold(0_u64, |bits, n| bits | 1 << n);
    Ok((bits, any && step_by == 1))
}

/// Seconds of a duration as Go writes it, `1h30m`; at least one.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0_f64);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(digits);
        let units = [("ms", 0.001), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * factor;
        rest = after.strip_prefix(unit)?;
    }
    // below a second it is rounded up; what doesn't fit 30 years is no schedule
    (!text.is_empty() && total < 1e9).then_some((total as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str, field: usize) -> Vec<u32> {
        let Schedule::Fields(fields) = Schedule::parse(text).unwrap() else { panic!("{text}") };
        (0..64).filter(|n| fields[field].bits & (1 << n) != 0).collect()
    }

    #[test]
    fn fields() {
        assert_eq!(bits("*/15 * * * *", 0), [0, 15, 30, 45]);
        assert_eq!(bits("5/20 * * * *", 0), [5, 25, 45]);
        assert_eq!(bits("1,3-5 * * * *", 0), [1, 3, 4, 5]);
        assert_eq!(bits("0 0 1 jan-MAR *", 3), [1, 2, 3]);
        assert_eq!(bits("0 0 * * sun,Fri", 4), [0, 5]);
        assert_eq!(bits("@weekly", 4), [0]);
        assert_eq!(Schedule::parse("@every 1h30m"), Ok(Schedule::Every(5_400)));
        assert_eq!(Schedule::parse("@every 1ms"), Ok(Schedule::Every(1)));
        let Ok(Schedule::Fields([minute, _, day, ..])) = Schedule::parse("*/1 * ? * *") else { panic!() };
        assert!(minute.any && day.any);
    }

    #[test]
    fn refused() {
        for (text, why) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("x * * * *", "failed to parse int from x"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every soon", "failed to parse duration @every soon"),
        ] {
            let error = Schedule::parse(text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }
}
