//! Prevents users from granting rights that they don't have: checked when roles and bindings are written.
use super::Authorizer;
use super::attributes::{Attributes, Target};
use super::policy::{GROUP, Policy, RoleRef};
use super::rule::{Rule, missing, quoted};
use crate::identity::MASTERS;
use model::{ApiError, Object};
use serde::Deserialize;
use state_client::User;

/// A role or binding that somebody writes.
pub struct Grant<'a> {
    /// Who.
    pub user: &'a User,
    /// One of [`super::policy::RESOURCES`].
    pub resource: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// As it was.
    pub old: Option<&'a Object>,
    /// As it shall be.
    pub new: &'a Object,
}

/// Refuses a role with rules, or a binding to a role with rules, that the writer doesn't hold, unless they may `escalate` or `bind` it.
///
/// # Errors
/// 403 that lists the rules.
pub fn check(authorizer: &Authorizer, grant: &Grant<'_>) -> Result<(), ApiError> {
    if grant.user.groups.iter().any(|g| g == MASTERS) {
        return Ok(());
    }
    match grant.resource {
        "roles" | "clusterroles" => role(authorizer, grant),
        "rolebindings" | "clusterrolebindings" => binding(authorizer, grant),
        _ => Ok(()),
    }
}

fn may(authorizer: &Authorizer, grant: &Grant<'_>, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    authorizer.allows(&Attributes {
        user: grant.user,
        verb,
        target: Target::Resource { group: GROUP, resource, subresource: "", namespace, name },
        bound_to: None,
    })
}

fn role(authorizer: &Authorizer, grant: &Grant<'_>) -> Result<(), ApiError> {
    let same = |field: &str| grant.old.is_some_and(|old| old.0.get(field) == grant.new.0.get(field));
    if (same("rules") && same("aggregationRule")) || may(authorizer, grant, "escalate", grant.resource, grant.namespace, grant.name) {
        return Ok(());
    }
    let mut wanted = Rule::all_from(grant.new.list_at(&["rules"]));
    if grant.new.at(&["aggregationRule"]).is_some() && !same("aggregationRule") {
        wanted.push(everything());
    }
    authorizer.with(|policy| held(policy, grant, &wanted))
}

fn everything() -> Rule {
    let all = || vec!["*".to_owned()];
    Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() }
}

fn binding(authorizer: &Authorizer, grant: &Grant<'_>) -> Result<(), ApiError> {
    let same = |field: &str| grant.old.is_some_and(|old| old.0.get(field) == grant.new.0.get(field));
    if same("subjects") && same("roleRef") {
        return Ok(());
    }
    let role = grant.new.at(&["roleRef"]).and_then(|v| RoleRef::deserialize(v).ok()).unwrap_or_default();
    let (resource, namespace) = if role.kind == "ClusterRole" { ("clusterroles", "") } else { ("roles", grant.namespace) };
    // bind on a ClusterRole may be granted in the binding's own namespace
    let places = [namespace, grant.namespace];
    if places.iter().any(|place| may(authorizer, grant, "bind", resource, place, &role.name)) {
        return Ok(());
    }
    authorizer.with(|policy| match policy.rules(&role, grant.namespace) {
        Some(rules) => held(policy, grant, &rules),
        None => Err(ApiError::not_found(GROUP, resource, &role.name)),
    })
}

fn held(policy: &Policy, grant: &Grant<'_>, wanted: &[Rule]) -> Result<(), ApiError> {
    let rules = policy.held(grant.user, grant.namespace);
    let mut lacking: Vec<String> = missing(&rules.iter().collect::<Vec<_>>(), wanted).iter().map(Rule::to_string).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    lacking.sort();
    let (user, groups) = (&grant.user.name, quoted(&grant.user.groups));
    let why = format!("user {user:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}", lacking.join("\n"));
    Err(ApiError::forbidden(GROUP, grant.resource, grant.name, why))
}
