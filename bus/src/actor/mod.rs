//! The actor runtime. An actor owns its state and handles the messages of its mailbox one at a time; the mailbox has a bound.
//!
//! An actor that fails or panics is created again after a pause, which grows with each failure. One that keeps failing makes its parent fail. The mailbox
//! survives: the new actor handles the messages that were queued, except the one on which the old one failed.
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
