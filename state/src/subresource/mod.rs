//! The pure parts of subresources: parts of objects, and actions on them, that have a path of their own.
pub mod binding;
pub mod scale;
pub mod token;
