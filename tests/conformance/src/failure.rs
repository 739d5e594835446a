//! Why a run says nothing, or nothing good.
use std::path::PathBuf;

/// Why a run ended without results, or with tests that don't pass any more.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The suite isn't built.
    #[error("{0} doesn't have the suite: `make conformance` builds it, and tells what is missing")]
    NotBuilt(PathBuf),
    /// Files can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file isn't what it should be.
    #[error("{path} can't be understood: {source}")]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A program can't be started.
    #[error("{program} can't be run: {source}")]
    Start {
        /// Which one.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A program has failed.
    #[error("{what} failed:\n{output}")]
    Program {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        output: String,
    },
    /// The suite has not come to its tests, or not to all.
    #[error("the suite did not run: {0}")]
    Suite(String),
    /// No test is chosen.
    #[error("no test is chosen: FOCUS and SKIP are regular expressions; `e2e.test --list-tests` has all names")]
    NothingChosen,
    /// A choice is no regular expression.
    #[error("{0:?} is no regular expression: {1}")]
    Expression(String, regex_lite::Error),
    /// Tests that passed once don't any more.
    #[error("{} that passed before did not pass:\n  {}", if .0.len() == 1 { "a test" } else { "tests" }, .0.join("\n  "))]
    Lost(Vec<String>),
    /// Somebody asked to stop.
    #[error("interrupted: nothing is recorded")]
    Interrupted,
}

impl Failure {
    /// For `map_err`: what was done with a file.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
