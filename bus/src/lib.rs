//! This crate carries all messages between components. It decides who may say what to whom, and delivers it.
//!
//! A message to a receiver in the same process is moved to it. Every other message travels over NATS as MessagePack. The sender's code is the same in both
//! cases.
pub mod actor;
pub mod address;
pub mod backoff;
pub mod bus;
mod discover;
pub mod error;
pub mod impairment;
pub mod keys;
pub mod lease;
mod listeners;
mod log_limiter;
pub mod message;
pub mod micro;
mod nats;
pub mod opening;
pub mod permissions;
mod registry;
pub mod server;
pub mod service;
mod stats;
pub mod stream;
pub mod subject;

pub use address::{Caller, Class, Role, To};
pub use backoff::Backoff;
pub use bus::Bus;
pub use error::{BusError, StreamError};
pub use impairment::{Impairment, ImpairmentMode};
pub use lease::{FencingToken, Lease, LeaseError, LeaseOptions, Leases};
pub use message::{Call, Incoming, Message, Notice, Open};
pub use micro::ServiceInfo;
/// What stands on the wire, and how it is read.
pub mod wire {
    pub use crate::nats::packet::Packet;
    pub use crate::nats::wire::{PART, Parts, decode, encode};
}

pub use nats::client_requests::{ClientGone, ClientRequest};
pub use nats::{ConnectError, ConnectOptions, Credentials, Pin, SERVER_NAME, Trust, connect_system};
pub use opening::Opening;
pub use permissions::{Permissions, client_permissions, permissions, reply_permissions};
pub use service::Service;
pub use stream::Duplex;
