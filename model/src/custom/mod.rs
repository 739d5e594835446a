//! Custom resources: what a CustomResourceDefinition says, as rows of the table of kinds, and what holds for the objects of these.
//!
//! * [`Schema`]: one version's structural schema; [`prune`] and [`default`] bring an object into its form, [`validate`] says what it refuses;
//! * [`rows`]: one row for each version of a definition;
//! * [`with_definition`], [`without_definition`]: the table as definitions come and go;
//! * [`names`]: which names a definition gets, and the conditions that say so;
//! * [`expressions`]: rules in CEL;
//! * [`structural`]: what a schema may say.
mod custom_schema;
pub mod definition;
pub mod expressions;
mod format;
pub mod names;
mod path;
mod prune;
mod rows;
mod schema;
pub mod structural;
mod table;
mod validate;
mod version_schema;

pub use custom_schema::{CustomSchema, StoredObjects};
pub use path::PrintedPath;
pub use prune::{default, prune};
pub use rows::rows;
pub use schema::{Limits, Rule, Schema, SchemaError, Values};
pub use table::{DEFINITIONS, with_definition, without_definition, without_definitions};
pub use validate::validate;
