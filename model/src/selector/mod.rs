//! Label selectors and field selectors.
mod field;
mod label;
mod parse;
mod requirement;

pub use field::FieldSelector;
pub use label::LabelSelector;
pub use requirement::{Operator, Requirement};

#[cfg(test)]
mod tests;
