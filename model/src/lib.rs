//! What the cluster's data is and which rules hold for it, without any I/O, clock or randomness.
//!
//! * [`object`]: the dynamic [`Object`], JSON with Kubernetes' conventions;
//! * [`stored`]: an object as the log holds it, with its revision, parsed on first use;
//! * [`kind`]: what a kind is, and **the** table of kinds ([`Kinds`]);
//! * [`kinds`]: the rows of the built-in kinds, with their strategies and columns;
//! * [`patch`], [`selector`], [`quantity`], [`names`], [`time`], [`hash`], [`meta`], [`table`]: the rules that all kinds share;
//! * [`placement`]: what pods ask of nodes, and whether a node has it;
//! * [`addresses`]: which IP addresses and ranges are accepted;
//! * [`schema`]: structural schemas;
//! * [`protobuf`]: what typed clients send, brought into JSON;
//! * [`error`]: the structured API error, which renders as a Kubernetes `Status`;
pub mod addresses;
pub mod error;
pub mod hash;
pub mod kind;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod object;
pub mod order;
pub mod patch;
pub mod placement;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod stored;
pub mod strategy;
pub mod table;
pub mod time;
pub mod token_secret;

pub use error::{ApiError, Cause, CauseReason, Reason};
pub use kind::{Kind, Kinds, Scope};
pub use object::{Object, OwnerReference};
pub use stored::{Key, Stored};
