//! Kubernetes' quantities, such as `100Mi` or `1.5`, exact to a billionth.
use crate::error::EvalError;
use std::cmp::Ordering;

const NANO: i128 = 1_000_000_000;
/// What a suffix multiplies by.
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
/// The power of ten of a suffix.
const DECIMAL: [(&str, i32); 10] = [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// A quantity in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nano: i128,
}

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, EvalError> {
        let invalid = || EvalError::value("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned());
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() + fraction.len() > 128 {
            return Err(invalid());
        }
        let digits = format!("{whole}{fraction}");
        let scale = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let magnitude = match (BINARY.iter().find(|(s, _)| *s == suffix), DECIMAL.iter().find(|(s, _)| *s == suffix)) {
            (Some((_, shift)), _) => scaled(&digits, 9 - scale, *shift),
            (_, Some((_, power))) => scaled(&digits, 9 - scale + power, 0),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E']).ok_or_else(invalid)?;
                let exponent: i32 = exponent.parse().map_err(|_| invalid())?;
                scaled(&digits, exponent.clamp(-1000, 1000) + 9 - scale, 0)
            }
        };
        Ok(Self { nano: if negative { -magnitude } else { magnitude } })
    }

    /// Below zero, zero or above.
    pub fn sign(self) -> i64 {
        match self.nano.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// It as a whole number, where it is one of 64 bits.
    pub fn integer(self) -> Option<i64> {
        (self.nano % NANO == 0).then(|| i64::try_from(self.nano / NANO).ok()).flatten()
    }

    /// About it.
    pub fn float(self) -> f64 {
        self.nano as f64 / NANO as f64
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano) }
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_sub(other.nano) }
    }
}

impl From<i64> for Quantity {
    fn from(whole: i64) -> Self {
        Self { nano: i128::from(whole) * NANO }
    }
}

/// Digits times a power of ten times a power of two; what is less than 1 is rounded up, what is too large is the largest.
fn scaled(digits: &str, power: i32, shift: u32) -> i128 {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let drop = usize::try_from(-power).unwrap_or_default();
    // one digit that was dropped and isn't zero rounds up; with a power of two some digits stay until it has been applied
    let extra = if shift > 0 { drop.min(18) } else { 0 };
    let kept = digits.get(..digits.len().saturating_sub(drop - extra)).unwrap_or_default();
    let lost = digits.get(kept.len()..).unwrap_or_default().bytes().any(|b| b != b'0');
    let mut out: i128 = if kept.is_empty() { 0 } else { kept.parse().unwrap_or(i128::MAX) };
    for _ in 0..power.max(0) {
        out = out.saturating_mul(10);
    }
    out = out.saturating_mul(1_i128 << shift);
    let divisor = 10_i128.pow(u32::try_from(extra).unwrap_or_default());
    let up = lost || out % divisor != 0;
    (out / divisor).saturating_add(i128::from(up))
}
