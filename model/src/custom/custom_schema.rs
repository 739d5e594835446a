//! The schema of one version of a custom resource, in the forms in which it is used.
use super::expressions::Rules;
use super::schema::Schema;
use crate::schema::Node;
use serde_json::Value;
use std::sync::Arc;

/// How objects in the log may differ from what their version's schema says now, and how they get from version to version.
#[derive(Clone, Debug, Default)]
pub struct StoredObjects {
    /// The webhook that converts between versions, as the definition's `spec.conversion.webhook`; none where only `apiVersion` differs.
    pub webhook: Option<Arc<Value>>,
    /// Whether some may be of another version than the one in which objects are stored now.
    pub mixed: bool,
    /// Up to this revision they may lack values that this version's schema has defaults for; 0 where it has none.
    pub without_defaults: u64,
}

/// The schema of one version of a custom resource.
#[derive(Debug)]
pub struct CustomSchema {
    /// Its name in OpenAPI documents: `com.example.v1.CronTab`.
    pub name: Box<str>,
    /// Types and merge rules.
    pub node: Node,
    /// All of it.
    pub schema: Schema,
    /// Its rules in CEL, where it has some.
    pub rules: Option<Rules>,
    /// As it was written, for documents.
    pub raw: Value,
    /// Changes when that does.
    pub fingerprint: Box<str>,
    /// What clients are warned of that use a deprecated version.
    pub deprecation: Option<Box<str>>,
    /// What of the definition concerns objects that are already in the log.
    pub stored: StoredObjects,
}
