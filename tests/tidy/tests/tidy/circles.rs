//! Files of a crate depend on each other one way.
use crate::modules::{Modules, Uses};
use crate::sources::{Repository, Source, take};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Circles that still stand: a crate's folder, and files in it.
const KNOWN_CIRCLES: &[&str] = &[];

/// Files that use each other, with what each uses of which.
pub fn check(repository: &Repository) -> Vec<String> {
    let mut circles = Vec::new();
    for of in repository.crates() {
        let folder = of.root.parent().unwrap();
        let of_crate = circles_in(&of.modules.uses(), folder);
        circles.extend(of_crate.into_iter().map(|(files, uses)| (format!("{}: {}", folder.display(), files.join(", ")), uses)));
    }
    compare(circles, KNOWN_CIRCLES)
}

/// The circles that are new, and the known ones that are gone.
fn compare(circles: Vec<(String, Vec<String>)>, known: &[&str]) -> Vec<String> {
    let mut known = known.to_vec();
    let new: Vec<_> = circles.into_iter().filter(|(circle, _)| !take(&mut known, |known| known == circle)).collect();
    let gone = known.iter().map(|circle| format!("is no circle any more, take it from KNOWN_CIRCLES: {circle}"));
    new.into_iter().map(|(circle, uses)| format!("{circle}\n    {}", uses.join("\n    "))).chain(gone).collect()
}

/// Each set of files that all reach each other, with the uses among them. Files are named from `folder`.
fn circles_in<'a>(uses: &Uses<'a>, folder: &Path) -> BTreeMap<Vec<&'a str>, Vec<String>> {
    let name = |file: &'a Path| file.strip_prefix(folder).unwrap_or(file).to_str().unwrap();
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = uses.keys().map(|file| (*file, reached_from(file, uses))).collect();
    let mut circles = BTreeMap::new();
    for (file, to) in reached.iter().filter(|(file, to)| to.contains(*file)) {
        let members: Vec<&Path> = to.iter().copied().filter(|other| reached.get(other).is_some_and(|back| back.contains(file))).collect();
        let inner = members.iter().flat_map(|from| uses[from].iter().map(move |(to, names)| (from, to, names))).filter(|(_, to, _)| members.contains(to));
        let inner = inner.map(|(from, to, names)| format!("{} -> {}: {}", name(from), name(to), names.iter().cloned().collect::<Vec<_>>().join(", ")));
        circles.insert(members.iter().map(|m| name(m)).collect(), inner.collect());
    }
    circles
}

fn reached_from<'a>(file: &Path, uses: &Uses<'a>) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for to in uses.get(file).into_iter().flat_map(|to| to.keys()) {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
fn sample(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(format!("src/{path}"), text)).collect();
    let uses = Modules::of(Path::new("src/lib.rs"), &sources).uses();
    circles_in(&uses, Path::new("src")).into_iter().flat_map(|(files, uses)| [vec![files.join(" ")], uses].concat()).collect()
}

#[test]
fn finds_files_that_use_each_other() {
    let found = sample(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "use crate::b::{self, B}; pub struct A(B); fn f() { b::f(); }"),
        ("b.rs", "pub struct B; pub fn f() { vec![super::a::A::new()]; }"),
        ("c.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found, ["a/mod.rs b.rs", "a/mod.rs -> b.rs: B, f", "b.rs -> a/mod.rs: A"]);
}

#[test]
fn names_are_followed_to_the_file_that_defines_them() {
    let found = sample(&[
        ("lib.rs", "pub mod a; mod b; pub use a::*;"),
        ("a.rs", "mod inner; pub use inner::Kind; pub use super::b::one;"),
        ("a/inner.rs", "pub enum Kind { First } fn f() { crate::one() }"),
        ("b.rs", "use crate::Kind::*; pub fn one() { First; }"),
    ]);
    assert_eq!(found, ["a/inner.rs b.rs", "a/inner.rs -> b.rs: one", "b.rs -> a/inner.rs: Kind"]);
}

#[test]
fn handing_on_and_tests_make_no_circle() {
    let found = sample(&[
        ("lib.rs", "mod a; pub use a::A; pub struct Root; fn a() {}"),
        ("a.rs", "pub struct A; pub struct Of(super::Root, crate::a::A); #[cfg(test)] mod tests { use crate::b; }"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_list_of_known_circles_only_shrinks() {
    let circle = |files: &str| (files.to_owned(), vec!["a -> b: A".to_owned()]);
    let found = compare(vec![circle("s: a, b"), circle("s: c, d")], &["s: a, b", "s: e, f"]);
    assert_eq!(found, ["s: c, d\n    a -> b: A", "is no circle any more, take it from KNOWN_CIRCLES: s: e, f"]);
}
