//! Functions of texts.
use super::context::{Context, Made};
use super::formatted;
use crate::error::EvalError;
use crate::value::{Text, Value};
use std::mem::size_of;

/// Calls a function of texts.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    let Some(Value::String(text)) = args.first() else { return Ok(None) };
    let rest = args.get(1..).unwrap_or_default();
    match (function, rest) {
        ("contains", [Value::String(part)]) => Ok(Some(Value::Bool(text.contains(&**part)))),
        ("startsWith", [Value::String(part)]) => Ok(Some(Value::Bool(text.starts_with(&**part)))),
        ("endsWith", [Value::String(part)]) => Ok(Some(Value::Bool(text.ends_with(&**part)))),
        ("matches", [Value::String(pattern)]) => context.pattern(pattern, |p| p.is_match(text)).map(|is| Some(Value::Bool(is))),
        ("find", [Value::String(pattern)]) => {
            let found = context.pattern(pattern, |p| p.find(text).map(|m| m.as_str().to_owned()))?;
            context.text(found.unwrap_or_default()).map(Some)
        }
        ("findAll", [Value::String(pattern), limit @ ..]) => find_all(text, pattern, limit, context),
        ("charAt", [Value::Int(at)]) => char_at(text, *at, context).map(Some),
        ("indexOf" | "lastIndexOf", [Value::String(part), offset @ ..]) => index(text, part, offset, function == "lastIndexOf").map(|n| Some(Value::Int(n))),
        ("lowerAscii", []) => context.text(text.to_ascii_lowercase()).map(Some),
        ("upperAscii", []) => context.text(text.to_ascii_uppercase()).map(Some),
        ("trim", []) => context.text(text.trim_matches(is_space).to_owned()).map(Some),
        ("replace", [Value::String(from), Value::String(to), limit @ ..]) => replace(text, from, to, count(limit), context).map(Some),
        ("split", [Value::String(separator), limit @ ..]) => split(text, separator, count(limit), context).map(Some),
        ("substring", [Value::Int(start)]) => substring(text, *start, None, context).map(Some),
        ("substring", [Value::Int(start), Value::Int(end)]) => substring(text, *start, Some(*end), context).map(Some),
        ("format", [Value::List(values)]) => formatted::format(text, values, context.budget).map(|text| Some(text.into())),
        ("strings.quote", []) => {
            context.budget.take(2 * text.len() + 2)?;
            Ok(Some(quoted(text).into()))
        }
        _ => Ok(None),
    }
}

/// White space of Unicode, as `unicode.IsSpace` and cel-go have it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{180e}')
}

fn count(limit: &[Value<'_>]) -> Option<usize> {
    match limit {
        [Value::Int(n)] => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn pushed<'a>(parts: impl Iterator<Item = String>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let mut out = Vec::new();
    for part in parts {
        context.budget.take(part.len() + size_of::<Value<'a>>())?;
        out.push(part.into());
    }
    Ok(out.into())
}

fn find_all<'a>(text: &str, pattern: &str, limit: &[Value<'a>], context: &mut Context<'_>) -> Made<'a> {
    let most = count(limit).unwrap_or(usize::MAX).min(text.len() + 1);
    context.budget.take(text.len())?;
    let found: Vec<String> = context.pattern(pattern, |p| p.find_iter(text).take(most).map(|m| m.as_str().to_owned()).collect())?;
    pushed(found.into_iter(), context).map(Some)
}

fn out_of_range(index: i64) -> EvalError {
    EvalError::value(format!("index out of range: {index}"))
}

/// The byte at which a character starts, where there are as many.
fn byte_of(text: &str, at: i64) -> Option<usize> {
    let at = usize::try_from(at).ok()?;
    text.char_indices().map(|(byte, _)| byte).chain(std::iter::once(text.len())).nth(at)
}

fn char_at<'a>(text: &str, at: i64, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let byte = byte_of(text, at).ok_or_else(|| out_of_range(at))?;
    context.text(text.get(byte..).unwrap_or_default().chars().take(1).collect())
}

fn index(text: &str, part: &str, offset: &[Value<'_>], last: bool) -> Result<i64, EvalError> {
    let offset = match offset {
        [Value::Int(n)] => Some(*n),
        _ => None,
    };
    if part.is_empty() && !last {
        return Ok(offset.unwrap_or_default());
    }
    let within = |byte: usize| i64::try_from(text.get(..byte).unwrap_or_default().chars().count()).unwrap_or(i64::MAX);
    let start = match offset {
        Some(n) => Some(byte_of(text, n).filter(|byte| *byte < text.len() || text.is_empty()).ok_or_else(|| out_of_range(n))?),
        None => None,
    };
    if part.is_empty() {
        return Ok(offset.unwrap_or_else(|| within(text.len())));
    }
    let found = match (last, start) {
        (false, start) => {
            let start = start.unwrap_or_default();
            text.get(start..).and_then(|rest| rest.find(part)).map(|byte| byte + start)
        }
        (true, None) => text.rfind(part),
        // one that starts at the offset at the latest
        (true, Some(start)) => {
            let end = (start + part.len()).min(text.len());
            let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            text.get(..end).and_then(|before| before.rfind(part))
        }
    };
    Ok(found.map_or(-1, within))
}

fn replace<'a>(text: &str, from: &str, to: &str, limit: Option<usize>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let most = if from.is_empty() { text.chars().count() + 1 } else { text.len() / from.len() }.min(limit.unwrap_or(usize::MAX));
    context.budget.take(most.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replacen(from, to, most).into())
}

fn split<'a>(text: &str, separator: &str, limit: Option<usize>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    context.budget.take(text.len())?;
    match (separator, limit) {
        (_, Some(0)) => Ok(Vec::new().into()),
        (_, Some(1)) => pushed(std::iter::once(text.to_owned()), context),
        ("", limit) => {
            let most = limit.unwrap_or(usize::MAX);
            let cut = text.char_indices().nth(most - 1).map_or(text.len(), |(byte, _)| byte);
            let (single, rest) = text.split_at(cut);
            let rest = (!rest.is_empty()).then(|| rest.to_owned());
            pushed(single.chars().map(String::from).chain(rest), context)
        }
        (separator, limit) => pushed(text.splitn(limit.unwrap_or(usize::MAX), separator).map(str::to_owned), context),
    }
}

fn substring<'a>(text: &str, start: i64, end: Option<i64>, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    if let Some(end) = end.filter(|end| start > *end) {
        return Err(EvalError::value(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let from = byte_of(text, start).ok_or_else(|| out_of_range(start))?;
    let to = match end {
        Some(end) => byte_of(text, end).ok_or_else(|| out_of_range(end))?,
        None => text.len(),
    };
    context.text(text.get(from..to).unwrap_or_default().to_owned())
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A text of the data or of the expression, as it is.
pub fn joined<'a>(parts: &[Text<'a>], separator: &str, context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let between = separator.len().saturating_mul(parts.len().saturating_sub(1));
    let length = parts.iter().map(|part| part.len()).fold(between, usize::saturating_add);
    context.budget.take(length)?;
    let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
    Ok(parts.join(separator).into())
}
