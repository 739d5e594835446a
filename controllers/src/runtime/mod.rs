//! The runtime that all controllers share: one view, one queue, and one way to write.
//!
//! A [`Controller`] names its inputs and outputs and has one pure function from the view to a [`Plan`]. [`engine::Engine`] holds the view, decides which key
//! is next, and doesn't plan a key before the view shows its last writes. [`actor`] watches, writes and reads the clock.
pub mod actor;
pub mod controller;
pub mod engine;
pub mod expectations;
pub mod item;
pub mod labels;
pub mod outside;
pub mod plan;
pub mod queue;
pub mod resource;
pub mod retries;
pub mod view;

pub use controller::{Controller, Failure, Input, Moment, Output, Part, ViewChange, controller_key};
pub use engine::{Engine, Lookup, StartError, Stats};
pub use item::{Item, Meta};
pub use labels::Labels;
pub use outside::Outside;
pub use plan::{Guard, Plan, Says, Write, WriteOp, about};
pub use queue::later;
pub use resource::Resource;
pub use retries::Retries;
pub use view::View;
