//! Why an object is not taken into account.
use super::resources::BadQuantity;

/// Why an object isn't taken into the snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It isn't what its kind says.
    #[error("the object does not decode: {0}")]
    Json(#[from] serde_json::Error),
    /// A resource amount in it.
    #[error(transparent)]
    Quantity(#[from] BadQuantity),
}
