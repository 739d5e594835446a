//! NamespaceLifecycle: content needs a namespace that exists and isn't ending; some namespaces stay.
use super::step::{Admit, Effects, Refusal, Step};
use model::{ApiError, Cause, CauseReason, Key, Object};

/// Namespaces that every cluster has. The last of them may be deleted, as in Kubernetes.
pub const ENSURED: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const UNDELETABLE: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The step.
pub struct NamespaceLifecycle;

impl Step for NamespaceLifecycle {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if !request.kind.namespaced() || request.old.is_some() {
            return Ok(());
        }
        let name = object.namespace();
        let Some(namespace) = request.view.get(&Key::new("", "namespaces", "", name)) else {
            return Err(Refusal::missing("", "namespaces", ApiError::not_found("", "namespaces", name)));
        };
        let namespace = namespace.object();
        if namespace.deletion_timestamp().is_none() && namespace.str_at(&["status", "phase"]) != "Terminating" {
            return Ok(());
        }
        let mut refusal = request.forbidden(object, format!("unable to create new content in namespace {name} because it is being terminated"));
        if let Some(details) = refusal.error.details.as_mut() {
            let message = format!("namespace {name} is being terminated");
            details.causes.push(Cause { reason: CauseReason::NamespaceTerminating, field: "metadata.namespace".into(), message });
        }
        Err(refusal)
    }

    fn admit_delete(&self, request: &Admit<'_>, object: &Object) -> Result<(), Refusal> {
        if request.of("", "namespaces") && UNDELETABLE.contains(&object.name()) {
            return Err(request.forbidden(object, "this namespace may not be deleted"));
        }
        Ok(())
    }
}
