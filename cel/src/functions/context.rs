//! What functions may use.
use crate::ast::Name;
use crate::budget::Budget;
use crate::error::EvalError;
use crate::value::Value;
use regex::Regex;
use std::collections::HashMap;

/// The patterns of a program that are constants, compiled.
pub type Patterns = HashMap<Name, Regex>;

/// What a function may use.
pub struct Context<'c> {
    /// Patterns that have been compiled.
    pub patterns: &'c Patterns,
    /// What it may allocate.
    pub budget: &'c mut Budget,
}

impl Context<'_> {
    /// Applies a pattern.
    pub fn pattern<T>(&self, pattern: &str, apply: impl FnOnce(&Regex) -> T) -> Result<T, EvalError> {
        match self.patterns.get(pattern) {
            Some(compiled) => Ok(apply(compiled)),
            None => crate::patterns::compile(pattern).map(|compiled| apply(&compiled)),
        }
    }

    /// A text that takes its share of what may be allocated.
    pub fn text<'a>(&mut self, text: String) -> Result<Value<'a>, EvalError> {
        self.budget.take(text.len())?;
        Ok(text.into())
    }
}

/// What a function makes of arguments; none where it isn't for such ones.
pub type Made<'a> = Result<Option<Value<'a>>, EvalError>;
