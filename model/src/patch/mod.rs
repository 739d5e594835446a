//! Patches: JSON patch (RFC 6902), merge patch (RFC 7386), and Kubernetes' strategic merge patch.
mod json;
mod merge;
mod strategic;

pub use json::apply_json;
pub use merge::{apply_merge, diff};
pub use strategic::apply_strategic;

use crate::error::{ApiError, Cause, CauseReason, Details, Reason};
use crate::kind::Kind;
use std::fmt::Display;

/// The media types of patches that a kind takes. Custom resources have no strategic merge: their schemas don't say how.
pub fn media_types(kind: &Kind) -> Vec<&'static str> {
    let mut types = vec!["application/json-patch+json", "application/merge-patch+json"];
    types.extend(kind.schema.builtin().map(|_| "application/strategic-merge-patch+json"));
    types.extend(["application/apply-patch+yaml", "application/apply-patch+cbor"]);
    types
}

/// What a patch that is well-formed but doesn't apply gets: 422 with Kubernetes' sentence, and as its cause why, which Kubernetes doesn't say.
fn unprocessable(field: impl Display, why: impl Display) -> ApiError {
    let cause = Cause { reason: CauseReason::FieldValueInvalid, field: field.to_string(), message: why.to_string() };
    let details = Some(Box::new(Details { causes: vec![cause], ..Details::default() }));
    ApiError { details, ..ApiError::new(Reason::Invalid, "the server rejected our request due to an error in our request") }
}

#[cfg(test)]
mod tests;
