//! Volumes: exactly one source each, and what the common sources need.
use super::containers::relative;
use super::env;
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// What a downward API file may show.
const FIELDS: [&str; 5] = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks `volumes` and returns their names.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) -> Vec<String> {
    let mut seen = Vec::new();
    for (path, volume) in items(spec, path, "volumes") {
        let name = text(volume, "name");
        let errors = names::dns_label(name);
        match (name.is_empty(), errors.is_empty()) {
            (true, _) => checks.required(format_args!("{path}.name"), ""),
            (false, true) => checks.unique(format_args!("{path}.name"), &name.into(), &mut seen),
            (false, false) => checks.all(format_args!("{path}.name"), name, errors),
        }
        source(checks, &path, volume);
    }
    seen.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn source(checks: &mut Checks, path: &dyn Display, volume: &Value) {
    let mut sources = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && !value.is_null());
    let Some((kind, source)) = sources.next() else { return checks.required(path, "must specify a volume type") };
    for (other, _) in sources {
        checks.add(Cause::forbidden(format_args!("{path}.{other}"), "may not specify more than 1 volume type"));
    }
    let path = format_args!("{path}.{kind}");
    checks.mode(format_args!("{path}.defaultMode"), int(source, "defaultMode"));
    match kind.as_str() {
        "emptyDir" => {
            if let Some(limit) = source.get("sizeLimit") {
                checks.amount(format_args!("{path}.sizeLimit"), limit);
            }
        }
        "hostPath" => host_path(checks, &path, source),
        "configMap" => keyed(checks, &path, source, "name"),
        "secret" => keyed(checks, &path, source, "secretName"),
        "downwardAPI" => downward(checks, &path, source),
        "projected" => projected(checks, &path, source),
        "persistentVolumeClaim" => checks.filled(format_args!("{path}.claimName"), text(source, "claimName")),
        _ => {}
    }
}

fn host_path(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let host = text(source, "path");
    checks.filled(format_args!("{path}.path"), host);
    if host.split('/').any(|part| part == "..") {
        checks.add(Cause::invalid(format_args!("{path}.path"), &host.into(), "must not contain '..'"));
    }
    let kind = text(source, "type");
    let kinds = ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    if !kind.is_empty() {
        checks.one_of(format_args!("{path}.type"), kind, &kinds);
    }
}

/// A ConfigMap or Secret, of which some keys may be chosen.
fn keyed(checks: &mut Checks, path: &dyn Display, source: &Value, name: &str) {
    checks.filled(format_args!("{path}.{name}"), text(source, name));
    for (path, item) in items(source, path, "items") {
        checks.filled(format_args!("{path}.key"), text(item, "key"));
        file(checks, &path, item);
    }
}

fn file(checks: &mut Checks, path: &dyn Display, item: &Value) {
    checks.filled(format_args!("{path}.path"), text(item, "path"));
    relative(checks, &format_args!("{path}.path"), text(item, "path"));
    checks.mode(format_args!("{path}.mode"), int(item, "mode"));
}

fn downward(checks: &mut Checks, path: &dyn Display, source: &Value) {
    for (path, item) in items(source, path, "items") {
        file(checks, &path, item);
        match (item.get("fieldRef"), item.get("resourceFieldRef")) {
            (Some(field), None) => env::field_ref(checks, &format_args!("{path}.fieldRef"), field, &FIELDS),
            (None, Some(resource)) => {
                checks.filled(format_args!("{path}.resourceFieldRef.containerName"), text(resource, "containerName"));
                env::resource_ref(checks, &format_args!("{path}.resourceFieldRef"), resource);
            }
            (Some(_), Some(_)) => checks.add(Cause::invalid(path, item, "fieldRef and resourceFieldRef can not be specified simultaneously")),
            (None, None) => checks.required(&path, "one of fieldRef and resourceFieldRef is required"),
        }
    }
}

fn projected(checks: &mut Checks, path: &dyn Display, source: &Value) {
    for (path, part) in items(source, path, "sources") {
        let mut kinds = part.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null());
        let Some((kind, inner)) = kinds.next() else { continue };
        for (other, _) in kinds {
            checks.add(Cause::forbidden(format_args!("{path}.{other}"), "may not specify more than 1 volume type per source"));
        }
        let path = format_args!("{path}.{kind}");
        match kind.as_str() {
            "secret" | "configMap" => keyed(checks, &path, inner, "name"),
            "downwardAPI" => downward(checks, &path, inner),
            "serviceAccountToken" => token(checks, &path, inner),
            _ => {}
        }
    }
    if list(source, "sources").is_empty() {
        checks.required(format_args!("{path}.sources"), "");
    }
}

fn token(checks: &mut Checks, path: &dyn Display, token: &Value) {
    let seconds = int(token, "expirationSeconds").unwrap_or(3600);
    if seconds < 600 {
        checks.add(Cause::invalid(format_args!("{path}.expirationSeconds"), &seconds.into(), "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        checks.add(Cause::invalid(format_args!("{path}.expirationSeconds"), &seconds.into(), "may not specify a duration larger than 2^32 seconds"));
    }
    checks.filled(format_args!("{path}.path"), text(token, "path"));
    relative(checks, &format_args!("{path}.path"), text(token, "path"));
}
