//! Watches of one node's pods. With thousands of agents, each waking for every pod's change, or looking through all pods to find its own,
//! would cost more than all the rest; so one reader takes the feed, knows which pods are on which node, and gives a change to those whose node it
//! concerns.
//!
//! [`table`]: which pods are on which node, and who watches them; [`reader`]: the one reader, and the routes that it gives changes to; [`source`]: a watch's
//! changes, by a route or from a feed of its own.
mod reader;
mod source;
mod table;

pub use reader::Routes;
pub use source::Source;
