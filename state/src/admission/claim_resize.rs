//! PersistentVolumeClaimResize: a claim may ask for more only when it has a volume whose class lets volumes grow.
use super::step::{Admit, Effects, Refusal, Step};
use model::quantity::Quantity;
use model::{Key, Object};
use serde_json::Value;

/// Named the class before there was a field for it.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// The step.
pub struct ClaimResize;

fn class(claim: &Object) -> &str {
    claim.annotation(CLASS).unwrap_or_else(|| claim.str_at(&["spec", "storageClassName"]))
}

fn size(claim: &Object) -> Quantity {
    claim.at(&["spec", "resources", "requests", "storage"]).and_then(|size| Quantity::from_json(size).ok()).unwrap_or(Quantity::ZERO)
}

impl Step for ClaimResize {
    fn judge(&self, request: &Admit<'_>, claim: &Object, _held: &mut Effects) -> Result<(), Refusal> {
        let Some(old) = request.old.filter(|old| request.of("", "persistentvolumeclaims") && size(claim) > size(old)) else { return Ok(()) };
        if old.str_at(&["status", "phase"]) != "Bound" {
            return Err(request.forbidden(claim, "Only bound persistent volume claims can be expanded"));
        }
        let name = class(claim);
        let grows = !name.is_empty() && name == class(old) && grows(request, name);
        let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
        if grows { Ok(()) } else { Err(request.forbidden(claim, why)) }
    }
}

/// Whether volumes of a class may grow.
fn grows(request: &Admit<'_>, name: &str) -> bool {
    let class = request.view.get(&Key::new("storage.k8s.io", "storageclasses", "", name));
    class.is_some_and(|class| class.object().at(&["allowVolumeExpansion"]) == Some(&Value::Bool(true)))
}
