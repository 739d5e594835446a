//! What the functions do. Which there are, and of which types, stands in `signatures.txt`; here the values' own types decide.
mod authorizing;
mod context;
mod conversions;
mod formatted;
mod library;
mod lists;
mod operators;
mod texts;

use crate::error::EvalError;
use crate::value::Value;

pub use context::{Context, Patterns};
pub use conversions::shown;
pub use lists::sorted_by;

/// How many bytes of a text are read in the time in which one is written: functions may read all of a text at the cost of 1.
const READ: usize = 32;

/// Calls a function.
pub fn call<'a>(function: &str, args: &[Value<'a>], context: &mut Context<'_>) -> Result<Value<'a>, EvalError> {
    let texts = args.iter().map(|arg| if let Value::String(text) = arg { text.len() } else { 0 });
    context.budget.take(texts.sum::<usize>() / READ)?;
    if let Some(value) = operators::call(function, args, context)? {
        return Ok(value);
    }
    if let Some(value) = conversions::call(function, args, context)? {
        return Ok(value);
    }
    if let Some(value) = texts::call(function, args, context)? {
        return Ok(value);
    }
    if let Some(value) = lists::call(function, args, context)? {
        return Ok(value);
    }
    if let Some(value) = library::call(function, args, context)? {
        return Ok(value);
    }
    authorizing::call(function, args).ok_or_else(|| EvalError::value(format!("no such overload: {function}")))
}
