//! Ports on a node's own addresses.
use std::sync::Arc;

/// A port on the node's own addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Address, `0.0.0.0` for all.
    pub ip: Arc<str>,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: Arc<str>,
    /// Number.
    pub port: i32,
}

impl HostPort {
    /// Whether two can't be had on one node.
    pub fn conflicts(&self, other: &Self) -> bool {
        const ALL: &str = "0.0.0.0";
        self.port == other.port && self.protocol == other.protocol && (self.ip == other.ip || &*self.ip == ALL || &*other.ip == ALL)
    }
}
