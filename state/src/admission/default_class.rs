//! DefaultIngressClass and DefaultStorageClass: an Ingress or a claim that names no class gets the one that is marked as the default.
use super::step::{Admit, Effects, Refusal, Step};
use model::{Object, Stored};
use std::cmp::Reverse;
use std::sync::Arc;

/// The step.
pub struct DefaultClass;

/// What has a class: whose objects, where they name it, the annotation that named it before; and which class has which annotations as the default.
struct Classed {
    of: (&'static str, &'static str),
    field: [&'static str; 2],
    annotation: &'static str,
    class: (&'static str, &'static str),
    marks: &'static [&'static str],
}

const CLASSED: [Classed; 2] = [
    Classed {
        of: ("networking.k8s.io", "ingresses"),
        field: ["spec", "ingressClassName"],
        annotation: "kubernetes.io/ingress.class",
        class: ("networking.k8s.io", "ingressclasses"),
        marks: &["ingressclass.kubernetes.io/is-default-class"],
    },
    Classed {
        of: ("", "persistentvolumeclaims"),
        field: ["spec", "storageClassName"],
        annotation: "volume.beta.kubernetes.io/storage-class",
        class: ("storage.k8s.io", "storageclasses"),
        marks: &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"],
    },
];

impl Step for DefaultClass {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        let Some(classed) = CLASSED.iter().find(|classed| request.creates(classed.of.0, classed.of.1)) else { return Ok(()) };
        let named = object.at(&classed.field).is_some_and(|class| !class.is_null()) || object.annotation(classed.annotation).is_some();
        if !named && let Some(class) = default(request.view.list(classed.class.0, classed.class.1, ""), classed.marks) {
            object.set(&classed.field, class);
        }
        Ok(())
    }
}

/// The newest of those that are marked; of several that are as new, the first by its name.
fn default(all: Vec<Arc<Stored>>, marks: &[&str]) -> Option<String> {
    let marked = |class: &Object| marks.iter().any(|mark| class.annotation(mark) == Some("true"));
    let classes = all.iter().map(|stored| stored.object()).filter(|class| marked(class));
    classes.map(|class| (Reverse(class.creation_timestamp().to_owned()), class.name().to_owned())).min().map(|(_, name)| name)
}
