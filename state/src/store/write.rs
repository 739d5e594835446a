//! A write as its caller asks for it: a compare-and-swap of one object.
use super::error::CommitError;
use bytes::Bytes;
use model::{Key, Object, Stored};

/// What a write does.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// Creates or replaces.
    Put(Object),
    /// Deletes. The last object goes into the deletion marker, for those who watch.
    Delete(Object),
}

impl StoreOp {
    /// Whether it deletes, and the log's value. The object ends here, while it is still in the processor's cache: what the log acknowledges is
    /// read from these bytes by those who need more than that.
    pub(super) fn encode(self) -> Result<(bool, Bytes), CommitError> {
        let delete = matches!(self, Self::Delete(_));
        let (Self::Put(object) | Self::Delete(object)) = self;
        Stored::encode(&object).map(|payload| (delete, payload)).map_err(|e| CommitError::Invalid(e.message))
    }
}

/// A compare-and-swap of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// The revision that it must have; 0: it must not exist.
    pub expect: u64,
    /// What is written.
    pub op: StoreOp,
}
