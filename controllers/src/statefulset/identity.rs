//! Who a pod of a StatefulSet is: its name by its ordinal, its labels, its host name, and its volumes.
use crate::ownership::pod_of_template;
use crate::revisions::POD_LABEL;
use crate::runtime::Item;
use model::Object;
use serde_json::{Map, Value, json};

const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// The ordinal of a pod by its name, where it is a pod of the set of this name.
pub fn ordinal(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i32>().ok().map(i64::from)
}

/// The name of the pod of an ordinal.
pub fn pod_name(set: &str, ordinal: i64) -> String {
    format!("{set}-{ordinal}")
}

/// The name of the claim of an ordinal's pod by a template.
pub fn claim_name(template: &Value, set: &str, ordinal: i64) -> String {
    format!("{}-{set}-{ordinal}", template_name(template))
}

/// The name of a claim template.
fn template_name(template: &Value) -> &str {
    template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The pod of an ordinal, by the template of this revision.
pub fn new_pod(set: &Item, ordinal: i64, template: &Value, revision: &str) -> Object {
    let object = set.object();
    let name = pod_name(set.name(), ordinal);
    let mut pod = pod_of_template(template, set);
    pod.set(&["metadata", "name"], name.as_str());
    pod.set(&["metadata", "labels", NAME_LABEL], name.as_str());
    pod.set(&["metadata", "labels", INDEX_LABEL], ordinal.to_string());
    pod.set(&["metadata", "labels", POD_LABEL], revision);
    pod.set(&["spec", "hostname"], name);
    if !object.str_at(&["spec", "serviceName"]).is_empty() {
        pod.set(&["spec", "subdomain"], object.str_at(&["spec", "serviceName"]));
    }
    let templates = object.list_at(&["spec", "volumeClaimTemplates"]);
    let claimed = templates.iter().map(|template| {
        let claim = json!({"claimName": claim_name(template, set.name(), ordinal)});
        json!({"name": template_name(template), "persistentVolumeClaim": claim})
    });
    let own = pod.list_at(&["spec", "volumes"]).iter().filter(|volume| !templates.iter().any(|t| volume["name"] == template_name(t))).cloned();
    let volumes: Vec<Value> = claimed.chain(own).collect();
    if !volumes.is_empty() {
        pod.set(&["spec", "volumes"], volumes);
    }
    pod
}

/// The merge patch that gives a pod the labels that its name is told by; `None` where it has them.
pub fn missing_labels(pod: &Item, ordinal: i64) -> Option<Value> {
    (pod.label(NAME_LABEL) != Some(pod.name())).then(|| json!({"metadata": {"labels": {(NAME_LABEL): pod.name(), (INDEX_LABEL): ordinal.to_string()}}}))
}

/// The claim of an ordinal by a template, with these owners.
pub fn new_claim(set: &Item, ordinal: i64, template: &Value, owners: Vec<Value>) -> Object {
    let mut claim = Object::default();
    claim.set(&["apiVersion"], "v1");
    claim.set(&["kind"], "PersistentVolumeClaim");
    let mut metadata = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    metadata.insert("name".to_owned(), json!(claim_name(template, set.name(), ordinal)));
    metadata.insert("namespace".to_owned(), json!(set.namespace()));
    claim.set(&["metadata"], metadata);
    for (key, value) in set.object().at(&["spec", "selector", "matchLabels"]).and_then(Value::as_object).into_iter().flatten() {
        claim.set(&["metadata", "labels", key], value.clone());
    }
    if !owners.is_empty() {
        claim.set(&["metadata", "ownerReferences"], owners);
    }
    claim.set(&["spec"], template.get("spec").cloned().unwrap_or_else(|| json!({})));
    claim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_is_its_sets_and_a_number() {
        let cases = [
            ("web-0", Some(0)),
            ("web-12", Some(12)),
            ("web-x", None),
            ("web-", None),
            ("web", None),
            ("web-1-2", None),
            ("other-0", None),
            ("web-99999999999", None),
        ];
        for (name, expected) in cases {
            assert_eq!(ordinal("web", name), expected, "{name}");
        }
        assert_eq!(ordinal("web-1", "web-1-2"), Some(2));
    }
}
