//! How volumes can be mounted, and by whom.
use crate::error::Cause;
use crate::kinds::fields::{Checks, list};
use serde_json::Value;
use std::fmt::Display;

const ACCESS: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// For one pod alone.
const ONE_POD: &str = "ReadWriteOncePod";
/// As what a pod sees a volume.
pub(super) const VOLUME: [&str; 2] = ["Block", "Filesystem"];

/// The `accessModes` of a volume or a claim; `none` is said where there are none.
pub(super) fn access(checks: &mut Checks, path: &dyn Display, spec: &Value, none: &str) {
    let path = format_args!("{path}.accessModes");
    let modes = list(spec, "accessModes");
    if modes.is_empty() {
        checks.required(path, none);
    }
    modes.iter().for_each(|mode| checks.choice(path, Some(mode), &ACCESS));
    let known = |other: bool| modes.iter().filter_map(Value::as_str).any(|mode| ACCESS.contains(&mode) && (mode != ONE_POD) == other);
    if known(true) && known(false) {
        checks.add(Cause::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}
