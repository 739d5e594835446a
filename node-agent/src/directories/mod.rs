//! The directories of the built-in provisioner's volumes that this node has: made when a volume's object names the node, kept within their size where the
//! file system can, and removed when the volume ends.
//!
//! A directory is made once, and removed only if this agent made it for this very volume: a record on the disk says so. One that is gone is not made again,
//! because an empty one in its place would hide that its data is lost.
mod follow;
mod quota;
mod settle;
mod store;

pub use follow::run;
pub use settle::{Task, task};
