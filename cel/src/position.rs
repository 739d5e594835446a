//! Where an error of an expression is, and how it is written.
use std::fmt::Write as _;

/// Why an expression can't be compiled, as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// All errors, each with line, column, and the line that it is in.
    pub message: String,
}

/// One thing that is wrong at a byte of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The byte.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// Most issues that are named.
const ISSUES_MAX: usize = 20;
/// The longest line that is shown with its error.
const SHOWN_MAX: usize = 500;

/// Writes issues as cel-go does: `ERROR: <input>:1:6: undeclared reference to 'x' (in container '')`, and the line with a mark below.
pub fn report(text: &str, mut issues: Vec<Issue>) -> CompileError {
    issues.sort_by_key(|issue| issue.offset);
    issues.dedup();
    issues.truncate(ISSUES_MAX);
    let shown: Vec<String> = issues.iter().map(|issue| shown(text, issue)).collect();
    CompileError { message: shown.join("\n") }
}

fn shown(text: &str, issue: &Issue) -> String {
    let offset = (0..=issue.offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let before = text.get(..offset).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
    let column = before.get(start..).unwrap_or_default().chars().count();
    let mut out = format!("ERROR: <input>:{}:{}: {}", before.matches('\n').count() + 1, column + 1, issue.message);
    if line.len() <= SHOWN_MAX {
        _ = write!(out, "\n | {}\n | {}^", line.replace('\t', " "), ".".repeat(column));
    }
    out
}
