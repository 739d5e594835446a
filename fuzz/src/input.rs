//! How targets take what they need from the bytes that they are given.

/// The input as text, where it is text.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The input as two, cut at the first zero byte.
pub(crate) fn two(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (first, rest) = bytes.split_at(at);
    (first, rest.get(1..).unwrap_or_default())
}
