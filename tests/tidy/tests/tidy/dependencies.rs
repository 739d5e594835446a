//! Crates depend on each other one way, and on nothing that they don't use.
use crate::paths::Paths;
use crate::sources::{Repository, Source};
use cargo_metadata::DependencyKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which of our crates each may depend on. The picture in ARCHITECTURE.md, as a table.
const MAY_USE: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("cel", &["names"]),
    ("model", &["names", "cel"]),
    ("bus", &[]),
    ("webhooks", &["model"]),
    ("state-client", &["model", "bus"]),
    ("state", &["model", "bus", "webhooks", "state-client"]),
    ("api-gateway", &["model", "bus", "state-client"]),
    ("scheduler", &["model", "bus", "state-client"]),
    ("controllers", &["model", "bus", "state-client"]),
    ("node-agent", &["model", "bus", "state-client"]),
    ("whalesong", &["model", "bus", "state-client", "state", "api-gateway", "scheduler", "controllers", "node-agent"]),
    ("bench", &["model", "bus", "state-client", "scheduler", "controllers", "state", "simulation"]),
    ("testbed", &[]),
    ("conformance", &["testbed"]),
    ("e2e", &["testbed", "model", "bus", "state-client", "state", "scheduler", "controllers"]),
    ("fuzz", &["webhooks", "cel", "model", "bus", "state-client", "state", "api-gateway", "scheduler", "controllers", "node-agent"]),
    ("simulation", &["model", "bus", "state-client", "state", "scheduler", "controllers", "node-agent"]),
    ("tidy", &[]),
    ("xtask", &["model"]),
];

/// What the pure crate may not depend on.
const NOT_IN_MODEL: &[&str] = &["tokio", "async-nats", "futures", "rand", "hyper"];

/// Dependencies on a crate that isn't beneath.
pub fn one_way(repository: &Repository) -> Vec<String> {
    repository.packages.iter().flat_map(|p| wrong(&p.name, p.dependencies.iter().map(|d| d.name.as_str()))).collect()
}

fn wrong<'a>(package: &str, dependencies: impl Iterator<Item = &'a str>) -> Vec<String> {
    let ours: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let Some(allowed) = ours.get(package) else { return vec![format!("{package} is in no row of MAY_USE")] };
    let of_ours = |name: &str| (ours.contains_key(name) && !allowed.contains(&name)).then(|| format!("{package} may not use {name}"));
    let of_pure = |name: &str| (package == "model" && NOT_IN_MODEL.contains(&name)).then(|| format!("model is pure and may not use {name}"));
    dependencies.filter_map(|name| of_ours(name).or_else(|| of_pure(name))).collect()
}

/// Dependencies that nothing uses, and those that only tests use.
pub fn used(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    let crates = repository.crates();
    for package in &repository.packages {
        let sources: Vec<&Source> = repository.sources.iter().filter(|s| repository.package_of(&s.path) == Some(package)).collect();
        let code: BTreeSet<&Path> = crates.iter().filter(|c| c.package == package).flat_map(|c| c.modules.files()).collect();
        let code: Vec<&Source> = sources.iter().copied().filter(|s| code.contains(&*s.path)).collect();
        let (by_code, by_all) = (crates_named(&code, false), crates_named(&sources, true));
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
            if !by_all.contains(&name) {
                found.push(format!("nothing in {} uses {}", package.name, dependency.name));
            } else if dependency.kind == DependencyKind::Normal && !by_code.contains(&name) {
                found.push(format!("only tests of {} use {}: it belongs in [dev-dependencies]", package.name, dependency.name));
            }
        }
    }
    let used: BTreeSet<&str> = repository.packages.iter().flat_map(|p| &p.dependencies).map(|d| d.name.as_str()).collect();
    let offered = offered(&repository.manifest).into_iter().filter(|name| !used.contains(name));
    found.extend(offered.map(|name| format!("no package uses {name} of [workspace.dependencies]")));
    found
}

/// The names in the workspace's list of dependencies.
fn offered(manifest: &str) -> Vec<&str> {
    let list = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1).take_while(|line| !line.starts_with('['));
    list.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect()
}

/// The names with which paths begin: those of crates, among others.
fn crates_named(sources: &[&Source], tests: bool) -> BTreeSet<String> {
    let mut crates = BTreeSet::new();
    for source in sources {
        let paths = Paths::of_file(&source.syntax, tests);
        crates
            .extend(paths.imports.into_iter().map(|i| i.path).chain(paths.named.into_iter().map(|n| n.path).filter(|p| p.len() > 1)).map(|mut p| p.remove(0)));
    }
    crates
}

#[test]
fn finds_dependencies_on_what_is_not_beneath() {
    assert_eq!(wrong("model", ["serde", "tokio"].into_iter()), ["model is pure and may not use tokio"]);
    assert_eq!(wrong("state", ["model", "scheduler"].into_iter()), ["state may not use scheduler"]);
    assert_eq!(wrong("new", std::iter::empty()), ["new is in no row of MAY_USE"]);
}

#[test]
fn finds_the_crates_that_code_names() {
    let text =
        "use serde::Serialize;\nuse http as web;\n#[tokio::main]\nasync fn main() { let bytes = 1; vec![base64::encode(bytes)]; <u8 as rand::Rng>::x(); }
#[cfg(test)]\nmod tests { use proptest::prelude::*; }";
    let source = Source::new("a.rs", text);
    let named = |tests| crates_named(&[&source], tests).into_iter().collect::<Vec<_>>();
    assert_eq!(named(false), ["base64", "http", "rand", "serde", "tokio"]);
    assert_eq!(named(true), ["base64", "http", "proptest", "rand", "serde", "tokio"]);
}

#[test]
fn reads_the_workspaces_list() {
    assert_eq!(offered("[workspace]\na = 1\n[workspace.dependencies]\n# data\nb = \"1\"\nc-d = { path = \"c\" }\n\n[profile.dev]\ne = 2"), ["b", "c-d"]);
}
