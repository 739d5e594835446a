//! The claim that is made for a pod's generic ephemeral volume.
use super::claim;
use crate::error::Cause;
use crate::kinds::fields::{Checks, map};
use crate::meta;
use serde_json::Value;
use std::fmt::Display;

/// What such a claim has of metadata; all else is the pod's affair.
const METADATA: [&str; 2] = ["annotations", "labels"];

/// The template at `path`.
pub(in crate::kinds) fn validate(checks: &mut Checks, path: &dyn Display, template: &Value) {
    let metadata = template.get("metadata").unwrap_or(&Value::Null);
    checks.extend(meta::annotations(&format!("{path}.metadata.annotations"), map(metadata, "annotations")));
    checks.extend(meta::labels(format!("{path}.metadata.labels"), map(metadata, "labels")));
    let given = metadata.as_object().into_iter().flatten().filter(|(key, value)| !METADATA.contains(&key.as_str()) && !value.is_null());
    for (key, _) in given {
        checks.add(Cause::forbidden(format_args!("{path}.metadata.{key}"), "cannot be set for an ephemeral volume"));
    }
    claim::validate_spec(checks, &format_args!("{path}.spec"), template.get("spec").unwrap_or(&Value::Null));
}
