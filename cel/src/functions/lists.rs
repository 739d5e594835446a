//! Functions of lists, sets and optional values.
use super::context::{Context, Made};
use super::{conversions, texts};
use crate::budget::Budget;
use crate::compare::{contains, equal, order};
use crate::error::EvalError;
use crate::value::{List, Text, Value};
use std::cmp::Ordering;
use std::mem::size_of;

/// Calls a function of lists, sets or optional values.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    match (function, args) {
        ("optional.of", [value]) => Ok(Some(Value::some(value.clone()))),
        ("optional.ofNonZeroValue", [value]) => Ok(Some(if value.is_zero() { Value::Optional(None) } else { Value::some(value.clone()) })),
        ("optional.none", []) => Ok(Some(Value::Optional(None))),
        ("hasValue", [Value::Optional(inner)]) => Ok(Some(Value::Bool(inner.is_some()))),
        ("value", [Value::Optional(Some(inner))]) => Ok(Some((**inner).clone())),
        ("value", [Value::Optional(None)]) => Err(EvalError::value("optional.none() dereference")),
        ("includes", [Value::List(list), value]) => contains(list, value, context.budget).map(|is| Some(Value::Bool(is))),
        ("includes", [value, other]) => equal(value, other, context.budget).map(|is| Some(Value::Bool(is))),
        ("sets.contains", [Value::List(a), Value::List(b)]) => all_in(b, a, context.budget).map(|is| Some(Value::Bool(is))),
        ("sets.equivalent", [Value::List(a), Value::List(b)]) => {
            let both = all_in(a, b, context.budget)? && all_in(b, a, context.budget)?;
            Ok(Some(Value::Bool(both)))
        }
        ("sets.intersects", [Value::List(a), Value::List(b)]) => {
            for item in a.iter() {
                if contains(b, &item?, context.budget)? {
                    return Ok(Some(Value::Bool(true)));
                }
            }
            Ok(Some(Value::Bool(false)))
        }
        ("lists.range", [Value::Int(n)]) => range(*n, context).map(Some),
        (function, [Value::List(list), rest @ ..]) => of_list(function, list, rest, context),
        _ => Ok(None),
    }
}

fn all_in<'a>(items: &List<'a>, within: &List<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    for item in items.iter() {
        if !contains(within, &item?, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn range<'a>(n: i64, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let size = usize::try_from(n).map_err(|_| EvalError::value(format!("lists.range: size must be non-negative, got {n}")))?;
    context.budget.take(size.saturating_mul(size_of::<Value<'a>>()))?;
    Ok((0..n).map(Value::Int).collect::<Vec<_>>().into())
}

fn of_list<'a>(function: &str, list: &List<'a>, rest: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    let optional = |item: Option<Value<'a>>| Some(item.map_or(Value::Optional(None), Value::some));
    match (function, rest) {
        ("first", []) => Ok(optional(if list.is_empty() { None } else { Some(list.get(0)?) })),
        ("last", []) => Ok(optional(if list.is_empty() { None } else { Some(list.get(list.len() - 1)?) })),
        ("indexOf", [value]) => index(list, value, false, context.budget).map(Some),
        ("lastIndexOf", [value]) => index(list, value, true, context.budget).map(Some),
        ("join", separator) => {
            let separator = match separator {
                [Value::String(text)] => &**text,
                _ => "",
            };
            let parts = list.iter().map(|item| match item? {
                Value::String(text) => Ok(text),
                other => Err(EvalError::value(format!("join: invalid input: {}", conversions::shown(&other)))),
            });
            let parts: Vec<Text<'a>> = parts.collect::<Result<_, _>>()?;
            texts::joined(&parts, separator, context).map(Some)
        }
        ("min" | "max", []) => extreme(function, list).map(Some),
        ("sum", []) => sum(list, context).map(Some),
        ("isSorted", []) => is_sorted(list).map(|is| Some(Value::Bool(is))),
        _ => {
            context.budget.take(list.len() * size_of::<Value<'a>>())?;
            copied(function, list, rest, context)
        }
    }
}

/// Functions that make another list.
fn copied<'a>(function: &str, list: &List<'a>, rest: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    let mut items: Vec<Value<'a>> = list.iter().collect::<Result<_, _>>()?;
    match (function, rest) {
        ("unwrapOpt" | "optional.unwrap", []) => {
            let there = items.into_iter().filter_map(|item| match item {
                Value::Optional(inner) => inner.map(|inner| (*inner).clone()),
                other => Some(other),
            });
            Ok(Some(there.collect::<Vec<_>>().into()))
        }
        ("slice", [Value::Int(start), Value::Int(end)]) => {
            let (from, to) = (usize::try_from(*start), usize::try_from(*end));
            let (Ok(from), Ok(to)) = (from, to) else {
                return Err(EvalError::value(format!("cannot slice({start}, {end}), negative indexes not supported")));
            };
            let why = if from > to { "start index must be less than or equal to end index".to_owned() } else { format!("list is length {}", items.len()) };
            let part = items.get(from..to).ok_or_else(|| EvalError::value(format!("cannot slice({start}, {end}), {why}")))?;
            Ok(Some(part.to_vec().into()))
        }
        ("reverse", []) => {
            items.reverse();
            Ok(Some(items.into()))
        }
        ("distinct", []) => {
            let mut out: Vec<Value<'a>> = Vec::new();
            for item in items {
                let mut known = false;
                for other in &out {
                    known = known || equal(other, &item, context.budget)?;
                }
                if !known {
                    out.push(item);
                }
            }
            Ok(Some(out.into()))
        }
        ("sort", []) => {
            let keys = items.clone();
            sorted_by(items, &keys, context.budget).map(|sorted| Some(sorted.into()))
        }
        ("flatten", depth) => {
            let depth = match depth {
                [Value::Int(n)] => usize::try_from(*n).map_err(|_| EvalError::value("level must be non-negative"))?,
                _ => 1,
            };
            let mut out = Vec::new();
            flatten(items, depth, &mut out, context.budget)?;
            Ok(Some(out.into()))
        }
        _ => Ok(None),
    }
}

fn flatten<'a>(items: Vec<Value<'a>>, depth: usize, out: &mut Vec<Value<'a>>, budget: &mut Budget) -> Result<(), EvalError> {
    for item in items {
        budget.take(size_of::<Value<'a>>())?;
        match item {
            Value::List(inner) if depth > 0 => flatten(inner.iter().collect::<Result<_, _>>()?, depth - 1, out, budget)?,
            other => out.push(other),
        }
    }
    Ok(())
}

/// Items in the order of their keys.
///
/// # Errors
/// Keys that have no order, or are of several types.
pub fn sorted_by<'a>(items: Vec<Value<'a>>, keys: &[Value<'a>], budget: &mut Budget) -> Result<Vec<Value<'a>>, EvalError> {
    budget.take(keys.len().saturating_mul(32))?;
    let of_one_type = keys.windows(2).all(|pair| matches!(pair, [a, b] if std::mem::discriminant(a) == std::mem::discriminant(b)));
    let comparable = keys.iter().all(|key| order(key, key).is_some());
    if !comparable || !of_one_type {
        return Err(EvalError::value(if comparable { "list elements must have the same type" } else { "list elements must be comparable" }));
    }
    let mut pairs: Vec<(&Value<'a>, Value<'a>)> = keys.iter().zip(items).collect();
    pairs.sort_by(|(a, _), (b, _)| order(a, b).unwrap_or(Ordering::Equal));
    Ok(pairs.into_iter().map(|(_, item)| item).collect())
}

fn index<'a>(list: &List<'a>, value: &Value<'a>, last: bool, budget: &mut Budget) -> Result<Value<'a>, EvalError> {
    let mut found = -1;
    for at in 0..list.len() {
        if equal(&list.get(at)?, value, budget)? {
            found = i64::try_from(at).unwrap_or(i64::MAX);
            if !last {
                break;
            }
        }
    }
    Ok(Value::Int(found))
}

fn extreme<'a>(function: &str, list: &List<'a>) -> Result<Value<'a>, EvalError> {
    let wanted = if function == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best: Option<Value<'a>> = None;
    for item in list.iter() {
        let item = item?;
        let better = match &best {
            Some(best) => order(&item, best).ok_or_else(|| EvalError::value("no such overload"))? == wanted,
            None => true,
        };
        if better {
            best = Some(item);
        }
    }
    best.ok_or_else(|| EvalError::value(format!("{function} called on empty list")))
}

fn sum<'a>(list: &List<'a>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let mut total: Option<Value<'a>> = None;
    for item in list.iter() {
        let item = item?;
        total = Some(match total {
            None => item,
            Some(before) => super::operators::call("_+_", &[before, item], context)?.ok_or_else(|| EvalError::value("no such overload"))?,
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn is_sorted(list: &List<'_>) -> Result<bool, EvalError> {
    let mut before: Option<Value<'_>> = None;
    for item in list.iter() {
        let item = item?;
        if let Some(before) = &before
            && order(before, &item).ok_or_else(|| EvalError::value("no such overload"))?.is_gt()
        {
            return Ok(false);
        }
        before = Some(item);
    }
    Ok(true)
}
