//! What a write must pass after it was allowed: one step a file, each a pure function of the request and the cache.
pub mod lifecycle;
pub mod node_restriction;
pub mod pod_security;
pub mod priority;
pub mod rbac;
pub mod runtime_class;
pub mod service;
pub mod service_account;
pub mod token_secret;
pub mod tolerations;

use crate::authz::Authorizer;
use crate::lookup::ObjectLookup;
use crate::subresource::token::Tokens;
use model::kind::Subresource;
use model::{ApiError, Kind, Object};
use state_client::User;
use std::sync::Arc;
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
    /// The annotation's name, without its prefix.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// What steps leave beside the object that they admit.
#[derive(Default)]
pub struct Effects {
    /// What is held on to until the write is done.
    pub reservations: Vec<service::Reservation>,
    /// Sentences for the client's `Warning` headers.
    pub warnings: Vec<String>,
    /// For the audit.
    pub notes: Vec<AuditAnnotation>,
}

impl Effects {
    /// One more note.
    pub fn note(&mut self, key: &'static str, value: impl Into<String>) {
        self.notes.push(AuditAnnotation { key, value: value.into() });
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

/// All steps in their order.
pub struct Admission {
    steps: Vec<Box<dyn Step>>,
}

impl Admission {
    /// The steps of Kubernetes that are on by default, as far as their kinds exist. For `patience` a pod waits for its namespace's own account.
    pub fn new(
        authorizer: Authorizer,
        ranges: service::Ranges,
        pod_security: Arc<pod_security::PodSecurity>,
        tokens: Option<Tokens>,
        patience: Duration,
    ) -> Self {
        Self {
            steps: vec![
                Box::new(lifecycle::NamespaceLifecycle),
                Box::new(node_restriction::NodeRestriction),
                Box::new(rbac::Escalation(authorizer)),
                Box::new(service_account::ServiceAccount { patience }),
                Box::new(priority::Priority),
                Box::new(tolerations::DefaultTolerationSeconds),
                Box::new(runtime_class::RuntimeClass),
                Box::new(token_secret::TokenSecret(tokens)),
                Box::new(service::Allocation::new(ranges)),
                Box::new(pod_security::PodSecurityAdmission(pod_security)),
            ],
        }
    }

    /// Passes a create or an update through all steps.
    ///
    /// # Errors
    /// The first refusal.
    pub fn admit(&self, request: &Admit<'_>, object: &mut Object) -> Result<Effects, Refusal> {
        let mut held = Effects::default();
        for step in &self.steps {
            step.admit(request, object, &mut held)?;
        }
        Ok(held)
    }

    /// Passes what is right by its kind's rules through all steps once more. What they have to say of it is added to `held`.
    ///
    /// # Errors
    /// The first refusal.
    pub fn judge(&self, request: &Admit<'_>, object: &Object, held: &mut Effects) -> Result<(), Refusal> {
        self.steps.iter().try_for_each(|step| step.judge(request, object, held))
    }

    /// Passes the proposal of an update through all steps.
    ///
    /// # Errors
    /// The first refusal.
    pub fn admit_proposed(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        self.steps.iter().try_for_each(|step| step.admit_proposed(request, object))
    }

    /// Passes a deletion through all steps.
    ///
    /// # Errors
    /// The first refusal.
    pub fn admit_delete(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        self.steps.iter().try_for_each(|step| step.admit_delete(request, object))
    }
}

#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod tests;
