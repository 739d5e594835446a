//! Scopes: which objects a quota counts.
use super::usage::Taken;
use crate::kinds::pod::qos_class;
use crate::object::Object;
use serde_json::Value;

/// One condition: a scope, and for some of them the values that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    scope: String,
    operator: String,
    values: Vec<String>,
}

/// The conditions of a quota.
pub fn requirements(quota: &Object) -> Vec<Requirement> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let whole = quota.list_at(&["spec", "scopes"]).iter().map(|scope| Requirement { scope: text(scope), operator: "Exists".to_owned(), values: Vec::new() });
    let selected = quota.list_at(&["spec", "scopeSelector", "matchExpressions"]).iter().map(|one| Requirement {
        scope: text(&one["scopeName"]),
        operator: text(&one["operator"]),
        values: one["values"].as_array().into_iter().flatten().map(text).collect(),
    });
    whole.chain(selected).collect()
}

impl Requirement {
    /// Whether an object is within the scope.
    pub fn holds(&self, taken: &Taken<'_>) -> bool {
        let object = taken.object;
        match (taken.group, taken.resource, self.scope.as_str()) {
            ("", "pods", "Terminating") => has_deadline(object),
            ("", "pods", "NotTerminating") => !has_deadline(object),
            ("", "pods", "BestEffort") => qos_class(object) == "BestEffort",
            ("", "pods", "NotBestEffort") => qos_class(object) != "BestEffort",
            ("", "pods", "PriorityClass") => self.selects(&[object.str_at(&["spec", "priorityClassName"])]),
            ("", "pods", "CrossNamespacePodAffinity") => looks_elsewhere(object),
            ("", "persistentvolumeclaims", "VolumeAttributesClass") => self.selects(&attribute_classes(object)),
            _ => false,
        }
    }

    /// Whether one of the object's names is as wanted; an empty one is none.
    fn selects(&self, names: &[&str]) -> bool {
        let listed = |name: &str| self.values.iter().any(|value| value == name);
        let mut names = names.iter().filter(|name| !name.is_empty()).peekable();
        match self.operator.as_str() {
            "Exists" => names.peek().is_some(),
            "DoesNotExist" => names.peek().is_none(),
            "In" => names.any(|name| listed(name)),
            "NotIn" => names.peek().is_none() || names.any(|name| !listed(name)),
            _ => false,
        }
    }
}

fn has_deadline(pod: &Object) -> bool {
    pod.int_at(&["spec", "activeDeadlineSeconds"]).is_some_and(|seconds| seconds >= 0)
}

fn attribute_classes(claim: &Object) -> [&str; 3] {
    [
        claim.str_at(&["spec", "volumeAttributesClassName"]),
        claim.str_at(&["status", "currentVolumeAttributesClassName"]),
        claim.str_at(&["status", "modifyVolumeStatus", "targetVolumeAttributesClassName"]),
    ]
}

/// Whether a term of the pod's affinity to pods looks into other namespaces.
fn looks_elsewhere(pod: &Object) -> bool {
    let elsewhere =
        |term: &Value| term["namespaces"].as_array().is_some_and(|all| !all.is_empty()) || term.get("namespaceSelector").is_some_and(|s| !s.is_null());
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = |when: &str| pod.list_at(&["spec", "affinity", kind, when]);
        let required = terms("requiredDuringSchedulingIgnoredDuringExecution").iter().any(elsewhere);
        required || terms("preferredDuringSchedulingIgnoredDuringExecution").iter().any(|term| elsewhere(&term["podAffinityTerm"]))
    })
}
