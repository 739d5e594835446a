//! A step of admission and what it is given: the write that asks, what a step leaves beside the object, and why it refuses.
use super::reservation::Reservation;
use crate::lookup::ObjectLookup;
use model::{ApiError, Kind, Object, Subresource};
use state_client::User;
use std::borrow::Cow;
use std::time::Duration;

/// A write that asks to be admitted.
pub struct Admit<'a> {
    /// For whom.
    pub user: &'a User,
    /// Of which kind.
    pub kind: &'a Kind,
    /// Of which part.
    pub subresource: Option<Subresource>,
    /// The object as it is; `None` for a create.
    pub old: Option<&'a Object>,
    /// The cluster.
    pub view: &'a dyn ObjectLookup,
    /// A random number.
    pub entropy: u64,
}

impl Admit<'_> {
    /// Whether it is a write of the main resource `group`/`resource`.
    pub fn of(&self, group: &str, resource: &str) -> bool {
        self.subresource.is_none() && &*self.kind.group == group && &*self.kind.resource == resource
    }
    /// Whether it creates the main resource `group`/`resource`.
    pub fn creates(&self, group: &str, resource: &str) -> bool {
        self.old.is_none() && self.of(group, resource)
    }
    /// 403 for this object.
    pub fn forbidden(&self, object: &Object, why: impl std::fmt::Display) -> Refusal {
        ApiError::forbidden(&self.kind.group, &self.kind.resource, object.name(), why).into()
    }
}

/// Why a step refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub error: ApiError,
    /// What the step misses: the cache may be behind, so that it is worth asking again when it is current.
    pub missing: Option<Missing>,
}

/// An object that a step misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its group.
    pub group: &'static str,
    /// Its resource.
    pub resource: &'static str,
    /// How long it is worth waiting for somebody who is about to make it.
    pub patience: Duration,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { error, missing: None }
    }
}

impl Refusal {
    /// A refusal because of an object that isn't in the cache.
    pub fn missing(group: &'static str, resource: &'static str, error: ApiError) -> Self {
        Self { error, missing: Some(Missing { group, resource, patience: Duration::ZERO }) }
    }
    /// The same, of an object that a controller makes soon.
    #[must_use]
    pub fn expected_within(mut self, patience: Duration) -> Self {
        if let Some(missing) = &mut self.missing {
            missing.patience = patience;
        }
        self
    }
}

/// What a step notes of a write for whoever audits it: Kubernetes' annotation of an audit event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditAnnotation {
    /// The annotation's name: `pod-security.kubernetes.io/exempt`.
    pub key: Cow<'static, str>,
    /// Its value.
    pub value: String,
}

/// What steps leave beside the object that they admit.
#[derive(Default)]
pub struct Effects {
    /// What is held on to until the write is done.
    pub reservations: Vec<Reservation>,
    /// Sentences for the client's `Warning` headers.
    pub warnings: Vec<String>,
    /// For the audit.
    pub notes: Vec<AuditAnnotation>,
}

impl Effects {
    /// One more note.
    pub fn note(&mut self, key: &'static str, value: impl Into<String>) {
        self.notes.push(AuditAnnotation { key: Cow::Borrowed(key), value: value.into() });
    }
}

/// One step.
pub trait Step: Send + Sync {
    /// Admits or refuses a create or an update; may change `object`. What it puts into `held` lives until the write is done.
    ///
    /// # Errors
    /// [`Refusal`].
    fn admit(&self, _request: &Admit<'_>, _object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        Ok(())
    }
    /// Admits or refuses what the kind's own rules have found right, with what steps have made of it. It may be asked twice of one write.
    ///
    /// # Errors
    /// [`Refusal`].
    fn judge(&self, _request: &Admit<'_>, _object: &Object, _held: &mut Effects) -> Result<(), Refusal> {
        Ok(())
    }
    /// Admits or refuses an update as its client proposes it, before what its address doesn't cover is put back.
    ///
    /// # Errors
    /// [`Refusal`].
    fn admit_proposed(&self, _request: &Admit<'_>, _object: &Object) -> Result<(), Refusal> {
        Ok(())
    }
    /// Admits or refuses a deletion of [`Admit::old`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn admit_delete(&self, _request: &Admit<'_>, _object: &Object) -> Result<(), Refusal> {
        Ok(())
    }
}
