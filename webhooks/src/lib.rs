//! Webhooks: servers of users that are asked whether a write is admitted, what it should be instead, and how a custom resource is converted between its
//! versions. The documents are those of `admission.k8s.io` and of ConversionReview in `apiextensions.k8s.io/v1`.
//!
//! Pure: [`configuration`] (what a configuration says), [`rules`] (which writes it concerns), [`review`] and [`conversion`] (what is asked, and what of an
//! answer is believed). [`client`] is the edge: it reaches a server over TLS, in bounded time and memory.
pub mod client;
pub mod client_config;
pub mod configuration;
pub mod conversion;
pub mod review;
mod review_version;
mod reviewed;
pub mod rules;
mod tls;

pub use client::{CallError, Client, Services};
pub use client_config::{ClientConfig, Endpoint};
pub use configuration::{FailurePolicy, Webhook};
pub use review_version::ReviewVersion;
