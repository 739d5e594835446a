//! The table of rules: `model/schema/rules.yaml`, and beside it what the tags of Kubernetes' Go types declare.
mod tags;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::path::Path;

/// Packages of `k8s.io/api` whose tags are taken, with the types that are, where it isn't all of them: the rules of other types are code.
const PACKAGES: [(&str, &[&str]); 13] = [
    ("admissionregistration/v1", &[]),
    ("apps/v1", &["StatefulSet", "DaemonSet", "RollingUpdateStatefulSet", "RollingUpdateDaemonSet"]),
    ("autoscaling/v2", &[]),
    ("batch/v1", &[]),
    ("certificates/v1", &[]),
    ("core/v1", &["PersistentVolume", "ReplicationController", "ResourceQuota", "LimitRange"]),
    ("flowcontrol/v1", &[]),
    ("networking/v1", &[]),
    ("node/v1", &[]),
    ("policy/v1", &[]),
    ("resource/v1", &[]),
    ("storage/v1", &[]),
    ("storagemigration/v1", &[]),
];

/// Writes the table and returns its size. `api` is the directory of the Go module `k8s.io/api`, `yaml` the rules that are written by hand.
pub fn write(api: &Path, yaml: &Path, path: &Path) -> io::Result<usize> {
    let mut table = Map::new();
    for (package, types) in PACKAGES {
        let source = std::fs::read_to_string(api.join(package).join("types.go"))?;
        let prefix = format!("io.k8s.api.{}.", package.replace('/', "."));
        for (name, rules) in tags::rules(&source) {
            if types.is_empty() || types.iter().any(|t| name.starts_with(t)) {
                table.insert(format!("{prefix}{name}"), rules);
            }
        }
    }
    let by_hand: Map<String, Value> = serde_saphyr::from_str(&std::fs::read_to_string(yaml)?).map_err(io::Error::other)?;
    for (name, rules) in by_hand {
        merge(table.entry(full(&name)).or_insert_with(|| Map::new().into()), rules);
    }
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&serde_json::to_vec(&table)?)?;
    let bytes = gz.finish()?;
    std::fs::write(path, &bytes)?;
    Ok(bytes.len())
}

/// `batch.v1.Job` is short for `io.k8s.api.batch.v1.Job`.
fn full(name: &str) -> String {
    if name.starts_with("io.") { name.to_owned() } else { format!("io.k8s.api.{name}") }
}

/// Puts what is written by hand over what the tags say.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
