//! HTTP for `kubectl`: TLS, who asks, what a path means, and answers in the form asked for. Everything else is `state`'s.
//!
//! No line here knows a kind: paths, discovery, tables and metrics derive from the table of kinds.
pub mod auth;
pub mod body;
pub mod clients;
mod coalesce;
mod definitions;
pub mod discovery;
pub mod encoding;
pub mod forms;
pub mod gateway;
pub mod handler;
pub mod health;
mod io;
mod kubeconfig;
pub mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod path;
pub mod pki;
mod proxy;
pub mod query;
mod request;
pub mod respond;
pub mod stream;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transcode;
mod upload;
pub mod watch;

pub use gateway::{Gateway, GatewayError, GatewayOptions};
pub use pki::{Pki, PkiError};
