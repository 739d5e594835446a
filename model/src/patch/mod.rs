//! Patches: JSON patch (RFC 6902), merge patch (RFC 7386), and Kubernetes' strategic merge patch.
mod json;
mod keys;
mod merge;
mod strategic;

pub use json::apply_json;
pub use keys::{ListKey, list_key};
pub use merge::{apply_merge, diff};
pub use strategic::apply_strategic;

use crate::error::{ApiError, Reason};

/// What a patch that is well-formed but doesn't apply gets: 422.
fn unprocessable(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(Reason::Invalid, format!("the server rejected our request due to an error in our request: {why}"))
}

#[cfg(test)]
mod tests;
