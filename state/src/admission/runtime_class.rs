//! RuntimeClass: a pod may name none that doesn't exist. Nodes have one runtime, so that a pod that names another one can't run either.
use super::step::{Admit, Effects, Refusal, Step};
use model::{Key, Object};

/// The step.
pub struct RuntimeClass;

impl Step for RuntimeClass {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        let name = object.str_at(&["spec", "runtimeClassName"]);
        if name.is_empty() || !request.creates("", "pods") {
            return Ok(());
        }
        let why = match request.view.get(&Key::new("node.k8s.io", "runtimeclasses", "", name)) {
            None => format!("pod rejected: RuntimeClass {name:?} not found"),
            Some(class) => {
                let handler = class.object().str_at(&["handler"]).to_owned();
                format!("pod rejected: RuntimeClass {name:?} has the handler {handler:?}, and no node has another runtime than its own")
            }
        };
        Err(request.forbidden(object, why))
    }
}
