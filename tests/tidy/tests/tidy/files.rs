//! Files have one subject.
use crate::sources::{Repository, Source};

/// Lines that a file may have.
const LINES: usize = 900;

/// Files that are longer.
pub fn check(repository: &Repository) -> Vec<String> {
    repository.sources.iter().filter_map(|source| longer_than(LINES, source)).collect()
}

fn longer_than(limit: usize, source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > limit).then(|| format!("{} has {lines} lines", source.path.display()))
}

#[test]
fn measures_files() {
    let source = Source::new("a.rs", "//! A\nfn a() {}\n");
    assert_eq!(longer_than(2, &source), None);
    assert_eq!(longer_than(1, &source).as_deref(), Some("a.rs has 2 lines"));
}
