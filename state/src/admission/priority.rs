//! Priority: sets a pod's numeric priority from the PriorityClass that it names.
use super::step::{Admit, Effects, Refusal, Step};
use model::kinds::priority_class::SYSTEM;
use model::{Key, Object};

/// The step.
pub struct Priority;

struct Class {
    name: String,
    value: i64,
    preemption: String,
}

fn class(object: &Object) -> Class {
    let preemption = object.str_at(&["preemptionPolicy"]);
    Class {
        name: object.name().to_owned(),
        value: object.int_at(&["value"]).unwrap_or_default(),
        preemption: if preemption.is_empty() { "PreemptLowerPriority".to_owned() } else { preemption.to_owned() },
    }
}

impl Step for Priority {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if !request.creates("", "pods") {
            return Ok(());
        }
        let class = match object.str_at(&["spec", "priorityClassName"]) {
            "" => default(request),
            name => named(request, object, name)?,
        };
        let given = object.int_at(&["spec", "priority"]);
        if let Some(given) = given.filter(|g| *g != class.value) {
            let why = format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
                class.value
            );
            return Err(request.forbidden(object, why));
        }
        object.set(&["spec", "priority"], class.value);
        if !class.name.is_empty() {
            object.set(&["spec", "priorityClassName"], class.name);
        }
        match object.str_at(&["spec", "preemptionPolicy"]) {
            "" => object.set(&["spec", "preemptionPolicy"], class.preemption),
            given if given != class.preemption => {
                let why = format!(
                    "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
                    class.preemption
                );
                return Err(request.forbidden(object, why));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The class of pods that name none: the global default with the lowest value, or 0.
fn default(request: &Admit<'_>) -> Class {
    let all = request.view.list("scheduling.k8s.io", "priorityclasses", "");
    let global = all.iter().map(|s| s.object()).filter(|o| o.at(&["globalDefault"]) == Some(&true.into()));
    let none = Class { name: String::new(), value: 0, preemption: "PreemptLowerPriority".to_owned() };
    global.map(class).min_by_key(|c| c.value).unwrap_or(none)
}

fn named(request: &Admit<'_>, pod: &Object, name: &str) -> Result<Class, Refusal> {
    if let Some((_, value)) = SYSTEM.into_iter().find(|(n, _)| *n == name) {
        return Ok(Class { name: name.to_owned(), value, preemption: "PreemptLowerPriority".to_owned() });
    }
    match request.view.get(&Key::new("scheduling.k8s.io", "priorityclasses", "", name)) {
        Some(found) => Ok(class(found.object())),
        None => {
            let refusal = request.forbidden(pod, format!("no PriorityClass with name {name} was found"));
            Err(Refusal::missing("scheduling.k8s.io", "priorityclasses", refusal.error))
        }
    }
}
