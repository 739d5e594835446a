//! An object's forms by the rows of the table of kinds that show it.
use super::writer::{Form, Forms};
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::Node;
use std::sync::Arc;

/// The rows that show the same objects, the one in which they are stored first: [`Kinds::forms`](crate::Kinds::forms).
#[derive(Debug)]
pub struct Rows(pub Vec<Arc<Kind>>);

impl Rows {
    fn of(&self, api_version: &str) -> Option<&Kind> {
        self.0.iter().find(|row| row.api_version() == api_version).map(|row| &**row)
    }

    /// The schema of objects of a version.
    pub fn node(&self, api_version: &str) -> Option<&Node> {
        self.of(api_version)?.schema.node()
    }
}

impl Forms for Rows {
    fn form(&self, object: &Object, api_version: &str) -> Form<'_> {
        let (Some(row), Some(own)) = (self.of(api_version), self.of(object.api_version())) else { return Form::Gone };
        let Some(node) = row.schema.node() else { return Form::Unknown };
        if row.api_version() == own.api_version() {
            return Form::Is(object.clone(), node);
        }
        if row.schema.custom().is_some_and(|schema| schema.stored.webhook.is_some()) {
            return Form::Unknown;
        }
        let stored = own.inward(object.clone());
        Form::Is(row.outward(&stored).unwrap_or(stored), node)
    }
}
