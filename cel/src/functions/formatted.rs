//! `format`: a text with values in the places of `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x` and `%X`.
use super::conversions::double;
use crate::budget::Budget;
use crate::error::EvalError;
use crate::time;
use crate::value::{List, Value};
use std::fmt::Write as _;

/// Most digits after the point.
const PRECISION_MAX: usize = 100;

/// A text with values in it.
pub fn format(text: &str, values: &List<'_>, budget: &mut Budget) -> Result<String, EvalError> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (precision, after) = precision(rest)?;
        let clause = after.chars().next().ok_or_else(|| EvalError::value("could not parse formatting clause: unexpected end of string"))?;
        rest = after.get(clause.len_utf8()..).unwrap_or_default();
        if next >= values.len() {
            return Err(EvalError::value(format!("index {next} out of range")));
        }
        let before = out.len();
        clause_of(&mut out, clause, precision, &values.get(next)?, budget)?;
        budget.take(out.len() - before)?;
        next += 1;
    }
    out.push_str(rest);
    budget.take(text.len())?;
    Ok(out)
}

fn precision(text: &str) -> Result<(Option<usize>, &str), EvalError> {
    let Some(rest) = text.strip_prefix('.') else { return Ok((None, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| EvalError::value("could not find end of precision specifier"))?;
    let (digits, after) = rest.split_at(end);
    match digits.parse() {
        Ok(n) if n <= PRECISION_MAX => Ok((Some(n), after)),
        _ => Err(EvalError::value(format!("precision exceeds maximum allowed precision {PRECISION_MAX}"))),
    }
}

fn clause_of(out: &mut String, clause: char, precision: Option<usize>, value: &Value<'_>, budget: &mut Budget) -> Result<(), EvalError> {
    let unfit = |what: &str| EvalError::value(format!("error during formatting: {what} clause can't be used on {}", value.type_of()));
    match (clause, value) {
        ('s', value) => return string(out, value, budget),
        ('d', Value::Int(n)) => _ = write!(out, "{n}"),
        ('d', Value::Uint(n)) => _ = write!(out, "{n}"),
        ('d', Value::Double(n)) if !n.is_finite() => out.push_str(special(*n)),
        ('d', Value::Double(n)) => out.push_str(&double(*n)),
        ('f' | 'e', value) => {
            let number = match value {
                Value::Double(n) => *n,
                Value::Int(n) => *n as f64,
                Value::Uint(n) => *n as f64,
                Value::String(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => text.parse().unwrap_or(f64::NAN),
                _ => return Err(unfit("decimal")),
            };
            float(out, number, precision.unwrap_or(6), clause == 'e');
        }
        ('b', Value::Bool(b)) => _ = write!(out, "{}", u8::from(*b)),
        ('b', Value::Int(n)) => signed(out, *n, |n| format!("{n:b}")),
        ('b', Value::Uint(n)) => _ = write!(out, "{n:b}"),
        ('o', Value::Int(n)) => signed(out, *n, |n| format!("{n:o}")),
        ('o', Value::Uint(n)) => _ = write!(out, "{n:o}"),
        ('x' | 'X', value) => {
            let start = out.len();
            match value {
                Value::Int(n) => signed(out, *n, |n| format!("{n:x}")),
                Value::Uint(n) => _ = write!(out, "{n:x}"),
                Value::String(text) => text.bytes().for_each(|b| _ = write!(out, "{b:02x}")),
                Value::Bytes(bytes) => bytes.iter().for_each(|b| _ = write!(out, "{b:02x}")),
                _ => return Err(unfit("hex")),
            }
            if clause == 'X' {
                let upper = out.split_off(start).to_ascii_uppercase();
                out.push_str(&upper);
            }
        }
        ('d' | 'b' | 'o', _) => return Err(unfit("integer")),
        (other, _) => return Err(EvalError::value(format!("could not parse formatting clause: unrecognized formatting clause \"{other}\""))),
    }
    Ok(())
}

fn signed(out: &mut String, n: i64, digits: fn(u64) -> String) {
    if n < 0 {
        out.push('-');
    }
    out.push_str(&digits(n.unsigned_abs()));
}

fn special(n: f64) -> &'static str {
    if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn float(out: &mut String, n: f64, precision: usize, exponent: bool) {
    if !n.is_finite() {
        out.push_str(special(n));
        return;
    }
    if !exponent {
        _ = write!(out, "{n:.precision$}");
        return;
    }
    let text = format!("{n:.precision$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = power.strip_prefix('-').map_or(("+", power), |digits| ("-", digits));
    _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
}

/// A value as `%s` has it: lists and maps with all that they hold.
fn string(out: &mut String, value: &Value<'_>, budget: &mut Budget) -> Result<(), EvalError> {
    budget.take(1)?;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => _ = write!(out, "{b}"),
        Value::Int(n) => _ = write!(out, "{n}"),
        Value::Uint(n) => _ = write!(out, "{n}"),
        Value::Double(n) if !n.is_finite() => out.push_str(special(*n)),
        Value::Double(n) => out.push_str(&double(*n)),
        Value::String(text) => {
            budget.take(text.len())?;
            out.push_str(text);
        }
        Value::Bytes(bytes) => {
            budget.take(bytes.len())?;
            out.push_str(&String::from_utf8_lossy(bytes));
        }
        Value::Duration(n) => out.push_str(&time::written(*n)),
        Value::Timestamp(at) => _ = write!(out, "{at}"),
        Value::Type(of) => out.push_str(of.runtime_name()),
        Value::List(list) => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                string(out, &item?, budget)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries = Vec::new();
            for (key, value) in map.entries()? {
                let (mut name, mut text) = (String::new(), String::new());
                string(&mut name, &key, budget)?;
                string(&mut text, &value, budget)?;
                entries.push((name, text));
            }
            entries.sort();
            let entries: Vec<String> = entries.into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
            budget.take(entries.iter().map(String::len).sum())?;
            _ = write!(out, "{{{}}}", entries.join(", "));
        }
        other => return Err(EvalError::value(format!("error during formatting: string clause can't be used on {}", other.type_of()))),
    }
    Ok(())
}
