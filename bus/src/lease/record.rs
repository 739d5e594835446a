//! What is kept of one lease.
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest time to live; what is older than it is removed by the server.
pub const TTL_MAX: Duration = Duration::from_secs(60);

/// What stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Who holds it; empty once it was released.
    pub(super) holder: String,
    /// Which run of the holder.
    pub(super) run: String,
    /// The revision of the first record of this holding; 0 in that record itself.
    pub(super) token: u64,
    pub(super) ttl_ms: u64,
}

/// A record with the revision that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) revision: u64,
    pub(super) record: Record,
}

impl Entry {
    /// The fencing token of who holds it.
    pub(super) fn token(&self) -> u64 {
        if self.record.token == 0 { self.revision } else { self.record.token }
    }
    /// Whether somebody holds it.
    pub(super) fn is_held(&self) -> bool {
        !self.record.holder.is_empty()
    }
}
