//! Where the suite finds and leaves things, and why it has no figures.
use super::record::RecordError;
use super::runner::Programs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// Why another commit's binaries aren't there.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// There is no such commit here.
    #[error("the commit {0} is not in this repository (a shallow clone doesn't have it: `git fetch --unshallow`)")]
    Unknown(String),
    /// Git refuses.
    #[error("git can't check out {0}")]
    Tree(String),
    /// It doesn't build.
    #[error("{0} doesn't build: see above")]
    Build(String),
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// No load has this name.
    #[error("no load is called {0:?}: see `bench suite --list`")]
    Unknown(String),
    /// Files can't be read or written.
    #[error("{what}: {source}")]
    Files {
        /// What was to be done.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Records can't be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The commit to compare with can't be built.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// There is nothing to compare with.
    #[error("no run is recorded of a machine like this one: `make bench` records one; or name a commit with --against")]
    NoRecord,
    /// Figures have fallen by more than a tenth.
    #[error("fallen by more than a tenth: {0}")]
    Fell(String),
    /// Some loads have no figures.
    #[error("there was trouble with {0}")]
    Trouble(String),
}

pub(super) fn files<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> SuiteError {
    let what = what.into();
    move |source| SuiteError::Files { what, source: source.into() }
}

/// Where the suite finds and leaves things.
#[derive(Clone)]
pub(super) struct Places {
    /// The repository.
    pub(super) root: PathBuf,
    /// What needn't be kept: `target/bench`.
    pub(super) scratch: PathBuf,
    /// Built beside this binary.
    pub(super) own: Programs,
}

impl Places {
    pub(super) fn find() -> Result<Self, SuiteError> {
        let bench = std::env::current_exe().map_err(files("this program can't be found"))?;
        let built = bench.parent().unwrap_or(Path::new("."));
        let scratch = built.parent().unwrap_or(built).join("bench");
        fs::create_dir_all(&scratch).map_err(files(scratch.display().to_string()))?;
        let root = git(Path::new("."), &["rev-parse", "--show-toplevel"]).map_or_else(|| PathBuf::from("."), PathBuf::from);
        let own = Programs { whalesong: built.join("whalesong"), bench: bench.clone(), directory: scratch.clone(), keep: false };
        Ok(Self { root, scratch, own })
    }

    /// The commit that the files are those of: none when some have changed since.
    pub(super) fn commit(&self) -> Option<String> {
        let changed = git(&self.root, &["status", "--porcelain", "--untracked-files=no"])?;
        let commit = git(&self.root, &["rev-parse", "--short=10", "HEAD"])?;
        changed.is_empty().then_some(commit)
    }
}

/// What `git` says, where it says anything.
pub(super) fn git(at: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(at).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
