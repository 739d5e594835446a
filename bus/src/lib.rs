//! Everything that is said between components: who may say what to whom, and how it gets there.
//!
//! A message whose receiver lives in the same process is moved to it; otherwise it travels over NATS as MessagePack.
//! The sender can't tell which.
pub mod address;
pub mod bus;
pub mod message;
pub mod stream;

pub use address::{Caller, Role, To};
pub use bus::{Bus, BusError, Incoming, Opening, Service};
pub use message::{Call, Message, Open};
pub use stream::{Duplex, StreamError};
