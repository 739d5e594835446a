//! The form in which a webhook sees what is written: a version of its kind, or what a subresource exchanges.
use model::subresource::Effect;
use model::{Kind, Subresource};
use std::sync::Arc;

/// A form.
#[derive(Clone, Debug)]
pub enum Form {
    /// An object of this row.
    Kind(Arc<Kind>),
    /// Its Scale.
    Scale,
    /// What the request carries, as it is: a Binding, the options of a connection.
    Body,
}

impl Form {
    /// The form in which `kind` shows the object or its subresource.
    pub fn of(kind: &Arc<Kind>, sub: Option<Subresource>) -> Self {
        match sub.map(Subresource::effect) {
            Some(Effect::View) => Self::Scale,
            Some(Effect::Action | Effect::Connection) => Self::Body,
            _ => Self::Kind(kind.clone()),
        }
    }
}
