//! The actor runtime: values that own their state, take messages from a bounded mailbox one at a time, and are
//! supervised: one that fails or panics is made anew after a pause that grows, and one that keeps failing fails its parent.
//!
//! The mailbox outlives the value: what was queued when an actor failed is handled by its successor. The message that it failed on
//! isn't repeated.
mod actor_ref;
mod directory;
mod lifecycle;
mod options;
mod supervise;
mod system;
#[cfg(test)]
mod tests;

pub use actor_ref::{ActorRef, Stopped, TrySendError};
pub use directory::{ActorReport, State};
pub use lifecycle::{Actor, Context};
pub use options::{Options, Restarts};
pub use system::System;
