//! Equality and order of values, across the types of numbers.
use crate::budget::Budget;
use crate::error::EvalError;
use crate::types::Merge;
use crate::value::{List, Map, Value};
use std::cmp::Ordering;

/// What a comparison takes of what may be allocated: it takes about as long as writing so many bytes.
const STEP: usize = 16;

/// How many bytes are compared in the time in which one is written.
const READ: usize = 32;

/// Whether two values are equal; values of different types aren't.
///
/// # Errors
/// Data that isn't as declared, and values that are too large to compare.
pub fn equal<'a>(a: &Value<'a>, b: &Value<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    budget.take(STEP)?;
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => {
            budget.take(a.len().min(b.len()) / READ)?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a.runtime_name() == b.runtime_name(),
        (Value::Opaque(a), Value::Opaque(b)) => a == b,
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(a, b, budget)?,
            (a, b) => a.is_none() && b.is_none(),
        },
        (Value::List(a), Value::List(b)) => lists(a, b, budget)?,
        (Value::Map(a), Value::Map(b)) => maps(a, b, budget)?,
        _ => numbers(a, b) == Some(Ordering::Equal),
    })
}

fn lists<'a>(a: &List<'a>, b: &List<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    match a {
        List::Json(_, _, Merge::Set) => {
            for item in a.iter() {
                if !contains(b, &item?, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        List::Json(_, _, Merge::Map(keys)) => {
            for item in a.iter() {
                let item = item?;
                match same_keys(b, &item, keys, budget)? {
                    Some(at) if equal(&b.get(at)?, &item, budget)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => {
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(&a?, &b?, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// The place of the item of a list that has the same keys.
///
/// # Errors
/// As [`equal`].
pub fn same_keys<'a>(list: &List<'a>, item: &Value<'a>, keys: &[Box<str>], budget: &mut Budget) -> Result<Option<usize>, EvalError> {
    let field = |value: &Value<'a>, key: &str| match value {
        Value::Map(Map::Object(map, _) | Map::Json(map, _)) => map.get(key).cloned(),
        _ => None,
    };
    for (at, other) in list.iter().enumerate() {
        budget.take(keys.len())?;
        let other = other?;
        if keys.iter().all(|key| field(item, key) == field(&other, key)) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn maps<'a>(a: &Map<'a>, b: &Map<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    if let (Map::Object(_, of), Map::Object(_, other)) = (a, b)
        && of.name != other.name
    {
        return Ok(false);
    }
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.entries()? {
        let other = match key.key().and_then(|key| b.get(&key)) {
            Some(other) => other?,
            None => return Ok(false),
        };
        if !equal(&value, &other, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a list has an equal item.
///
/// # Errors
/// As [`equal`].
pub fn contains<'a>(list: &List<'a>, value: &Value<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    for item in list.iter() {
        if equal(&item?, value, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The order of two values of one type, or of two numbers; none where there is none.
pub fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        _ => numbers(a, b),
    }
}

fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), b) => with_whole(*a, whole(b)?),
        (a, Value::Double(b)) => with_whole(*b, whole(a)?).map(Ordering::reverse),
        (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(n) => Some((*n).into()),
        Value::Uint(n) => Some((*n).into()),
        _ => None,
    }
}

fn with_whole(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() > 1e20 {
        return Some(if double > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    let floor = double.floor();
    Some((floor as i128).cmp(&whole).then(if double > floor { Ordering::Greater } else { Ordering::Equal }))
}
