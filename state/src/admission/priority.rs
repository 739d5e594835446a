//! Priority: sets a pod's numeric priority from the PriorityClass that it names, keeps it when the pod is changed, and lets one class only be the default.
use super::step::{Admit, Effects, Refusal, Step};
use model::kinds::priority_class::SYSTEM;
use model::{Key, Object};

const CLASSES: (&str, &str) = ("scheduling.k8s.io", "priorityclasses");

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
        if !request.of("", "pods") {
            return Ok(());
        }
        if let Some(old) = request.old {
            keep(object, old);
            return Ok(());
        }
        let class = match object.str_at(&["spec", "priorityClassName"]) {
            "" => unnamed(request),
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

    fn judge(&self, request: &Admit<'_>, object: &Object, _held: &mut Effects) -> Result<(), Refusal> {
        if !request.of(CLASSES.0, CLASSES.1) || !is_default(object) {
            return Ok(());
        }
        match default(request).filter(|other| request.old.is_none() || other.name != object.name()) {
            Some(other) => Err(request.forbidden(object, format!("PriorityClass {} is already marked as default. Only one default can exist", other.name))),
            None => Ok(()),
        }
    }
}

/// A changed pod that leaves its priority out has the one that it had.
fn keep(pod: &mut Object, old: &Object) {
    for field in ["priority", "preemptionPolicy"] {
        if let (None, Some(had)) = (pod.at(&["spec", field]), old.at(&["spec", field])) {
            pod.set(&["spec", field], had.clone());
        }
    }
}

fn is_default(class: &Object) -> bool {
    class.at(&["globalDefault"]) == Some(&true.into())
}

/// The global default; should there be several, the one with the lowest value.
fn default(request: &Admit<'_>) -> Option<Class> {
    let all = request.view.list(CLASSES.0, CLASSES.1, "");
    all.iter().map(|s| s.object()).filter(|o| is_default(o)).map(class).min_by_key(|c| c.value)
}

/// The class of pods that name none: the global default, or 0.
fn unnamed(request: &Admit<'_>) -> Class {
    default(request).unwrap_or_else(|| Class { name: String::new(), value: 0, preemption: "PreemptLowerPriority".to_owned() })
}

fn named(request: &Admit<'_>, pod: &Object, name: &str) -> Result<Class, Refusal> {
    if let Some((_, value)) = SYSTEM.into_iter().find(|(n, _)| *n == name) {
        return Ok(Class { name: name.to_owned(), value, preemption: "PreemptLowerPriority".to_owned() });
    }
    match request.view.get(&Key::new(CLASSES.0, CLASSES.1, "", name)) {
        Some(found) => Ok(class(found.object())),
        None => {
            let refusal = request.forbidden(pod, format!("no PriorityClass with name {name} was found"));
            Err(Refusal::missing(CLASSES.0, CLASSES.1, refusal.error))
        }
    }
}
