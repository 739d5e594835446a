//! The schema of a kind, wherever it comes from.
use super::definitions::{Node, definition};
use crate::custom::CustomSchema;
use std::sync::Arc;

/// The schema of a kind.
#[derive(Clone, Debug)]
pub enum KindSchema {
    /// One of Kubernetes' definitions, by its name: `io.k8s.api.core.v1.Pod`.
    Builtin(Arc<str>),
    /// One that came with the definition of a custom resource.
    Custom(Arc<CustomSchema>),
}

impl KindSchema {
    /// Its name in OpenAPI documents.
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(name) => name,
            Self::Custom(schema) => &schema.name,
        }
    }
    /// The types of its fields, and how its lists and maps merge.
    pub fn node(&self) -> Option<&Node> {
        match self {
            Self::Builtin(name) => definition(name),
            Self::Custom(schema) => Some(&schema.node),
        }
    }
    /// The definition's name, of a kind that is built in.
    pub fn builtin(&self) -> Option<&str> {
        match self {
            Self::Builtin(name) => Some(name),
            Self::Custom(_) => None,
        }
    }
    /// The schema of a custom resource.
    pub fn custom(&self) -> Option<&CustomSchema> {
        match self {
            Self::Builtin(_) => None,
            Self::Custom(schema) => Some(schema),
        }
    }
}

impl From<&str> for KindSchema {
    fn from(name: &str) -> Self {
        Self::Builtin(name.into())
    }
}
