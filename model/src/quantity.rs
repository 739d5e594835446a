//! Quantities of resources: `100m`, `1.5Gi`, `2e3`. Exact, in units of 10⁻⁹, as Kubernetes' API reference defines them.
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// Units of one: nothing smaller than 10⁻⁹ is kept; what is smaller is rounded away from zero.
const NANO: i128 = 1_000_000_000;

/// Which family of suffixes a quantity was written with; it is printed with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text doesn't have the form of a quantity.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The suffix isn't one of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An exact amount. Equal amounts compare equal, however they were written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    form: Form,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, form: Form::Decimal };

    /// `n` thousandths, printed with decimal suffixes.
    pub fn from_milli(n: i128) -> Self {
        Self { nanos: n.saturating_mul(NANO / 1000), form: Form::Decimal }
    }
    /// `n` whole units, printed with decimal suffixes.
    pub fn from_value(n: i128) -> Self {
        Self { nanos: n.saturating_mul(NANO), form: Form::Decimal }
    }
    /// `n` whole units, printed with binary suffixes: `from_bytes(1024)` is `1Ki`.
    pub fn from_bytes(n: i128) -> Self {
        Self { nanos: n.saturating_mul(NANO), form: Form::Binary }
    }
    /// `n` billionths, printed with decimal suffixes.
    pub fn from_nanos(n: i128) -> Self {
        Self { nanos: n, form: Form::Decimal }
    }
    /// From what objects hold: a string or a number.
    ///
    /// # Errors
    /// When it is neither, or doesn't parse.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(n) => n.to_string().parse(),
            _ => Err(QuantityError::Format),
        }
    }
    /// Thousandths, rounded away from zero.
    pub fn milli(&self) -> i128 {
        round_up(self.nanos, NANO / 1000)
    }
    /// Whole units, rounded away from zero.
    pub fn value(&self) -> i128 {
        round_up(self.nanos, NANO)
    }
    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }
    /// Whether it is a whole number of units.
    pub fn is_integer(&self) -> bool {
        self.nanos % NANO == 0
    }
    /// Whether it is a whole number of thousandths.
    pub fn is_milli(&self) -> bool {
        self.nanos % (NANO / 1000) == 0
    }
}

/// `a / b` rounded away from zero; `b` is positive.
fn round_up(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    quotient + rest.signum()
}

/// What a suffix means: its form and power, of 1024 for the binary form, otherwise of ten.
fn suffix(text: &str) -> Option<(Form, i32)> {
    let decimal = |power| Some((Form::Decimal, power));
    let binary = |power| Some((Form::Binary, power));
    match text {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => text.strip_prefix(['e', 'E']).and_then(|power| power.parse().ok()).map(|power| (Form::Exponent, power)),
    }
}

/// The digits of a number without its point, and how many of them follow the point.
fn number(text: &str) -> Result<(i128, i32), QuantityError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(QuantityError::Format);
    }
    // beyond 18 digits after the point nothing can matter but that there was something
    let kept = fraction.get(..18).unwrap_or(fraction);
    let lost = fraction.get(18..).unwrap_or_default().bytes().any(|b| b != b'0');
    let digits = format!("{whole}{kept}").bytes().fold(0_i128, |n, b| n.saturating_mul(10).saturating_add(i128::from(b.saturating_sub(b'0'))));
    Ok((digits.saturating_add(i128::from(lost)), i32::try_from(kept.len()).unwrap_or(18)))
}

/// `digits · 10^power` with saturation, rounded up where the power is negative.
fn scale_ten(digits: i128, power: i32) -> i128 {
    match u32::try_from(power) {
        Ok(up) => 10_i128.checked_pow(up).map_or(if digits == 0 { 0 } else { i128::MAX }, |factor| digits.saturating_mul(factor)),
        Err(_) => 10_i128.checked_pow(power.unsigned_abs()).map_or(digits.signum(), |factor| round_up(digits, factor)),
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, unit) = (rest.get(..end).unwrap_or_default(), rest.get(end..).unwrap_or_default());
        let (digits, places) = number(digits)?;
        let (form, power) = suffix(unit).ok_or(QuantityError::Suffix)?;
        let nanos = match form {
            Form::Binary => scale_ten(digits.saturating_mul(1024_i128.pow(power.unsigned_abs())), 9 - places),
            Form::Decimal | Form::Exponent => scale_ten(digits, power.saturating_add(9 - places)),
        };
        // the largest amount is 2^63-1: what is larger is capped
        let capped = nanos.min(i128::from(i64::MAX) * NANO);
        Ok(Self { nanos: if negative { -capped } else { capped }, form })
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.nanos.abs() < 1024 * NANO;
        match self.form {
            _ if self.nanos == 0 => f.write_str("0"),
            Form::Binary if !small => self.fmt_binary(f),
            Form::Binary | Form::Decimal => {
                let (mantissa, power) = self.decimal();
                write!(f, "{mantissa}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].get(power).unwrap_or(&""))
            }
            Form::Exponent => match self.decimal() {
                (mantissa, 3) => write!(f, "{mantissa}"),
                (mantissa, power) => write!(f, "{mantissa}e{}", i64::try_from(power).map_or(0, |p| p * 3 - 9)),
            },
        }
    }
}

impl Quantity {
    fn fmt_binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mantissa = self.value();
        let mut unit = "";
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
            if mantissa % 1024 != 0 {
                break;
            }
            mantissa /= 1024;
            unit = next;
        }
        write!(f, "{mantissa}{unit}")
    }

    /// Mantissa and index of the suffix, counted in thousands from nano.
    fn decimal(&self) -> (i128, usize) {
        let (mut mantissa, mut power) = (self.nanos, 0);
        while mantissa % 1000 == 0 && power < 9 {
            mantissa /= 1000;
            power += 1;
        }
        (mantissa, power)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A sum is written in the form of its first part, unless that is nothing.
fn sum_form(a: Quantity, b: Quantity) -> Form {
    if a.is_zero() { b.form } else { a.form }
}
impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos), form: sum_form(self, other) }
    }
}
impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos), form: sum_form(self, other) }
    }
}
impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self { nanos: self.nanos.saturating_neg(), form: self.form }
    }
}
impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("0", "0"),
            ("100m", "100m"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("512", "512"),
            ("1024", "1024"),
            ("0.5Ki", "512"),
            ("1k", "1k"),
            ("1000k", "1M"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            (".5", "500m"),
            ("5.", "5"),
            ("-2", "-2"),
            ("+3", "3"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("100Ei", "9223372036854775807"),
            ("1.5e1", "15"),
            ("1500Mi", "1500Mi"),
            ("0Gi", "0"),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in ["", "-", "m", "1mm", "1 Gi", "1.2.3", "Gi", "1gi", "--1", "1e", "1e1.5", "١"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn rounding() {
        let q = |t: &str| t.parse::<Quantity>().unwrap();
        assert_eq!((q("1.5").value(), q("100m").value(), q("-1.5").value(), q("1n").milli()), (2, 1, -2, 1));
        assert_eq!(q("1Ki"), q("1024"));
        assert!(q("1G") < q("1Gi"));
        assert_eq!((q("1Gi") - q("512Mi")).to_string(), "512Mi");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let parsed = text.parse::<Quantity>();
            prop_assert!(parsed.is_err() || !parsed.unwrap().to_string().is_empty());
        }

        #[test]
        fn canonical_form_is_stable(n in -1_000_000_000i64..1_000_000_000, unit in prop::sample::select(vec!["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi", "e3", "e-3"])) {
            let q: Quantity = format!("{n}{unit}").parse().unwrap();
            let again: Quantity = q.to_string().parse().unwrap();
            prop_assert_eq!(q, again);
            prop_assert_eq!(q.to_string(), again.to_string());
        }

        #[test]
        fn order_and_sum_agree(a in -1_000_000i64..1_000_000, b in 1i64..1_000_000) {
            let (a, b) = (Quantity::from_milli(a.into()), Quantity::from_milli(b.into()));
            prop_assert!(a + b > a);
            prop_assert_eq!(a + b - b, a);
        }
    }
}
