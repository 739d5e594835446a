//! Roles and bindings.
use super::fields::{Checks, fill, items_mut, list, text, top_items};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

const GROUP: &str = "rbac.authorization.k8s.io";

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
        checks.0
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
        checks.one_of("roleRef.apiGroup", role("apiGroup"), &[GROUP]);
        checks.one_of("roleRef.kind", role("kind"), if self.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] });
        checks.name("roleRef.name", role("name"), names::path_segment);
        for (path, subject) in top_items(binding, "subjects") {
            subject_rules(&mut checks, &path, subject);
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let (after, before) = (new.at(&["roleRef"]), old.at(&["roleRef"]));
        if after == before {
            return Vec::new();
        }
        vec![Cause::invalid("roleRef", after.unwrap_or(&json!({})), "cannot change roleRef")]
    }
}

fn subject_rules(checks: &mut Checks, path: &dyn Display, subject: &Value) {
    checks.filled(format_args!("{path}.name"), text(subject, "name"));
    let group = text(subject, "apiGroup");
    let group_must_be = |checks: &mut Checks, wanted: &str| {
        if group != wanted {
            checks.add(Cause::not_supported(format_args!("{path}.apiGroup"), &group.into(), &[wanted]));
        }
    };
    match text(subject, "kind") {
        "ServiceAccount" => {
            let name = text(subject, "name");
            checks.optional_name(format_args!("{path}.name"), name, names::dns_subdomain);
            group_must_be(checks, "");
            if text(subject, "namespace").is_empty() {
                checks.required(format_args!("{path}.namespace"), "");
            }
        }
        "User" | "Group" => group_must_be(checks, GROUP),
        other => checks.add(Cause::not_supported(format_args!("{path}.kind"), &other.into(), &["ServiceAccount", "User", "Group"])),
    }
}
