//! What components say to `state` and to nodes, and how they say it: requests, replies, watches, and a local view kept by a watch.
pub mod api;
pub mod client;
pub mod connect;
pub mod events;
pub mod identity;
pub mod leader_lease;
pub mod metrics;
pub mod node;
pub mod reflector;
pub mod token;
pub mod usage;

pub use api::{Batch, Body, Event, ListReply, Options, PatchKind, Propagation, Reply, Request, User, Verb, WatchRequest};
pub use client::{Client, Watch};
pub use reflector::{Change, Reflector};
