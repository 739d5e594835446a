//! Where the spec of a volume stands.

/// Where the spec of a volume stands.
#[derive(Clone, Copy)]
pub(in crate::kinds) enum Use<'a> {
    /// In a volume of this name.
    Volume(&'a str),
    /// In an attachment, of a volume that a pod has inline.
    Inline,
}
