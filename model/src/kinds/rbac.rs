//! Roles and bindings.
use super::fields::{Checks, fill, items, items_mut, list, text, top_items};
use super::pod::selector_rules;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::selector::LabelSelector;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

const GROUP: &str = "rbac.authorization.k8s.io";
const SELECTORS: &str = "clusterRoleSelectors";
const SUBJECTS: [&str; 3] = ["ServiceAccount", "User", "Group"];

/// The rules of Roles.
pub static ROLE: Role = Role { namespaced: true };
/// The rules of ClusterRoles.
pub static CLUSTER_ROLE: Role = Role { namespaced: false };
/// The rules of RoleBindings.
pub static ROLE_BINDING: Binding = Binding { namespaced: true };
/// The rules of ClusterRoleBindings.
pub static CLUSTER_ROLE_BINDING: Binding = Binding { namespaced: false };

/// The rules of Roles and ClusterRoles.
pub struct Role {
    namespaced: bool,
}

impl Strategy for Role {
    fn create_on_update(&self) -> bool {
        true
    }
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }
    fn default(&self, role: &mut Object) {
        // a role without rules is written with an explicit nothing
        role.0.entry("rules").or_insert(Value::Null);
    }
    fn validate(&self, role: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        for (path, rule) in top_items(role, "rules") {
            policy_rule(&mut checks, &path, rule, self.namespaced);
        }
        if let (false, Some(aggregation)) = (self.namespaced, role.at(&["aggregationRule"])) {
            aggregated(&mut checks, aggregation);
        }
        checks.0
    }
}

/// Which roles make up this one.
fn aggregated(checks: &mut Checks, aggregation: &Value) {
    if list(aggregation, SELECTORS).is_empty() {
        checks.required(format_args!("aggregationRule.{SELECTORS}"), "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    for (path, selector) in items(aggregation, &"aggregationRule", SELECTORS) {
        selector_rules(checks, &path, selector);
        if LabelSelector::from_json(selector).is_err() {
            checks.add(Cause::invalid(path, selector, "invalid label selector."));
        }
    }
}

fn policy_rule(checks: &mut Checks, path: &dyn Display, rule: &Value, namespaced: bool) {
    let given = |key: &str| !list(rule, key).is_empty();
    if !given("verbs") {
        checks.required(format_args!("{path}.verbs"), "verbs must contain at least one value");
    }
    if given("nonResourceURLs") {
        let urls = Value::from(list(rule, "nonResourceURLs").to_vec());
        let path = format_args!("{path}.nonResourceURLs");
        if namespaced {
            checks.add(Cause::invalid(path, &urls, "namespaced rules cannot apply to non-resource URLs"));
        }
        if given("apiGroups") || given("resources") || given("resourceNames") {
            checks.add(Cause::invalid(path, &urls, "rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    if !given("apiGroups") {
        checks.required(format_args!("{path}.apiGroups"), "resource rules must supply at least one api group");
    }
    if !given("resources") {
        checks.required(format_args!("{path}.resources"), "resource rules must supply at least one resource");
    }
}

/// The rules of RoleBindings and ClusterRoleBindings.
pub struct Binding {
    namespaced: bool,
}

impl Strategy for Binding {
    fn create_on_update(&self) -> bool {
        true
    }
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }
    fn default(&self, binding: &mut Object) {
        let mut all = Value::Object(std::mem::take(&mut binding.0));
        if let Some(role) = all.get_mut("roleRef") {
            fill(role, "apiGroup", GROUP);
        }
        for subject in items_mut(&mut all, "subjects") {
            if matches!(text(subject, "kind"), "User" | "Group") {
                fill(subject, "apiGroup", GROUP);
            }
        }
        if let Value::Object(map) = all {
            binding.0 = map;
        }
    }
    fn validate(&self, binding: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let role = |key: &str| binding.str_at(&["roleRef", key]);
        one_of(&mut checks, "roleRef.apiGroup", role("apiGroup"), &[GROUP]);
        one_of(&mut checks, "roleRef.kind", role("kind"), if self.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] });
        checks.name("roleRef.name", role("name"), names::path_segment);
        for (path, subject) in top_items(binding, "subjects") {
            subject_rules(&mut checks, &path, subject, self.namespaced);
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        if new.at(&["roleRef"]) == old.at(&["roleRef"]) {
            return Vec::new();
        }
        // Kubernetes shows the reference as it has it in memory
        let part = |key: &str| new.str_at(&["roleRef", key]);
        let shown = json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
        vec![Cause::invalid("roleRef", &shown, "field is immutable")]
    }
}

/// As [`Checks::one_of`], but what is missing is one more value that isn't supported.
fn one_of(checks: &mut Checks, path: impl Display, value: &str, supported: &[&str]) {
    checks.choice(path, Some(&value.into()), supported);
}

/// A service account of a RoleBinding without a namespace is one of the binding's own namespace.
fn subject_rules(checks: &mut Checks, path: &dyn Display, subject: &Value, namespaced: bool) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    checks.filled(format_args!("{path}.name"), name);
    match text(subject, "kind") {
        "ServiceAccount" => {
            checks.optional_name(format_args!("{path}.name"), name, names::dns_subdomain);
            one_of(checks, format_args!("{path}.apiGroup"), group, &[""]);
            if !namespaced {
                checks.filled(format_args!("{path}.namespace"), text(subject, "namespace"));
            }
        }
        "User" | "Group" => one_of(checks, format_args!("{path}.apiGroup"), group, &[GROUP]),
        other => one_of(checks, format_args!("{path}.kind"), other, &SUBJECTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{check, check_change};

    #[test]
    fn rules_of_roles() {
        let of = |rule: Value| json!({ "rules": [rule] });
        let urls = |more: Value| {
            let mut rule = json!({"verbs": ["get"], "nonResourceURLs": ["/x"]});
            crate::kinds::fixture::merge(&mut rule, more);
            of(rule)
        };
        let both = vec![
            (json!({}), ""),
            (of(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]})), ""),
            (of(json!({"apiGroups": [""], "resources": ["pods"]})), "rules[0].verbs: Required value: verbs must contain at least one value"),
            (of(json!({"verbs": ["get"], "resources": ["pods"]})), "rules[0].apiGroups: Required value: resource rules must supply at least one api group"),
            (of(json!({"verbs": ["get"], "apiGroups": [""]})), "rules[0].resources: Required value: resource rules must supply at least one resource"),
        ];
        check(&ROLE, both.clone());
        check(&CLUSTER_ROLE, both);
        let mixed = "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs";
        let here = "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs";
        check(&ROLE, vec![(urls(json!({})), here), (urls(json!({"resources": ["a"]})), &format!("{here} | {mixed}"))]);
        let keys = ["apiGroups", "resources", "resourceNames"];
        let mut rows: Vec<(Value, &str)> = keys.iter().map(|key| (urls(json!({ *key: ["a"] })), mixed)).collect();
        rows.push((urls(json!({})), ""));
        check(&CLUSTER_ROLE, rows);
    }

    #[test]
    fn aggregation() {
        let of = |selectors: Value| json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
        let first = "aggregationRule.clusterRoleSelectors[0]";
        check(
            &CLUSTER_ROLE,
            vec![
                (of(json!([{"matchLabels": {"a": "b"}}])), ""),
                (
                    of(json!([])),
                    "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
                ),
                (
                    of(json!([{"matchExpressions": [{"key": "a", "operator": "X"}]}])),
                    &format!(
                        "{first}.matchExpressions[0].operator: Invalid value: \"X\": not a valid selector operator | {first}: Invalid value: {{\"matchExpressions\":[{{\"key\":\"a\",\"operator\":\"X\"}}]}}: invalid label selector."
                    ),
                ),
            ],
        );
    }

    #[test]
    fn bindings() {
        let with = |role: Value, subject: Value| json!({"roleRef": role, "subjects": [subject]});
        let role = |more: Value| {
            let mut role = json!({"kind": "ClusterRole", "name": "r"});
            crate::kinds::fixture::merge(&mut role, more);
            with(role, json!({"kind": "User", "name": "u"}))
        };
        let subject = |subject: Value| with(json!({"kind": "ClusterRole", "name": "r"}), subject);
        let robot = |more: Value| {
            let mut robot = json!({"kind": "ServiceAccount", "name": "s", "namespace": "a"});
            crate::kinds::fixture::merge(&mut robot, more);
            subject(robot)
        };
        let group = "supported values: \"rbac.authorization.k8s.io\"";
        let kinds = "supported values: \"ServiceAccount\", \"User\", \"Group\"";
        let unsupported_group = format!("roleRef.apiGroup: Unsupported value: \"x\": {group}");
        let user_group = format!("subjects[0].apiGroup: Unsupported value: \"x\": {group}");
        let unknown = format!("subjects[0].kind: Unsupported value: \"Dog\": {kinds}");
        let both = vec![
            (role(json!({})), ""),
            (subject(json!({"kind": "Group", "name": "system:masters"})), ""),
            (robot(json!({})), ""),
            (role(json!({"apiGroup": "x"})), unsupported_group.as_str()),
            (role(json!({"name": ""})), "roleRef.name: Required value"),
            (role(json!({"name": "a/b"})), "roleRef.name: Invalid value: \"a/b\": may not contain '/'"),
            (subject(json!({"kind": "User", "name": ""})), "subjects[0].name: Required value"),
            (subject(json!({"kind": "User", "name": "u", "apiGroup": "x"})), &user_group),
            (subject(json!({"kind": "Group", "name": "u", "apiGroup": "x"})), &user_group),
            (subject(json!({"kind": "Dog", "name": "u"})), &unknown),
            (robot(json!({"name": "A"})), "subjects[0].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            (robot(json!({"apiGroup": "x"})), "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"\""),
        ];
        check(&ROLE_BINDING, both.clone());
        check(&CLUSTER_ROLE_BINDING, both);
        check(
            &ROLE_BINDING,
            vec![
                (robot(json!({"namespace": ""})), ""),
                (role(json!({"kind": "Role"})), ""),
                (role(json!({"kind": ""})), "roleRef.kind: Unsupported value: \"\": supported values: \"Role\", \"ClusterRole\""),
            ],
        );
        check(
            &CLUSTER_ROLE_BINDING,
            vec![
                (robot(json!({"namespace": ""})), "subjects[0].namespace: Required value"),
                (role(json!({"kind": "Role"})), "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\""),
            ],
        );
        let shown = r#"{"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"s"}"#;
        check_change(
            &ROLE_BINDING,
            vec![
                (role(json!({})), robot(json!({})), ""),
                (role(json!({})), role(json!({"name": "s"})), &format!("roleRef: Invalid value: {shown}: field is immutable")),
            ],
        );
    }
}
