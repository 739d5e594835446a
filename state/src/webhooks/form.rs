//! The form in which a webhook sees what is written: a version of its kind, or what a subresource exchanges.
use crate::subresource::scale;
use model::subresource::Effect;
use model::{ApiError, Kind, Object, Subresource, schema};
use std::borrow::Cow;
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

    /// A stored object of `row` in this form.
    pub fn show<'a>(&self, row: &Kind, object: &'a Object) -> Cow<'a, Object> {
        match self {
            Self::Kind(kind) => kind.outward(object).map_or(Cow::Borrowed(object), Cow::Owned),
            Self::Scale => Cow::Owned(scale::of(row, object)),
            Self::Body => Cow::Borrowed(object),
        }
    }

    /// The stored form of what somebody made of `object` in this form. What the kind doesn't know is dropped.
    ///
    /// # Errors
    /// 400 for what can't be read as one of the kind.
    pub fn take(&self, row: &Kind, mut changed: Object, object: &Object) -> Result<Object, ApiError> {
        match self {
            Self::Kind(kind) => {
                schema::validate_and_prune(kind, &mut changed)?;
                Ok(kind.inward(changed))
            }
            Self::Scale => scale::apply(row, &changed, object),
            Self::Body => Ok(changed),
        }
    }
}
