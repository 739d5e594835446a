//! The repository's own rules, checked over its files: one rule a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod circles;
mod clock;
mod dependencies;
mod files;
mod functions;
mod leftovers;
mod modules;
mod paths;
mod sources;

use sources::Repository;

/// Each rule with what breaks it.
type Rule = (&'static str, fn(&Repository) -> Vec<String>);
const RULES: &[Rule] = &[
    ("dependencies go one way", dependencies::one_way),
    ("what is depended on is used", dependencies::used),
    ("files of a crate don't use each other in circles", circles::check),
    ("files have one subject and aren't long", files::check),
    ("functions fit on a screen", functions::check),
    ("time, chance, files and the network are inputs of what is pure", clock::check),
    ("only finished code is kept", leftovers::check),
];

#[test]
fn the_repository_keeps_its_rules() {
    let repository = Repository::read();
    let found = RULES.iter().map(|(rule, check)| (rule, check(&repository))).filter(|(_, found)| !found.is_empty());
    let found: Vec<String> = found.map(|(rule, found)| format!("{rule}, but:\n  {}", found.join("\n  "))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
