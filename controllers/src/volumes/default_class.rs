//! The class that a cluster begins with. It is made once: that is noted on a namespace that every cluster has, so that one whom somebody deleted stays away.
use crate::runtime::{Controller, Input, Moment, Output, Part, Plan, Resource, View};
use model::storage::{DEFAULT_CLASS, IS_DEFAULT, PROVISIONER};
use model::{Key, Object};
use serde_json::json;
use std::sync::Arc;

/// Where it is noted that the class was made.
const NAMESPACE: &str = "kube-system";
const MADE: &str = "whalesong.dev/default-storage-class";

/// Makes the class.
pub struct DefaultStorageClass;

impl Controller for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "default-storage-class-controller"
    }
    fn inputs(&self) -> Vec<Input> {
        let noted = |namespace: &str| (namespace == NAMESPACE).then(|| Resource::NAMESPACES.key("", NAMESPACE));
        vec![
            Input::new(Resource::NAMESPACES, move |_, change| change.new.and_then(|item| noted(item.name())).into_iter().collect()),
            Input::new(Resource::STORAGE_CLASSES, move |_, change| {
                change.new.filter(|class| class.name() == DEFAULT_CLASS).and_then(|_| noted(NAMESPACE)).into_iter().collect()
            }),
        ]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::STORAGE_CLASSES, Part::Whole, DEFAULT_CLASS), Output::new(Resource::NAMESPACES, Part::Portion, MADE)]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(namespace) = view.at(key).filter(|namespace| namespace.object().annotation(MADE).is_none()) else { return plan };
        // first the class, then the note
        match view.get(&Resource::STORAGE_CLASSES, "", DEFAULT_CLASS) {
            None => _ = plan.create(&Resource::STORAGE_CLASSES, class(view)),
            Some(_) => _ = plan.merge(namespace, "", json!({"metadata": {"annotations": {MADE: DEFAULT_CLASS}}})),
        }
        plan
    }
}

/// The class; it is the default where no other one is.
fn class(view: &View) -> Object {
    let marked = |class: &Arc<crate::runtime::Item>| IS_DEFAULT.iter().any(|mark| class.object().annotation(mark) == Some("true"));
    let mut class = Object::default();
    class.set(&["apiVersion"], "storage.k8s.io/v1");
    class.set(&["kind"], "StorageClass");
    class.set(&["metadata"], json!({"name": DEFAULT_CLASS}));
    if !view.all(&Resource::STORAGE_CLASSES).any(marked) {
        class.set(&["metadata", "annotations", IS_DEFAULT[0]], "true");
    }
    class.set(&["provisioner"], PROVISIONER);
    class.set(&["reclaimPolicy"], "Delete");
    class.set(&["volumeBindingMode"], "WaitForFirstConsumer");
    class.set(&["allowVolumeExpansion"], true);
    class
}
