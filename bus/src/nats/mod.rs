//! The bus over NATS. One connection carries the messages of all callers of this process; each caller has a multiplexer on it.
//!
//! `connect` makes the connection, with `trust` deciding which servers are believed, and writes what happens to it into `health`. It opens a
//! `multiplexer` for each caller, which publishes and subscribes by its `transport`: the `clients` of the connection, or, for a simulated node, an
//! `impaired` way to them. What then travels meets these files, in this order:
//!
//! - A request leaves through `ask`, which has `wire` encode it and asks the `multiplexer` whether `health` has a connection; the `multiplexer` notes
//!   that a reply is awaited and publishes by `transport` and `clients`. Where it is served, `answer` takes it from its subscription at `transport`,
//!   reads who asks, and makes the `responder` that will answer; `in_flight` says whether that caller may have one more under way. When its turn has
//!   come, `answer` has `wire` decode it and calls the handler. A request that is too large for one message is sent as the only frame of a stream
//!   instead.
//! - A reply is encoded by `answer` with `wire`, and published by the `responder`, which has `wire` cut it in parts, by `transport` and `clients`. A
//!   refusal waits in the queue of the `multiplexer` instead, so that whoever refuses needn't wait. Where the request came from, the `multiplexer`
//!   finds who awaits it and has `wire` put the parts together, up to the size that `in_flight` allows; `ask` has `wire` decode it.
//! - A stream packet begins as a frame, encoded by [`crate::stream`]. `pipe` waits until the receiver's window has room, cuts the frame, has `packet`
//!   write each part, and publishes it by `transport` and `clients`. What keeps a stream going (credit, signs of life, its end) waits in the queue of
//!   the `multiplexer` instead. On the other side the `multiplexer` has `packet` read it and hands it to the `pipe` of that number, which checks the
//!   order, and puts frames together up to the size that `in_flight` allows; [`crate::stream`] decodes them.
//! - A notice is encoded and published, or received and decoded, by `notices`.
pub(crate) mod answer;
pub(crate) mod ask;
pub(crate) mod client_requests;
pub(crate) mod clients;
mod connect;
pub(crate) mod health;
mod impaired;
mod in_flight;
pub(crate) mod multiplexer;
pub(crate) mod notices;
pub(crate) mod packet;
pub(crate) mod pipe;
pub(crate) mod responder;
mod transport;
mod trust;
pub(crate) mod wire;

pub(crate) use connect::Link;
pub use connect::{ConnectError, ConnectOptions, Credentials, connect_system};
pub(crate) use health::Health;
pub use trust::{Pin, SERVER_NAME, Trust};
