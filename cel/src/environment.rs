//! What an expression may name.
use crate::types::{Declaration, Type};
use std::collections::BTreeMap;

/// The variables of an expression. All libraries of Kubernetes are there always.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<Box<str>, Declaration>,
}

impl Environment {
    /// One without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a variable.
    #[must_use]
    pub fn with(mut self, name: &str, declaration: Declaration) -> Self {
        self.variables.insert(name.into(), declaration);
        self
    }

    /// With a variable of a type.
    #[must_use]
    pub fn with_type(self, name: &str, of: Type) -> Self {
        self.with(name, Declaration::simple(of))
    }

    /// What a variable holds.
    pub fn variable(&self, name: &str) -> Option<&Declaration> {
        self.variables.get(name)
    }
}
