//! What a write must pass after it was allowed: the list of steps in their order. Each step has a file of its own and is a pure function of the
//! request and the cache; what steps are given and give is in [`step`].
mod certificate_request;
mod claim_resize;
mod default_class;
mod in_use;
pub mod lifecycle;
pub mod limit_ranger;
pub mod node_restriction;
pub mod pod_security;
pub mod priority;
pub mod rbac;
pub mod reservation;
pub mod runtime_class;
pub mod service;
pub mod service_account;
pub mod step;
pub mod token_secret;
pub mod tolerations;

pub use step::{Admit, AuditAnnotation, Effects, Missing, Refusal, Step};

use crate::authz::Authorizer;
use crate::subresource::token::Tokens;
use model::Object;
use std::sync::Arc;
use std::time::Duration;

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
                Box::new(limit_ranger::LimitRanger),
                Box::new(node_restriction::NodeRestriction),
                Box::new(rbac::Escalation(authorizer.clone())),
                Box::new(certificate_request::CertificateRequest(authorizer)),
                Box::new(service_account::ServiceAccount { patience }),
                Box::new(priority::Priority),
                Box::new(tolerations::DefaultTolerationSeconds),
                Box::new(default_class::DefaultClass),
                Box::new(in_use::InUseProtection),
                Box::new(claim_resize::ClaimResize),
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
mod class_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod tests;
