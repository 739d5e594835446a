//! The runtime of all controllers: one view, one queue, one way to act.
//!
//! A [`Controller`] names its inputs and outputs and has one pure function from what is seen to a [`Plan`]. [`engine::Engine`] holds the
//! view, decides whose turn it is and keeps a key from being planned before its last writes are seen; [`edge`] watches, writes and
//! reads the clock.
pub mod actor;
pub mod controller;
pub mod engine;
pub mod expectations;
pub mod item;
pub mod labels;
pub mod plan;
pub mod queue;
pub mod resource;
pub mod view;

pub use controller::{Controller, Failure, Input, Moment, Output, Part, ViewChange, controller_key};
pub use engine::{Engine, Lookup, StartError, Stats};
pub use item::{Item, Meta};
pub use labels::Labels;
pub use plan::{Guard, Plan, Write, WriteOp, about};
pub use queue::later;
pub use resource::Resource;
pub use view::View;
