//! The binaries of another commit, built in a work tree of its own and kept for the next time.
use super::places::{BaseError, Places, SuiteError, files, git};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A work tree that is taken away again.
struct Tree<'a> {
    root: &'a Path,
    path: PathBuf,
}

impl<'a> Tree<'a> {
    fn of(root: &'a Path, path: PathBuf, commit: &str) -> Result<Self, BaseError> {
        let tree = Self { root, path };
        // one that an interrupted run has left is in the way
        tree.remove();
        let added = git(root, &["worktree", "add", "--detach", "--force", &tree.path.to_string_lossy(), commit]);
        added.map(|_| tree).ok_or_else(|| BaseError::Tree(commit.to_owned()))
    }

    fn remove(&self) {
        git(self.root, &["worktree", "remove", "--force", &self.path.to_string_lossy()]).unwrap_or_default();
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The directory with `whalesong` and `bench` of a commit, built as those beside this program were.
///
/// # Errors
/// [`BaseError`], or files that can't be copied.
pub fn build(places: &Places, commit: &str) -> Result<PathBuf, SuiteError> {
    let unknown = || BaseError::Unknown(commit.to_owned());
    let commit = git(&places.root, &["rev-parse", "--short=10", &format!("{commit}^{{commit}}")]).ok_or_else(unknown)?;
    let (folder, profile) = if cfg!(debug_assertions) { ("debug", "dev") } else { ("release", "release") };
    let kept = places.scratch.join(format!("base-{folder}")).join(&commit);
    if kept.join("whalesong").exists() && kept.join("bench").exists() {
        return Ok(kept);
    }
    eprintln!("building {commit}");
    let tree = Tree::of(&places.root, places.scratch.join(format!("tree-{commit}")), &commit)?;
    let target = places.scratch.join("build");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "-p", "whalesong", "-p", "bench", "--profile", profile, "--target-dir"]).arg(&target).current_dir(&tree.path);
    let built = cargo.stdin(Stdio::null()).status().map_err(files("cargo can't be run"))?;
    if !built.success() {
        return Err(BaseError::Build(commit).into());
    }
    fs::create_dir_all(&kept).map_err(files(kept.display().to_string()))?;
    for program in ["bench", "whalesong"] {
        let from = target.join(folder).join(program);
        fs::copy(&from, kept.join(program)).map_err(files(from.display().to_string()))?;
    }
    Ok(kept)
}
