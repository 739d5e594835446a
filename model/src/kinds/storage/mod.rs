//! Classes of storage, the drivers that provide it, and what these say of nodes.
mod attachment;
mod capacity;
mod classes;
mod driver;
mod node;

pub(super) use attachment::ATTACHMENT;
pub(super) use capacity::CAPACITY;
pub(super) use classes::{ATTRIBUTES_CLASS, CLASS};
pub(super) use driver::DRIVER;
pub(super) use node::NODE;

#[cfg(test)]
mod driver_tests;
#[cfg(test)]
mod tests;
