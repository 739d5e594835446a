//! Reviews: what `kubectl auth can-i` and `whoami` ask. A review is answered and never stored.
use super::Authorizer;
use super::attributes::{Attributes, Target};
use super::policy::Verdict;
use super::rule::Rule;
use crate::identity::{self, MASTERS};
use crate::node_name;
use model::{ApiError, Cause, Object};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use state_client::User;
use std::collections::BTreeMap;

const AUTHORIZATION: &str = "authorization.k8s.io";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    name: String,
    field_selector: Option<Fields>,
}

/// `FieldSelectorAttributes`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Requirement {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl ResourceAttributes {
    fn bound_to(&self) -> Option<&str> {
        let all = self.field_selector.iter().flat_map(|f| &f.requirements);
        let mut nodes = all.filter(|r| r.key == node_name::FIELD && r.operator == "In");
        nodes.find_map(|r| if let [one] = r.values.as_slice() { Some(one.as_str()) } else { None })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NonResourceAttributes {
    path: String,
    verb: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AccessSpec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<NonResourceAttributes>,
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl AccessSpec {
    fn of(review: &Object) -> Result<Self, ApiError> {
        let spec = review.at(&["spec"]).cloned().unwrap_or_else(|| json!({}));
        Self::deserialize(spec).map_err(|e| ApiError::bad_request(e.to_string()))
    }

    fn attributes<'a>(&'a self, user: &'a User) -> Result<Attributes<'a>, Cause> {
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(r), None) => Ok(Attributes {
                user,
                verb: &r.verb,
                target: Target::Resource { group: &r.group, resource: &r.resource, subresource: &r.subresource, namespace: &r.namespace, name: &r.name },
                bound_to: r.bound_to(),
            }),
            (None, Some(p)) => Ok(Attributes { user, verb: &p.verb, target: Target::Path(&p.path), bound_to: None }),
            (Some(_), Some(_)) => Err(Cause::invalid("spec.nonResourceAttributes", &json!({}), "cannot be specified in combination with resourceAttributes")),
            (None, None) => {
                Err(Cause::invalid("spec.resourceAttributes", &Value::Null, "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
            }
        }
    }
}

fn answered(review: &Object, kind: &str, status: Value) -> Value {
    let mut answer = review.clone();
    answer.set(&["apiVersion"], format!("{AUTHORIZATION}/v1"));
    answer.set(&["kind"], kind);
    if answer.at(&["metadata"]).is_none() {
        answer.set(&["metadata"], Map::new());
    }
    answer.set(&["status"], status);
    Value::Object(answer.0)
}

fn access(authorizer: &Authorizer, review: &Object, kind: &str, spec: &AccessSpec, user: &User) -> Result<Value, ApiError> {
    let attributes = spec.attributes(user).map_err(|cause| ApiError::invalid(AUTHORIZATION, kind, "", vec![cause]))?;
    let status = match authorizer.verdict(&attributes) {
        Verdict::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
        Verdict::Allowed(reason) => json!({"allowed": true, "reason": reason}),
        Verdict::Denied(reason) if reason.is_empty() => json!({"allowed": false}),
        Verdict::Denied(reason) => json!({"allowed": false, "reason": reason}),
    };
    Ok(answered(review, kind, status))
}

/// `SelfSubjectAccessReview`: may I?
///
/// # Errors
/// 422 unless it asks for exactly one thing.
pub fn own_access(authorizer: &Authorizer, user: &User, review: &Object) -> Result<Value, ApiError> {
    access(authorizer, review, "SelfSubjectAccessReview", &AccessSpec::of(review)?, user)
}

/// `SubjectAccessReview` and, with `namespace`, `LocalSubjectAccessReview`: may they?
///
/// # Errors
/// 422 unless it says who and asks for exactly one thing, in the namespace of the request.
pub fn access_of(authorizer: &Authorizer, namespace: Option<&str>, review: &Object) -> Result<Value, ApiError> {
    let kind = if namespace.is_some() { "LocalSubjectAccessReview" } else { "SubjectAccessReview" };
    let spec = AccessSpec::of(review)?;
    let invalid = |cause| Err(ApiError::invalid(AUTHORIZATION, kind, "", vec![cause]));
    if spec.user.is_empty() && spec.groups.is_empty() {
        return invalid(Cause::invalid("spec.user", &json!(""), "at least one of user or group must be specified"));
    }
    if let Some(namespace) = namespace {
        let asked = spec.resource_attributes.as_ref().map(|r| r.namespace.as_str());
        if asked != Some(namespace) {
            let detail = format!("must match metadata.namespace: {namespace}");
            return invalid(Cause::invalid("spec.resourceAttributes.namespace", &json!(asked), detail));
        }
    }
    let user = User { name: spec.user.clone(), uid: spec.uid.clone(), groups: spec.groups.clone(), extra: spec.extra.clone() };
    access(authorizer, review, kind, &spec, &user)
}

/// `SelfSubjectRulesReview`: what may I do in a namespace?
///
/// # Errors
/// 400 without a namespace.
pub fn own_rules(authorizer: &Authorizer, user: &User, review: &Object) -> Result<Value, ApiError> {
    let namespace = review.str_at(&["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let mut rules = authorizer.with(|p| p.held(user, namespace));
    if user.groups.iter().any(|g| g == MASTERS) {
        let all = || vec!["*".to_owned()];
        rules.push(Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() });
        rules.push(Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() });
    }
    let (on_paths, on_resources): (Vec<Rule>, Vec<Rule>) = rules.into_iter().partition(|r| !r.non_resource_urls.is_empty());
    let resource_rules: Vec<Value> = on_resources.iter().map(resource_rule).collect();
    let path_rules: Vec<Value> = on_paths.iter().map(|r| json!({"verbs": r.verbs, "nonResourceURLs": r.non_resource_urls})).collect();
    let mut status = json!({"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": false});
    if identity::node(user).is_some() {
        status["incomplete"] = json!(true);
        status["evaluationError"] = json!("node authorizer does not support user rule resolution");
    }
    Ok(answered(review, "SelfSubjectRulesReview", status))
}

fn resource_rule(rule: &Rule) -> Value {
    let mut out = json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
    if !rule.resource_names.is_empty() {
        out["resourceNames"] = json!(rule.resource_names);
    }
    out
}

/// `UserInfo` as reviews show it.
pub fn user_info(user: &User) -> Value {
    let mut out = json!({"username": user.name});
    if !user.uid.is_empty() {
        out["uid"] = json!(user.uid);
    }
    if !user.groups.is_empty() {
        out["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        out["extra"] = json!(user.extra);
    }
    out
}

/// `SelfSubjectReview`: who am I?
pub fn whoami(user: &User, now: &str) -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {"creationTimestamp": now},
        "status": {"userInfo": user_info(user)},
    })
}
