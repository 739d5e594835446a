//! Custom resources: what a CustomResourceDefinition says, as rows of the table of kinds, and what holds for the objects of these.
//!
//! * [`Schema`]: one version's structural schema; [`prune`] and [`default`] bring an object into its form, [`validate`] says what it refuses;
//! * [`rows`]: one row for each version of a definition;
//! * [`with_definition`], [`without_definition`]: the table as definitions come and go;
//! * [`names`]: which names a definition gets, and the conditions that say so;
//! * [`structural`]: whether a schema is structural.
pub mod definition;
mod format;
pub mod names;
mod path;
mod prune;
mod rows;
mod schema;
pub mod structural;
mod table;
mod validate;

pub use path::PrintedPath;
pub use prune::{default, prune};
pub use rows::rows;
pub use schema::{Limits, Schema, SchemaError, Values};
pub use table::{DEFINITIONS, with_definition, without_definition, without_definitions};
pub use validate::validate;

use crate::error::ApiError;
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::{Node, prune_metadata, refuse};
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
    /// As it was written, for documents.
    pub raw: Value,
    /// Changes when that does.
    pub fingerprint: Box<str>,
}

/// Brings what a client sent into the form of its schema: metadata, and what the schema doesn't know is taken out and named.
///
/// # Errors
/// 400 when metadata has a wrong type.
pub fn accept(kind: &Kind, schema: &CustomSchema, object: &mut Object) -> Result<Vec<String>, ApiError> {
    let mut unknown = prune(&mut object.0, &schema.schema);
    if let Some(Value::Object(metadata)) = object.0.get_mut("metadata") {
        unknown.extend(prune_metadata(metadata).map_err(|why| refuse(kind, &why))?);
    }
    Ok(unknown)
}
