//! Label selectors and field selectors.
mod field;
mod label;
mod parse;

pub use field::FieldSelector;
pub use label::{LabelSelector, Operator, Requirement};

#[cfg(test)]
mod tests;
