//! What a schema of a custom resource may say: it is structural, so that each field has a type outside of the logical junctors and these constrain values
//! only, and it has no words beyond those that custom resources know. The rules are those of the Kubernetes documentation, "Specifying a structural schema",
//! and of `k8s.io/apiextensions-apiserver`.
mod complete;
mod nested;
mod parts;
mod read;
mod words;

use crate::error::Cause;
use read::children;
use serde_json::Value;

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 100;

/// What is wrong with a schema at `path`, of a version that has a status of its own or not.
///
/// # Errors
/// It nests too deep to be looked at.
pub fn check(schema: &Value, has_status: bool, path: &str) -> Result<Vec<Cause>, Cause> {
    if let Some(place) = too_deep(schema, path, 0) {
        return Err(Cause::forbidden(place, "nests too deep"));
    }
    let mut causes = words::root(schema, has_status, path);
    let unsupported = words::unsupported(schema);
    if unsupported.is_none() {
        let mut structure = parts::check(schema, path);
        structure.extend(complete::check(schema, path));
        structure.sort_by_cached_key(|cause| format!("{}: {}", cause.field, cause.message));
        causes.extend(structure);
    }
    causes.extend(words::check(schema, path));
    causes.extend(unsupported.filter(|_| causes.is_empty()).map(|why| Cause::invalid(path, &"".into(), why)));
    Ok(causes)
}

/// Where a schema nests deeper than is followed.
fn too_deep(schema: &Value, path: &str, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return Some(path.to_owned());
    }
    let map = schema.as_object()?;
    children(map).into_iter().find_map(|(step, inner)| too_deep(inner, &format!("{path}.{step}"), depth + 1))
}

#[cfg(test)]
mod tests;
