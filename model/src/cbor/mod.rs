//! CBOR (`application/cbor`) as Kubernetes has it, from JSON and to JSON.
//!
//! Texts are written as byte strings, which Kubernetes' decoders take for texts; they are read in both forms. A byte string in one of the tags that say how
//! it looks as a text (base64url, base64, base16) is read as that text. What JSON can't have is refused: NaN, infinities, `undefined`, bignums, keys that
//! aren't texts; and so are keys that occur twice.
mod decode;
mod encode;

pub use decode::decode;
pub use encode::{encode, event};

/// The media type of one document.
pub const MEDIA_TYPE: &str = "application/cbor";
/// The media type of a sequence of documents: a watch.
pub const SEQUENCE: &str = "application/cbor-seq";

/// What every document begins with: the tag that says that it is CBOR.
const PREFIX: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// Maps, lists and tags within each other, at most: as deep as JSON may go.
const DEPTH: usize = 128;

/// Why a document can't be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It isn't well-formed CBOR.
    #[error("cbor: {0}")]
    Malformed(Box<str>),
    /// It goes on after its end.
    #[error("cbor: {0} bytes of extraneous data")]
    Trailing(usize),
    /// More levels than are accepted.
    #[error("cbor: exceeded max nested level {DEPTH}")]
    Depth,
    /// A number beyond 64 bits with a sign.
    #[error("cbor: cannot unmarshal an integer that overflows int64")]
    Overflow,
    /// NaN or an infinity.
    #[error("cbor: floating-point NaN and infinity are not supported")]
    NotFinite,
    /// A simple value other than true, false and null.
    #[error("cbor: simple value {0} is not recognized")]
    Simple(u8),
    /// A text isn't UTF-8.
    #[error("cbor: invalid UTF-8 string")]
    Utf8,
    /// A key occurs twice.
    #[error("cbor: found duplicate map key {0:?}")]
    Duplicate(Box<str>),
    /// A key isn't a text.
    #[error("cbor: map keys must be strings")]
    Key,
    /// A tag whose content isn't what it has to be, or that is refused.
    #[error("cbor: invalid content of tag number {0}")]
    Tag(u64),
    /// What should be written isn't JSON.
    #[error("cbor: {0}")]
    Json(Box<str>),
}

impl From<Error> for crate::ApiError {
    fn from(error: Error) -> Self {
        Self::bad_request(error.to_string())
    }
}

#[cfg(test)]
mod tests;
