//! Who writes, in which version, and which other versions there are.
use crate::object::Object;
use crate::schema::Node;
use std::fmt::Debug;

/// Who writes, and how it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager's name.
    pub manager: &'a str,
    /// In which version, of the objects that are compared and of the schema.
    pub api_version: &'a str,
    /// Through which subresource; `""` for none.
    pub subresource: &'a str,
    /// When, as RFC 3339 in seconds.
    pub time: &'a str,
    /// Which fields at the top a write covers: the others aren't owned by it.
    pub covers: fn(&str) -> bool,
    /// The object's forms in the versions of other managers.
    pub forms: &'a dyn Forms,
}

/// An object in another version.
#[derive(Debug)]
pub enum Form<'a> {
    /// This, with the schema of that version.
    Is(Object, &'a Node),
    /// There is no such version: what its managers owned is owned by nobody.
    Gone,
    /// It can't be said. What managers of that version own is taken for what it would be in the version that is written.
    Unknown,
}

/// Knows an object's forms in other versions.
pub trait Forms: Debug + Send + Sync {
    /// An object, which says in which version it is, in another one.
    fn form(&self, object: &Object, api_version: &str) -> Form<'_>;
}

/// Knows none.
#[derive(Clone, Copy, Debug)]
pub struct NoForms;

impl Forms for NoForms {
    fn form(&self, _: &Object, _: &str) -> Form<'_> {
        Form::Unknown
    }
}
