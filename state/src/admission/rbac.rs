//! Privilege escalation: who writes roles and bindings must hold what they grant.
use super::step::{Admit, Effects, Refusal, Step};
use crate::authz::escalation::{self, Grant};
use crate::authz::{Authorizer, policy};
use model::Object;

/// The step.
pub struct Escalation(pub Authorizer);

impl Step for Escalation {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if &*request.kind.group != policy::GROUP {
            return Ok(());
        }
        let (namespace, name) = (object.namespace(), object.name());
        let grant = Grant { user: request.user, resource: &request.kind.resource, namespace, name, old: request.old, new: object };
        Ok(escalation::check(&self.0, &grant)?)
    }
}
