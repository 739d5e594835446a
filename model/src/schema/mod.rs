//! Structural schemas of the kinds: what fields exist, of which types. Derived from `k8s-openapi` by `cargo xtask schema`, kept as one compressed file.
mod definitions;

pub use definitions::{Node, Shape, definition, raw_definitions};
