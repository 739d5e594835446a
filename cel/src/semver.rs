//! Semantic versions: <https://semver.org>, version 2.0.0.
use crate::error::EvalError;
use std::cmp::Ordering;

/// A version.
#[derive(Clone, Debug)]
pub struct Semver {
    /// Major, minor and patch.
    pub numbers: [u64; 3],
    before: Vec<Box<str>>,
}

fn number(text: &str) -> Option<u64> {
    let canonical = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Semver {
    /// Reads a version; `normalize` forgives a leading `v`, zeros in front of numbers, and numbers that aren't there.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str, normalize: bool) -> Result<Self, EvalError> {
        let invalid = || EvalError::value(format!("invalid semantic version {text:?}"));
        let text = if normalize { text.strip_prefix('v').unwrap_or(text) } else { text };
        let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
        let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return Err(invalid());
        }
        let mut parts: Vec<&str> = core.split('.').collect();
        if normalize {
            parts.iter_mut().for_each(|part| {
                let stripped = part.trim_start_matches('0');
                *part = if stripped.is_empty() && !part.is_empty() { "0" } else { stripped };
            });
            while parts.len() < 3 && before.is_none() && build.is_none() {
                parts.push("0");
            }
        }
        let numbers: Vec<u64> = parts.into_iter().map(number).collect::<Option<_>>().ok_or_else(invalid)?;
        let numbers: [u64; 3] = numbers.try_into().map_err(|_| invalid())?;
        let before: Vec<Box<str>> = before.map(|b| b.split('.').map(Into::into).collect()).unwrap_or_default();
        let valid = |part: &str| is_identifier(part) && (number(part).is_some() || !part.bytes().all(|b| b.is_ascii_digit()));
        if before.iter().all(|part| valid(part)) { Ok(Self { numbers, before }) } else { Err(invalid()) }
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        let identifiers = |a: &str, b: &str| match (number(a), number(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => a.cmp(b),
        };
        self.numbers.cmp(&other.numbers).then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let each = self.before.iter().zip(&other.before).map(|(a, b)| identifiers(a, b));
                each.fold(Ordering::Equal, Ordering::then).then(self.before.len().cmp(&other.before.len()))
            }
        })
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Semver {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Semver {}
