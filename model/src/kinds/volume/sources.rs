//! Where a persistent volume's data is: exactly one source, and what each source needs.
use super::place::Use;
use super::{disks, iscsi};
use crate::error::Cause;
use crate::kinds::fields::{Checks, fill, list, map_mut, text};
use crate::kinds::pod;
use crate::names;
use serde_json::Value;
use std::fmt::Display;

/// Checks what is special of a source at a path, in a volume.
type Rules = fn(&mut Checks, &dyn Display, &Value, Use<'_>);

/// A source: its field, how Kubernetes calls it where there are several and where something within is wrong, and what must be there.
struct Source {
    field: &'static str,
    second: &'static str,
    within: &'static str,
    required: &'static [&'static str],
    rules: Rules,
}

const fn source(field: &'static str, required: &'static [&'static str], rules: Rules) -> Source {
    Source { field, second: field, within: field, required, rules }
}

fn plain(_: &mut Checks, _: &dyn Display, _: &Value, _: Use<'_>) {}

/// In the order in which Kubernetes looks for them.
const SOURCES: [Source; 22] = [
    source("hostPath", &[], |checks, path, source, _| pod::host_path(checks, path, source)),
    Source { within: "persistentDisk", ..source("gcePersistentDisk", &["pdName"], disks::partition) },
    source("awsElasticBlockStore", &["volumeID"], disks::partition),
    source("glusterfs", &["endpoints", "path"], disks::glusterfs),
    source("flocker", &[], disks::flocker),
    source("nfs", &["server", "path"], nfs),
    source("rbd", &["monitors", "image"], plain),
    source("quobyte", &[], disks::quobyte),
    Source { second: "cephFS", ..source("cephfs", &["monitors"], plain) },
    source("iscsi", &["targetPortal"], iscsi::validate),
    source("cinder", &["volumeID"], disks::secret),
    source("fc", &[], disks::fibre_channel),
    source("flexVolume", &["driver"], disks::flex),
    source("azureFile", &["secretName", "shareName"], disks::azure_file),
    source("vsphereVolume", &["volumePath"], plain),
    source("photonPersistentDisk", &["pdID"], plain),
    source("portworxVolume", &["volumeID"], plain),
    source("azureDisk", &["diskName", "diskURI"], disks::azure_disk),
    source("scaleIO", &["gateway", "system", "volumeName"], plain),
    source("local", &["path"], |checks, path, source, _| pod::no_backsteps(checks, &format_args!("{path}.path"), text(source, "path"))),
    source("storageos", &[], disks::storage_os),
    source("csi", &[], csi),
];

/// What sources have where nothing is said of it.
const DEFAULTS: [(&str, &str, &str); 10] = [
    ("hostPath", "type", ""),
    ("rbd", "pool", "rbd"),
    ("rbd", "user", "admin"),
    ("rbd", "keyring", "/etc/ceph/keyring"),
    ("iscsi", "iscsiInterface", "default"),
    ("azureDisk", "cachingMode", "ReadWrite"),
    ("azureDisk", "fsType", "ext4"),
    ("azureDisk", "kind", "Shared"),
    ("scaleIO", "storageMode", "ThinProvisioned"),
    ("scaleIO", "fsType", "xfs"),
];

/// Fills in what a client left out of a volume's source.
pub(in crate::kinds) fn default(spec: &mut Value) {
    for (source, field, default) in DEFAULTS {
        if spec.get(source).is_some_and(Value::is_object) {
            map_mut(spec, source).into_iter().for_each(|source| fill(source, field, default));
        }
    }
    if spec.get("azureDisk").is_some_and(Value::is_object) {
        map_mut(spec, "azureDisk").into_iter().for_each(|disk| fill(disk, "readOnly", false));
    }
}

/// The fields of a spec that are sources.
pub(super) fn fields() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.field)
}

/// The source of a spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, of: Use<'_>) {
    let mut found = false;
    for source in SOURCES {
        let Some(value) = spec.get(source.field) else { continue };
        // several drivers of this kind were never refused
        if found && source.field != "flexVolume" {
            checks.add(Cause::forbidden(format_args!("{path}.{}", source.second), "may not specify more than 1 volume type"));
            continue;
        }
        found = true;
        let within = format!("{path}.{}", source.within);
        for field in source.required.iter().filter(|field| text(value, field).is_empty() && list(value, field).is_empty()) {
            checks.required(format_args!("{within}.{field}"), "");
        }
        (source.rules)(checks, &within, value, of);
        if source.field == "local" && spec.get("nodeAffinity").is_none() {
            checks.required(format_args!("{path}.nodeAffinity"), "Local volume requires node affinity");
        }
    }
    if !found {
        checks.required(path, "must specify a volume type");
    }
    let root = spec.get("hostPath").is_some_and(|source| is_root(text(source, "path")));
    if root && text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
        checks.add(Cause::forbidden(format_args!("{path}.persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"));
    }
}

/// Whether a path means the root, in whatever words.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

fn nfs(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    let export = text(source, "path");
    if !export.starts_with('/') {
        checks.add(Cause::invalid(format_args!("{path}.path"), &export.into(), "must be an absolute path"));
    }
}

fn csi(checks: &mut Checks, path: &dyn Display, source: &Value, _: Use<'_>) {
    csi_driver_name(checks, &format_args!("{path}.driver"), text(source, "driver"));
    checks.filled(format_args!("{path}.volumeHandle"), text(source, "volumeHandle"));
    for field in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"] {
        if let Some(secret) = source.get(field) {
            checks.name(format_args!("{path}.{field}.name"), text(secret, "name"), names::dns_subdomain);
            checks.name(format_args!("{path}.{field}.namespace"), text(secret, "namespace"), names::dns_label);
        }
    }
}

/// The name of a CSI driver.
fn csi_driver_name(checks: &mut Checks, path: &dyn Display, name: &str) {
    if name.len() > names::LABEL_MAX {
        checks.add(Cause::too_long(path, names::LABEL_MAX));
    }
    checks.name(path, name, |name| names::dns_subdomain(&name.to_ascii_lowercase()));
}
