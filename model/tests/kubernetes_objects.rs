//! Every kind as Kubernetes writes it: the Go module `k8s.io/api` has one object of each, with every field, as JSON and protobuf. Each passes its schema
//! whole. Where the module isn't on this machine (`go mod download k8s.io/api@v0.37.2`), there is nothing to check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use model::{Object, kinds, protobuf, schema};
use std::path::PathBuf;

const MODULE: &str = "k8s.io/api@v0.37.2/testdata/HEAD";

fn objects() -> Option<PathBuf> {
    let cache = std::env::var_os("GOMODCACHE").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join("go/pkg/mod"));
    let found = cache.or_else(home)?.join(MODULE);
    found.is_dir().then_some(found)
}

/// The kind of a file `apps.v1.Deployment.json`: group, version, kind. The core group's is `core`.
fn named(file: &str) -> Option<(String, String, String)> {
    let mut parts: Vec<&str> = file.strip_suffix(".json")?.rsplitn(3, '.').collect();
    let (group, version, kind) = (parts.pop()?, parts.pop()?, parts.pop()?);
    Some((if group == "core" { String::new() } else { group.to_owned() }, version.to_owned(), kind.to_owned()))
}

#[test]
fn every_object_passes_its_schema_whole() {
    let Some(folder) = objects() else {
        println!("skipped: {MODULE} isn't in Go's module cache");
        return;
    };
    let kinds = kinds::builtin();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some((group, version, kind)) = named(&file) else { continue };
        let api_version = if group.is_empty() { version } else { format!("{group}/{version}") };
        let Some(row) = kinds.of(&api_version, &kind) else { continue };
        let json = std::fs::read(folder.join(&file)).unwrap();
        let mut object = Object::from_json(&json).unwrap();
        assert_eq!(schema::validate_and_prune(row, &mut object), Ok(vec![]), "{file}");
        seen += 1;
        let binary = std::fs::read(folder.join(file.replace(".json", ".pb"))).unwrap();
        if let Ok(mut decoded) = protobuf::decode(&binary).map(Object) {
            assert_eq!(schema::validate_and_prune(row, &mut decoded), Ok(vec![]), "{file}, as protobuf");
        }
    }
    let elsewhere = ["apiextensions.k8s.io", "apiregistration.k8s.io", "metrics.k8s.io"];
    let rows = kinds.rows().iter().filter(|row| !elsewhere.contains(&&*row.group)).count();
    assert_eq!(seen, rows, "a kind has no object, or an object no kind");
}
