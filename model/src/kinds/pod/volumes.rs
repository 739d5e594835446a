//! Volumes: exactly one source each, and what the sources need.
use super::{env, unsupported};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, text};
use crate::kinds::volume::validate_claim_template;
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// What a downward API file may show.
const FIELDS: [&str; 5] = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const HOST_PATHS: [&str; 8] = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// Least and most seconds that a token may live.
const TOKEN_SECONDS: (i64, i64) = (600, 1 << 32);

/// Checks `volumes` and returns the names of those that are right.
pub(super) fn validate<'a>(checks: &mut Checks, path: &dyn Display, spec: &'a Value) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    for (path, volume) in items(spec, path, "volumes") {
        let name = text(volume, "name");
        let mut own = Checks::default();
        source(&mut own, &path, volume);
        own.name(format_args!("{path}.name"), name, names::dns_label);
        if seen.contains(name) {
            own.add(Cause::duplicate(format_args!("{path}.name"), &name.into()));
        } else if own.0.is_empty() {
            seen.insert(name);
        }
        checks.extend(own.0);
    }
    seen
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
        "emptyDir" => empty_dir(checks, &path, source),
        "hostPath" => host_path(checks, &path, source),
        "configMap" => keyed(checks, &path, source, "name"),
        "secret" => keyed(checks, &path, source, "secretName"),
        "downwardAPI" => downward(checks, &path, source),
        "projected" => projected(checks, &path, source),
        "persistentVolumeClaim" => checks.filled(format_args!("{path}.claimName"), text(source, "claimName")),
        "ephemeral" => ephemeral(checks, &path, source),
        "nfs" => nfs(checks, &path, source),
        "image" => image(checks, &path, source),
        _ => checks.add(Cause::forbidden(path, unsupported::WHY)),
    }
}

fn empty_dir(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let limit = source.get("sizeLimit").and_then(|l| crate::quantity::Quantity::from_json(l).ok());
    if limit.is_some_and(|l| l.is_negative()) {
        checks.add(Cause::forbidden(format_args!("{path}.sizeLimit"), "SizeLimit field must be a valid resource quantity"));
    }
    if let Some(mode) = int(source, "mode").filter(|m| !(0..=0o1777).contains(m)) {
        checks.add(Cause::invalid(format_args!("{path}.mode"), &mode.into(), "must be a number between 0 and 01777 (octal), both inclusive"));
    }
}

/// A claim that is made for the pod.
fn ephemeral(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let path = format_args!("{path}.volumeClaimTemplate");
    match source.get("volumeClaimTemplate").filter(|template| !template.is_null()) {
        None => checks.required(path, ""),
        Some(template) => validate_claim_template(checks, &path, template),
    }
}

/// A file system of another machine.
fn nfs(checks: &mut Checks, path: &dyn Display, source: &Value) {
    checks.filled(format_args!("{path}.server"), text(source, "server"));
    checks.filled(format_args!("{path}.path"), text(source, "path"));
    if !text(source, "path").starts_with('/') {
        checks.add(Cause::invalid(format_args!("{path}.path"), &text(source, "path").into(), "must be an absolute path"));
    }
}

/// The files of an image.
fn image(checks: &mut Checks, path: &dyn Display, source: &Value) {
    checks.filled(format_args!("{path}.reference"), text(source, "reference"));
    checks.one_of(format_args!("{path}.pullPolicy"), text(source, "pullPolicy"), &["Always", "IfNotPresent", "Never"]);
}

/// A file or directory of the node.
pub(in crate::kinds) fn host_path(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let host = text(source, "path");
    if host.is_empty() {
        return checks.required(format_args!("{path}.path"), "");
    }
    no_backsteps(checks, &format_args!("{path}.path"), host);
    checks.choice(format_args!("{path}.type"), source.get("type"), &HOST_PATHS);
}

/// A ConfigMap or Secret, of which some keys may be chosen. Kubernetes asks of its name only that there is one: a name that no object can have
/// is one that no object has, which the pod's node reports.
fn keyed(checks: &mut Checks, path: &dyn Display, source: &Value, name: &str) {
    checks.filled(format_args!("{path}.{name}"), text(source, name));
    for (path, item) in items(source, path, "items") {
        checks.filled(format_args!("{path}.key"), text(item, "key"));
        file(checks, &path, item);
    }
}

fn file(checks: &mut Checks, path: &dyn Display, item: &Value) {
    let name = text(item, "path");
    checks.filled(format_args!("{path}.path"), name);
    local(checks, &format_args!("{path}.path"), name);
    checks.mode(format_args!("{path}.mode"), int(item, "mode"));
}

/// Kubernetes names these items without their indices.
fn downward(checks: &mut Checks, path: &dyn Display, source: &Value) {
    for (_, item) in items(source, path, "items") {
        file(checks, path, item);
        match (item.get("fieldRef"), item.get("resourceFieldRef")) {
            (Some(field), resource) => {
                env::field_ref(checks, &format_args!("{path}.fieldRef"), field, &FIELDS);
                if resource.is_some() {
                    checks.add(Cause::invalid(path, &"resource".into(), "fieldRef and resourceFieldRef can not be specified simultaneously"));
                }
            }
            (None, Some(resource)) => env::resource_ref(checks, &format_args!("{path}.resourceFieldRef"), resource, true),
            (None, None) => checks.required(path, "one of fieldRef and resourceFieldRef is required"),
        }
    }
}

fn projected(checks: &mut Checks, path: &dyn Display, source: &Value) {
    let mut files = HashSet::new();
    for (part_path, part) in items(source, path, "sources") {
        let kinds: Vec<(&String, &Value)> = part.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()).collect();
        for (kind, inner) in kinds.iter().copied() {
            let inner_path = format_args!("{part_path}.{kind}");
            match kind.as_str() {
                "secret" | "configMap" => keyed(checks, &inner_path, inner, "name"),
                "downwardAPI" => downward(checks, &inner_path, inner),
                "serviceAccountToken" => token(checks, &inner_path, path, inner),
                _ => checks.add(Cause::forbidden(inner_path, unsupported::WHY)),
            }
            for (_, item) in items(inner, &inner_path, "items") {
                let file = text(item, "path");
                if !file.is_empty() && !files.insert(file) {
                    let value = if kind == "downwardAPI" { file } else { text(inner, "name") };
                    checks.add(Cause::invalid(path, &value.into(), "conflicting duplicate paths"));
                }
            }
        }
        if kinds.len() > 1 {
            checks.add(Cause::forbidden(part_path, "may not specify more than 1 volume type per source"));
        }
    }
}

/// Kubernetes names the token's path as a field of the whole volume, which `volume` is.
fn token(checks: &mut Checks, path: &dyn Display, volume: &dyn Display, token: &Value) {
    match int(token, "expirationSeconds") {
        None => checks.required(format_args!("{path}.expirationSeconds"), ""),
        Some(n) if n < TOKEN_SECONDS.0 => {
            checks.add(Cause::invalid(format_args!("{path}.expirationSeconds"), &n.into(), "may not specify a duration less than 10 minutes"));
        }
        Some(n) if n > TOKEN_SECONDS.1 => {
            checks.add(Cause::invalid(format_args!("{path}.expirationSeconds"), &n.into(), "may not specify a duration larger than 2^32 seconds"));
        }
        Some(_) => {}
    }
    checks.filled(format_args!("{volume}.path"), text(token, "path"));
    local(checks, &format_args!("{volume}.path"), text(token, "path"));
}

/// A path that no step of leads back.
pub(in crate::kinds) fn no_backsteps(checks: &mut Checks, path: &dyn Display, value: &str) {
    if value.split('/').any(|part| part == "..") {
        checks.add(Cause::invalid(path, &value.into(), "must not contain '..'"));
    }
}

/// A path below something: neither absolute nor leading out.
pub(super) fn descending(checks: &mut Checks, path: &dyn Display, value: &str) {
    if value.starts_with('/') {
        checks.add(Cause::invalid(path, &value.into(), "must be a relative path"));
    }
    no_backsteps(checks, path, value);
}

/// A path of a file in a volume that is kept up to date: what begins with two dots is for that.
fn local(checks: &mut Checks, path: &dyn Display, value: &str) {
    descending(checks, path, value);
    if value.starts_with("..") && !value.starts_with("../") {
        checks.add(Cause::invalid(path, &value.into(), "must not start with '..'"));
    }
}
