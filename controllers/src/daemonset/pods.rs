//! The pods of a DaemonSet: what they are made of, and of which revision they are.
use super::eligibility::tolerations;
use crate::ownership::pod_of_template;
use crate::revisions::POD_LABEL;
use crate::runtime::Item;
use model::Object;
use serde_json::{Value, json};

/// Of which generation of the template a pod is, for old clients.
const GENERATION_LABEL: &str = "pod-template-generation";
const TERMS: [&str; 5] = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];

/// A revision of the template, as pods carry it.
#[derive(Clone, Debug)]
pub struct Version<'a> {
    /// The hash of the revision.
    pub hash: &'a str,
    /// The generation of the template; `None` where that isn't a number.
    pub generation: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// The version that a DaemonSet's template is, by its revision.
    pub fn of(set: &'a Item, revision: &'a Item) -> Self {
        let generation = set.object().annotation("deprecated.daemonset.template.generation").filter(|text| text.parse::<i64>().is_ok());
        Self { hash: revision.label(POD_LABEL).unwrap_or_else(|| revision.name()), generation }
    }

    /// Whether a pod is of this version.
    pub fn has(&self, pod: &Item) -> bool {
        let labelled = |label, value: Option<&str>| value.is_some() && pod.label(label) == value;
        labelled(POD_LABEL, Some(self.hash)) || labelled(GENERATION_LABEL, self.generation)
    }

    /// The pod of this version, for no node yet.
    pub fn pod(&self, set: &Item) -> Object {
        let mut pod = pod_of_template(set.object().at(&["spec", "template"]).unwrap_or(&Value::Null), set);
        if let Some(generation) = self.generation {
            pod.set(&["metadata", "labels", GENERATION_LABEL], generation);
        }
        pod.set(&["metadata", "labels", POD_LABEL], self.hash);
        let host_network = pod.at(&["spec", "hostNetwork"]) == Some(&Value::Bool(true));
        let own = tolerations(host_network).into_iter().fold(pod.list_at(&["spec", "tolerations"]).to_vec(), with);
        pod.set(&["spec", "tolerations"], own);
        pod
    }
}

/// A list of tolerations with one more, in place of one for the same taints.
fn with(mut all: Vec<Value>, new: Value) -> Vec<Value> {
    let same = |old: &&mut Value| ["key", "operator", "effect", "value"].iter().all(|field| old[field] == new[field]);
    match all.iter_mut().find(same) {
        Some(old) => *old = new,
        None => all.push(new),
    }
    all
}

/// The same pod, for one node: its affinity leaves no other to the scheduler.
pub fn for_node(mut pod: Object, node: &str) -> Object {
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    pod.set(&TERMS, json!([{"matchFields": [field]}]));
    pod
}
