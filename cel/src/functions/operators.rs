//! Operators.
use super::context::{Context, Made};
use crate::compare::{self, equal, same_keys};
use crate::error::EvalError;
use crate::time;
use crate::types::Merge;
use crate::value::{List, Text, Value};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::mem::size_of;

/// Calls an operator.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    match (function, args) {
        ("_==_", [a, b]) => equal(a, b, context.budget).map(|is| Some(Value::Bool(is))),
        ("_!=_", [a, b]) => equal(a, b, context.budget).map(|is| Some(Value::Bool(!is))),
        ("!_", [Value::Bool(b)]) => Ok(Some(Value::Bool(!b))),
        ("-_", [Value::Int(n)]) => n.checked_neg().map(|n| Some(Value::Int(n))).ok_or_else(overflow),
        ("-_", [Value::Double(n)]) => Ok(Some(Value::Double(-n))),
        ("@in", [value, Value::List(list)]) => compare::contains(list, value, context.budget).map(|is| Some(Value::Bool(is))),
        ("@in", [value, Value::Map(map)]) => Ok(Some(Value::Bool(value.key().is_some_and(|key| map.get(&key).is_some())))),
        ("_<_", [a, b]) => order(a, b, Ordering::is_lt),
        ("_<=_", [a, b]) => order(a, b, Ordering::is_le),
        ("_>_", [a, b]) => order(a, b, Ordering::is_gt),
        ("_>=_", [a, b]) => order(a, b, Ordering::is_ge),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [Value::Int(a), Value::Int(b)]) => int(function, *a, *b).map(|n| Some(Value::Int(n))),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [Value::Uint(a), Value::Uint(b)]) => uint(function, *a, *b).map(|n| Some(Value::Uint(n))),
        ("_+_" | "_-_" | "_*_" | "_/_", [Value::Double(a), Value::Double(b)]) => Ok(Some(Value::Double(match function {
            "_+_" => a + b,
            "_-_" => a - b,
            "_*_" => a * b,
            _ => a / b,
        }))),
        ("_+_", [Value::String(a), Value::String(b)]) => {
            context.budget.take(a.len() + b.len())?;
            let both: String = [&**a, &**b].concat();
            Ok(Some(Value::String(Text::Shared(both.into()))))
        }
        ("_+_", [Value::Bytes(a), Value::Bytes(b)]) => {
            context.budget.take(a.len() + b.len())?;
            Ok(Some(Value::Bytes([&**a, &**b].concat().into())))
        }
        ("_+_", [Value::List(a), Value::List(b)]) => added(a, b, context).map(Some),
        ("_+_" | "_-_", [a, b]) => times(function, a, b),
        _ => Ok(None),
    }
}

fn overflow() -> EvalError {
    EvalError::value("integer overflow")
}

fn order<'a>(a: &Value<'a>, b: &Value<'a>, is: fn(Ordering) -> bool) -> Made<'a> {
    if matches!((a, b), (Value::Double(n), _) | (_, Value::Double(n)) if n.is_nan()) {
        return Err(EvalError::value("NaN values cannot be ordered"));
    }
    Ok(compare::order(a, b).map(|found| Value::Bool(is(found))))
}

fn int(function: &str, a: i64, b: i64) -> Result<i64, EvalError> {
    match function {
        "_+_" => a.checked_add(b),
        "_-_" => a.checked_sub(b),
        "_*_" => a.checked_mul(b),
        "_/_" if b == 0 => return Err(EvalError::value("division by zero")),
        "_/_" => a.checked_div(b),
        _ if b == 0 => return Err(EvalError::value("modulus by zero")),
        _ => a.checked_rem(b),
    }
    .ok_or_else(overflow)
}

fn uint(function: &str, a: u64, b: u64) -> Result<u64, EvalError> {
    match function {
        "_+_" => a.checked_add(b),
        "_-_" => a.checked_sub(b),
        "_*_" => a.checked_mul(b),
        "_/_" if b == 0 => return Err(EvalError::value("division by zero")),
        "_/_" => a.checked_div(b),
        _ if b == 0 => return Err(EvalError::value("modulus by zero")),
        _ => a.checked_rem(b),
    }
    .ok_or_else(|| EvalError::value("unsigned integer overflow"))
}

fn times<'a>(function: &str, a: &Value<'a>, b: &Value<'a>) -> Made<'a> {
    let moved = |at: &Timestamp, by: i64| {
        let moved = at.checked_add(SignedDuration::from_nanos(by)).ok().and_then(time::in_range);
        moved.map(|at| Some(Value::Timestamp(at))).ok_or_else(|| EvalError::value("timestamp overflow"))
    };
    let span = |nanoseconds: Option<i64>| nanoseconds.map(|n| Some(Value::Duration(n))).ok_or_else(|| EvalError::value("duration overflow"));
    match (function, a, b) {
        ("_+_", Value::Duration(a), Value::Duration(b)) => span(a.checked_add(*b)),
        ("_-_", Value::Duration(a), Value::Duration(b)) => span(a.checked_sub(*b)),
        ("_+_", Value::Timestamp(at), Value::Duration(by)) | ("_+_", Value::Duration(by), Value::Timestamp(at)) => moved(at, *by),
        ("_-_", Value::Timestamp(at), Value::Duration(by)) => moved(at, by.checked_neg().ok_or_else(overflow)?),
        ("_-_", Value::Timestamp(a), Value::Timestamp(b)) => span(i64::try_from(a.as_nanosecond() - b.as_nanosecond()).ok()),
        _ => Ok(None),
    }
}

/// A list and another behind it. Of a set, what isn't there yet is added; of a list with keys, an item of the same keys takes the other's place.
fn added<'a>(a: &List<'a>, b: &List<'a>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    context.budget.take((a.len() + b.len()) * size_of::<Value<'a>>())?;
    let mut out: Vec<Value<'a>> = a.iter().collect::<Result<_, _>>()?;
    for item in b.iter() {
        let item = item?;
        let place = match a {
            List::Json(_, _, Merge::Set) if compare::contains(a, &item, context.budget)? => continue,
            List::Json(_, _, Merge::Map(keys)) => same_keys(a, &item, keys, context.budget)?,
            _ => None,
        };
        match place.and_then(|at| out.get_mut(at)) {
            Some(slot) => *slot = item,
            None => out.push(item),
        }
    }
    Ok(out.into())
}
