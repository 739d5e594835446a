//! Why the store can't be opened or read, and why a write was not done.
use model::{ApiError, Key, Reason};

/// Why a write was not done, or is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The object has another revision than expected, or exists, or doesn't. The cache shows what it has.
    #[error("the object has been modified")]
    Conflict,
    /// The object is larger than the server takes.
    #[error("an object of {size} bytes is too large: the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It can't be stored as it is.
    #[error("the object can't be stored: {0}")]
    Invalid(String),
    /// Not done: the log can't be written now.
    #[error("the log can't be written: {0}")]
    Unavailable(String),
    /// The log could not be asked in time whether it was done.
    #[error("whether the object was written is not known: {0}")]
    Unknown(String),
}

impl CommitError {
    /// As the API error for a write of `key`; `create` tells which conflict it is.
    pub fn to_api(&self, key: &Key, create: bool) -> ApiError {
        match self {
            Self::Conflict if create => ApiError::already_exists(&key.group, &key.resource, &key.name),
            Self::Conflict => ApiError::modified(&key.group, &key.resource, &key.name),
            Self::TooLarge { limit, .. } => ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {limit}")),
            Self::Invalid(why) => ApiError::internal(why.clone()),
            Self::Unavailable(_) => ApiError::unavailable(self.to_string()),
            Self::Unknown(_) => ApiError::timeout(self.to_string()),
        }
    }
}

/// Why the store can't be opened or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A cluster's name is part of subjects and stream names.
    #[error("the cluster name {0:?} may have only letters, digits and '-'")]
    Name(String),
    /// A stream can't be opened.
    #[error("the stream {stream} can't be opened: {why}")]
    Stream {
        /// Its name.
        stream: String,
        /// The server's words.
        why: String,
    },
    /// The server would lose acknowledged writes at a power cut.
    #[error("the NATS server acknowledges writes before they are on its disk")]
    UnsafeSync,
    /// The log can't be reached now.
    #[error("the log can't be reached: {0}")]
    Unavailable(String),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::unavailable(error.to_string())
    }
}
