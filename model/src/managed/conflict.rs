//! Fields that somebody else owns with another value, and why a configuration can't be applied.
use super::entries::Entry;
use super::set::FieldSet;
use crate::error::{ApiError, Cause, CauseReason, Details, Reason};

/// Fields that somebody else owns with another value.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Who.
    pub manager: String,
    /// In which version.
    pub api_version: String,
    /// Through which subresource.
    pub subresource: String,
    /// Whether he applied them, rather than wrote them.
    pub applied: bool,
    /// Which.
    pub fields: FieldSet,
    /// By what conflicts are listed.
    pub(super) order: String,
}

impl Conflict {
    /// What an entry has of the fields that change.
    pub(super) fn of(entry: &Entry, changed: &FieldSet) -> Option<Self> {
        if !entry.fields.meets(changed) {
            return None;
        }
        Some(Self {
            manager: entry.manager.clone(),
            api_version: entry.api_version.clone(),
            subresource: entry.subresource.clone(),
            applied: entry.applied,
            fields: entry.fields.clone().intersection(changed),
            order: entry.identifier(),
        })
    }

    /// The manager as Kubernetes names him: with the version where he wrote by an ordinary request.
    fn whose(&self) -> String {
        let subresource = if self.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", self.subresource) };
        let version = if self.applied { String::new() } else { format!(" using {}", self.api_version) };
        format!("{:?}{subresource}{version}", self.manager)
    }
}

/// Why a configuration can't be applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// Others own what it changes.
    #[error("conflicts")]
    Conflicts(Vec<Conflict>),
    /// It isn't what the schema says.
    #[error("{0}")]
    Mistyped(String),
}

impl ApplyError {
    /// As the API says it: 409 with a cause for each field, or 500.
    pub fn to_api(&self) -> ApiError {
        let conflicts = match self {
            Self::Mistyped(why) => return ApiError::new(Reason::InternalError, why.clone()),
            Self::Conflicts(conflicts) => conflicts,
        };
        let named: Vec<(String, Vec<String>)> = conflicts.iter().map(|conflict| (conflict.whose(), conflict.fields.paths())).collect();
        let causes: Vec<Cause> = named
            .iter()
            .flat_map(|(whose, fields)| fields.iter().map(move |field| (whose, field)))
            .map(|(whose, field)| Cause { reason: CauseReason::FieldManagerConflict, field: field.clone(), message: format!("conflict with {whose}") })
            .collect();
        let message = match (named.as_slice(), causes.as_slice()) {
            ([(whose, _)], [one]) => format!("1 conflict: conflict with {whose}: {}", one.field),
            _ => {
                let list = |fields: &[String]| fields.iter().map(|field| format!("\n- {field}")).collect::<String>();
                let each: Vec<String> = named.iter().map(|(whose, fields)| format!("conflicts with {whose}:{}", list(fields))).collect();
                format!("{} conflicts: {}", causes.len(), each.join("\n"))
            }
        };
        let details = Some(Box::new(Details { causes, ..Details::default() }));
        ApiError { details, ..ApiError::new(Reason::Conflict, format!("Apply failed with {message}")) }
    }
}
