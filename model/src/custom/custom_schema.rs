//! The schema of one version of a custom resource, in the forms in which it is used.
use super::expressions::Rules;
use super::schema::Schema;
use crate::schema::Node;
use serde_json::Value;

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
}
