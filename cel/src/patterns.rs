//! Regular expressions, of bounded size.
use crate::error::EvalError;
use regex::{Regex, RegexBuilder};

/// Most bytes of a compiled pattern.
const SIZE_MAX: usize = 512 << 10;

/// Compiles a pattern.
///
/// # Errors
/// It is none, or too large.
pub fn compile(pattern: &str) -> Result<Regex, EvalError> {
    let built = RegexBuilder::new(pattern).size_limit(SIZE_MAX).dfa_size_limit(SIZE_MAX).nest_limit(200).build();
    built.map_err(|e| EvalError::value(format!("error parsing regexp: {e}")))
}
