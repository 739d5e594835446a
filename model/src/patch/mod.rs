//! Patches: JSON patch (RFC 6902), merge patch (RFC 7386), and Kubernetes' strategic merge patch.
mod json;
mod merge;
mod strategic;

pub use json::apply_json;
pub use merge::{apply_merge, diff};
pub use strategic::apply_strategic;

use crate::error::{ApiError, Cause, CauseReason, Details, Reason};
use std::fmt::Display;

/// What a patch that is well-formed but doesn't apply gets: 422 with Kubernetes' sentence, and as its cause why, which Kubernetes doesn't say.
fn unprocessable(field: impl Display, why: impl Display) -> ApiError {
    let cause = Cause { reason: CauseReason::FieldValueInvalid, field: field.to_string(), message: why.to_string() };
    let details = Some(Box::new(Details { causes: vec![cause], ..Details::default() }));
    ApiError { details, ..ApiError::new(Reason::Invalid, "the server rejected our request due to an error in our request") }
}

#[cfg(test)]
mod tests;
