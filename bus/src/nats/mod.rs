//! The bus over NATS: one connection, and a mouth on it for each caller that speaks through it.
pub(crate) mod answer;
pub(crate) mod ask;
mod connect;
pub(crate) mod mouth;
pub(crate) mod packet;
pub(crate) mod pipe;
mod shares;
mod trust;
pub(crate) mod wire;

pub use connect::{ConnectError, ConnectOptions, Credentials, connect_system};
pub(crate) use connect::{Health, Link};
pub use trust::{Pin, SERVER_NAME, Trust};
