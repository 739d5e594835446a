//! What a person reads when a command can't go on: one sentence, and the remedy.
use std::fmt;

/// A failure of a command.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong.
    what: String,
    /// What to do about it.
    remedy: String,
}

impl Failure {
    /// A failure with its remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remedy.as_str() {
            "" => f.write_str(&self.what),
            remedy => write!(f, "{}: {remedy}", self.what),
        }
    }
}

impl std::error::Error for Failure {}
