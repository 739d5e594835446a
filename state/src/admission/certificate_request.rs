//! CertificateSigningRequests say who asks, whatever a client writes; who decides on one, or signs it, may do so for its signer.
use super::step::{Admit, Effects, Refusal, Step};
use crate::authz::{Attributes, Authorizer, Target};
use model::{Object, Subresource};
use serde_json::{Value, json};

const GROUP: &str = "certificates.k8s.io";
const RESOURCE: &str = "certificatesigningrequests";

/// The step.
pub struct CertificateRequest(pub Authorizer);

impl Step for CertificateRequest {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if &*request.kind.group != GROUP || &*request.kind.resource != RESOURCE {
            return Ok(());
        }
        let Some(old) = request.old else {
            asked_by(request, object);
            return Ok(());
        };
        let certificate = |o: &Object| o.str_at(&["status", "certificate"]).to_owned();
        match request.subresource {
            Some(Subresource::APPROVAL) => self.may(request, old, "approve"),
            Some(Subresource::STATUS) if certificate(object) != certificate(old) => self.may(request, old, "sign"),
            _ => Ok(()),
        }
    }
}

/// Writes the asking user into the request.
fn asked_by(request: &Admit<'_>, object: &mut Object) {
    let user = request.user;
    object.set(&["spec", "username"], user.name.as_str());
    object.set(&["spec", "groups"], json!(user.groups));
    let fields = [("uid", Value::from(user.uid.as_str()), user.uid.is_empty()), ("extra", json!(user.extra), user.extra.is_empty())];
    for (field, value, nothing) in fields {
        if nothing {
            object.remove(&["spec", field]);
        } else {
            object.set(&["spec", field], value);
        }
    }
}

impl CertificateRequest {
    /// Whether the user has a verb on the signer, or on all of its domain.
    fn may(&self, request: &Admit<'_>, csr: &Object, verb: &'static str) -> Result<(), Refusal> {
        let signer = csr.str_at(&["spec", "signerName"]);
        let domain = format!("{}/*", signer.split('/').next().unwrap_or_default());
        let allowed = [signer, &domain].into_iter().any(|name| {
            let target = Target::Resource { group: GROUP, resource: "signers", subresource: "", namespace: "", name };
            self.0.allows(&Attributes { user: request.user, verb, target, bound_to: None })
        });
        if allowed { Ok(()) } else { Err(request.forbidden(csr, format!("user not permitted to {verb} requests with signerName {signer:?}"))) }
    }
}
