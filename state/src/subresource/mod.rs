//! Parts of objects and actions on them that have an address of their own: their pure halves.
pub mod binding;
pub mod scale;
pub mod token;
