//! Structural schemas of the kinds: what fields exist, of which types. Derived from `k8s-openapi` by `cargo xtask schema`, kept as one compressed file.
//!
//! * [`validate_and_prune`]: types, unknown fields and canonical forms of what a client sends;
//! * [`duplicate_fields`]: fields that occur twice in a body, which a parsed object can't show any more;
//! * [`openapi_v3_index`], [`openapi_v3`], [`openapi_v2`]: the documents for `kubectl explain`, `apply` and other clients, the last one also as protobuf ([`gnostic`]).
mod definitions;
mod duplicates;
pub mod gnostic;
mod kind_schema;
mod openapi;
mod paths;
mod validate;

pub use definitions::{ListType, MapType, Node, Shape, definition, definitions, raw_definitions};
pub use duplicates::{duplicate_fields, in_order_of};
pub use kind_schema::KindSchema;
pub use openapi::{openapi_v2, openapi_v3, openapi_v3_hash, openapi_v3_index};
pub use validate::{FieldValidation, refuse, validate_and_prune};
