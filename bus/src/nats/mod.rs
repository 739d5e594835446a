//! The bus over NATS: one connection, and a multiplexer on it for each caller that speaks through it.
pub(crate) mod answer;
pub(crate) mod ask;
mod connect;
mod in_flight;
pub(crate) mod multiplexer;
pub(crate) mod packet;
pub(crate) mod pipe;
mod trust;
pub(crate) mod wire;

pub use connect::{ConnectError, ConnectOptions, Credentials, connect_system};
pub(crate) use connect::{Health, Link};
pub use trust::{Pin, SERVER_NAME, Trust};
