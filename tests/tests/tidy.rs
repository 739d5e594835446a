//! The repository's own rules, checked over its files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use cargo_metadata::MetadataCommand;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which of our crates each may depend on. The picture in ARCHITECTURE.md, as a table.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("bus", &[]),
    ("state-client", &["model", "bus"]),
    ("state", &["model", "bus", "state-client"]),
    ("api-gateway", &["model", "bus", "state-client"]),
    ("scheduler", &["model", "bus", "state-client"]),
    ("controllers", &["model", "bus", "state-client"]),
    ("node-agent", &["model", "bus", "state-client"]),
    ("whalesong", &["model", "bus", "state-client", "state", "api-gateway", "scheduler", "controllers", "node-agent"]),
    ("bench", &["model", "bus", "state-client", "scheduler", "controllers", "state", "simulation"]),
    ("testbed", &[]),
    ("conformance", &["testbed"]),
    ("e2e", &["testbed", "model", "bus", "state-client", "state", "scheduler", "controllers"]),
    ("fuzz", &["model", "bus", "state-client", "state", "api-gateway", "scheduler", "controllers", "node-agent"]),
    ("simulation", &["model", "state-client", "state", "scheduler", "controllers", "node-agent"]),
    ("xtask", &["model"]),
];

/// What the pure crate may not depend on.
const NOT_IN_MODEL: &[&str] = &["tokio", "async-nats", "futures", "rand", "hyper"];

/// Lines that a function may have: a screen, with room for one long table.
const FUNCTION_LINES: usize = 90;
/// Lines that a file may have.
const FILE_LINES: usize = 900;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

fn fail_if_any(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn dependencies_point_one_way() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let ours: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = ours.get(package.name.as_str()) else {
            wrong.push(format!("{} is in no row of MAY_USE", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind == cargo_metadata::DependencyKind::Normal) {
            let name = dependency.name.as_str();
            if ours.contains_key(name) && !allowed.contains(&name) {
                wrong.push(format!("{} may not use {name}", package.name));
            }
            if package.name.as_str() == "model" && NOT_IN_MODEL.contains(&name) {
                wrong.push(format!("model is pure and may not use {name}"));
            }
        }
    }
    fail_if_any("dependencies go one way", &wrong);
}

#[test]
fn nothing_is_left_lying_about() {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(p, _)| !p.ends_with("tests/tidy.rs")) {
        for (n, line) in text.lines().enumerate() {
            for word in ["allow(dead_code)", "allow(unused", "TODO", "FIXME", "todo!(", "unimplemented!(", "#[ignore]"] {
                if line.contains(word) {
                    found.push(format!("{}:{}: {word}", path.display(), n + 1));
                }
            }
        }
    }
    fail_if_any("finished code only", &found);
}

#[test]
fn files_have_one_subject() {
    let long: Vec<String> =
        sources().iter().map(|(p, t)| (p, t.lines().count())).filter(|(_, n)| *n > FILE_LINES).map(|(p, n)| format!("{}: {n} lines", p.display())).collect();
    fail_if_any("files longer than FILE_LINES have two subjects", &long);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        // rustfmt puts a function's closing brace under its first line
        let mut open: Option<(usize, usize, String)> = None;
        for (n, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            if open.is_none() && (code.starts_with("fn ") || code.contains(" fn ")) && code.ends_with('{') && !code.starts_with("//") {
                open = Some((n, indent, code.to_owned()));
            } else if let Some((start, at, head)) = &open
                && indent == *at
                && code.starts_with('}')
            {
                if n - start > FUNCTION_LINES {
                    long.push(format!("{}:{}: {} lines: {head}", path.display(), start + 1, n - start));
                }
                open = None;
            }
        }
    }
    fail_if_any("functions longer than FUNCTION_LINES", &long);
}

#[test]
fn the_pure_crate_reads_no_clock() {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(p, _)| p.starts_with(root().join("model"))) {
        for (n, line) in text.lines().enumerate() {
            for call in ["SystemTime::now", "Instant::now", "Timestamp::now", "Uuid::new_v4", "rand::", "std::fs::", "std::env::var"] {
                if line.contains(call) {
                    found.push(format!("{}:{}: {call}", path.display(), n + 1));
                }
            }
        }
    }
    fail_if_any("time, randomness and files are inputs of model", &found);
}
