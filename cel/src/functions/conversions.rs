//! Sizes, types, and values of one type as those of another.
use super::context::{Context, Made};
use crate::error::EvalError;
use crate::opaque::Opaque;
use crate::time;
use crate::value::{Text, Value};
use jiff::Timestamp;

/// Calls a conversion.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    let [value, rest @ ..] = args else { return Ok(None) };
    match (function, value) {
        ("size", Value::String(text)) => Ok(Some(Value::Int(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)))),
        ("size", Value::Bytes(_) | Value::List(_) | Value::Map(_)) => Ok(Some(Value::Int(i64::try_from(value.size()).unwrap_or(i64::MAX)))),
        ("type", value) => Ok(Some(Value::Type(value.type_of()))),
        ("dyn", value) => Ok(Some(value.clone())),
        ("int", value) => int(value).map(|n| n.map(Value::Int)),
        ("uint", value) => uint(value).map(|n| n.map(Value::Uint)),
        ("double", Value::Double(n)) => Ok(Some(Value::Double(*n))),
        ("double", Value::Int(n)) => Ok(Some(Value::Double(*n as f64))),
        ("double", Value::Uint(n)) => Ok(Some(Value::Double(*n as f64))),
        ("double", Value::String(text)) => text.parse().map(|n| Some(Value::Double(n))).map_err(|_| failed("string", "double")),
        ("string", value) => string(value, context),
        ("bytes", Value::Bytes(_)) => Ok(Some(value.clone())),
        ("bytes", Value::String(text)) => {
            context.budget.take(text.len())?;
            Ok(Some(Value::Bytes(text.as_bytes().into())))
        }
        ("bool", Value::Bool(b)) => Ok(Some(Value::Bool(*b))),
        ("bool", Value::String(text)) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(Value::Bool(true))),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(Value::Bool(false))),
            _ => Err(failed("string", "bool")),
        },
        ("timestamp", Value::Timestamp(_)) | ("duration", Value::Duration(_)) => Ok(Some(value.clone())),
        ("timestamp", Value::String(text)) => time::timestamp(text).map(|at| Some(Value::Timestamp(at))),
        ("timestamp", Value::Int(seconds)) => {
            let at = Timestamp::from_second(*seconds).ok().and_then(time::in_range);
            at.map(|at| Some(Value::Timestamp(at))).ok_or_else(|| EvalError::value("timestamp overflow"))
        }
        ("duration", Value::String(text)) => time::duration(text).map(|n| Some(Value::Duration(n))),
        ("duration", Value::Int(n)) => Ok(Some(Value::Duration(*n))),
        (part, Value::Timestamp(at)) if part.starts_with("get") => {
            let zone = match rest {
                [Value::String(zone)] => zone,
                _ => "UTC",
            };
            time::part(*at, part, zone).map(|n| Some(Value::Int(n)))
        }
        (part, Value::Duration(n)) if part.starts_with("get") => Ok(Some(Value::Int(time::duration_part(*n, part)))),
        _ => Ok(None),
    }
}

fn failed(from: &str, to: &str) -> EvalError {
    EvalError::value(format!("type conversion error from '{from}' to '{to}'"))
}

fn int(value: &Value<'_>) -> Result<Option<i64>, EvalError> {
    let overflow = || EvalError::value("integer overflow");
    Ok(Some(match value {
        Value::Int(n) => *n,
        Value::Uint(n) => i64::try_from(*n).map_err(|_| overflow())?,
        Value::Double(n) if *n > -9_223_372_036_854_775_808.0 && *n < 9_223_372_036_854_775_807.0 => *n as i64,
        Value::Double(_) => return Err(overflow()),
        Value::String(text) => text.parse().map_err(|_| failed("string", "int"))?,
        Value::Timestamp(at) => at.as_second(),
        Value::Duration(n) => *n,
        _ => return Ok(None),
    }))
}

fn uint(value: &Value<'_>) -> Result<Option<u64>, EvalError> {
    let overflow = || EvalError::value("unsigned integer overflow");
    Ok(Some(match value {
        Value::Uint(n) => *n,
        Value::Int(n) => u64::try_from(*n).map_err(|_| overflow())?,
        Value::Double(n) if *n >= 0.0 && *n < 18_446_744_073_709_551_615.0 => *n as u64,
        Value::Double(_) => return Err(overflow()),
        Value::String(text) => text.parse().map_err(|_| failed("string", "uint"))?,
        _ => return Ok(None),
    }))
}

/// A number as Go writes it with `%g`, or as many digits as are needed.
pub fn double(n: f64) -> String {
    if n.is_nan() {
        return "NaN".to_owned();
    }
    if n.is_infinite() {
        return if n > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let exponent = if n == 0.0 { 0.0 } else { n.abs().log10().floor() };
    if !(-4.0..21.0).contains(&exponent) {
        let text = format!("{n:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{n}")
}

fn string<'a>(value: &Value<'a>, context: &mut Context<'_>) -> Made<'a> {
    let text = match value {
        Value::String(_) => return Ok(Some(value.clone())),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Double(n) => double(*n),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| EvalError::value("invalid UTF-8 in bytes, cannot convert to string"))?.to_owned(),
        Value::Timestamp(at) => at.to_string(),
        Value::Duration(n) => time::written(*n),
        Value::Opaque(Opaque::Ip(ip)) => ip.to_string(),
        Value::Opaque(Opaque::Cidr(block)) => block.to_string(),
        _ => return Ok(None),
    };
    context.budget.take(text.len())?;
    Ok(Some(Value::String(Text::Shared(text.into()))))
}

/// A short value in a message.
pub fn shown(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => text.chars().take(100).collect(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Double(n) => double(*n),
        other => other.type_of().to_string(),
    }
}
