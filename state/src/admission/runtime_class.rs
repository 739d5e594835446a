//! RuntimeClass: a pod may name none that doesn't exist. RuntimeClasses are no kind of this version's, so that none exists.
use super::step::{Admit, Effects, Refusal, Step};
use model::Object;

/// The step.
pub struct RuntimeClass;

impl Step for RuntimeClass {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        match object.str_at(&["spec", "runtimeClassName"]) {
            name if !name.is_empty() && request.creates("", "pods") => Err(request.forbidden(object, format!("pod rejected: RuntimeClass {name:?} not found"))),
            _ => Ok(()),
        }
    }
}
