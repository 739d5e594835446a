//! A write that quotas may count.
use super::round::Asked;
use crate::store::{CommitError, StoreOp, Write};
use model::{ApiError, Key, Stored};
use std::sync::Arc;

/// A write, and what it replaces.
#[derive(Clone)]
pub(crate) struct Counted {
    /// What is written.
    pub(crate) write: Write,
    /// The object as it is; `None` for a new one.
    pub(crate) old: Option<Arc<Stored>>,
    /// Whether it is refused where it takes too much. What the system says of an object is counted, and never refused.
    pub(crate) refusable: bool,
}

impl Counted {
    pub(super) fn asked(&self) -> Asked<'_> {
        let new = if let StoreOp::Put(object) = &self.write.op { Some(object) } else { None };
        Asked { key: &self.write.key, old: self.old.as_deref().map(Stored::object), new, refusable: self.refusable }
    }
}

/// Why a counted write was not done.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The log didn't take it.
    Commit(CommitError),
    /// A quota has no room for it, or wants to know more: the sentence that says so.
    Forbidden(String),
}

impl Refusal {
    /// As the API error for a write of `key`; `create` tells which conflict it is.
    pub(crate) fn to_api(&self, key: &Key, create: bool) -> ApiError {
        match self {
            Self::Commit(error) => error.to_api(key, create),
            Self::Forbidden(why) => ApiError::forbidden(&key.group, &key.resource, &key.name, why),
        }
    }
}
