//! Writes that ResourceQuotas count. Such a write and what the quotas say is used are one group of the log, so that a quota is never exceeded, and nothing
//! counts that isn't there.
//!
//! The writes of one namespace wait in a queue (`queue.rs`). One task a namespace (`work.rs`) takes all that wait, lets each take of the quotas in its turn
//! (`round.rs`), and commits them with the quotas that have changed, as one group. When somebody else has written one of these objects first, the group is refused as a
//! whole, and what can still be written goes again.
//!
//! A power failure of the server can leave a quota that counts what was not written after it, and a quota that is new, or has new limits, has counted
//! nothing yet: [`Quotas::count`] counts what there is. A group changes the quota that counts one of its objects, so a count that is committed as a change of
//! that very revision of a quota is right.
mod counted;
mod queue;
mod quotas;
mod round;
mod work;

pub(crate) use counted::{Counted, Refusal};
pub(crate) use quotas::{QUOTAS, Quotas};
