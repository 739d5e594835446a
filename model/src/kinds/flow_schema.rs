//! FlowSchemas: which requests go to which priority level.
use super::fields::{Checks, flag, int, items, keep, list, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Display;

const PRECEDENCE_MAX: i64 = 10_000;
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
/// Each kind of subject, and the field that says which.
const SUBJECTS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];

/// The rules of FlowSchemas.
pub static STRATEGY: FlowSchema = FlowSchema;

/// The rules of FlowSchemas.
pub struct FlowSchema;

impl Strategy for FlowSchema {
    fn prepare_create(&self, schema: &mut Object) {
        schema.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, schema: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = schema.at(&["spec"]).unwrap_or(&Value::Null);
        precedence(&mut checks, schema.name(), int(spec, "matchingPrecedence").unwrap_or_default());
        if let Some(method) = spec.get("distinguisherMethod") {
            checks.choice("spec.distinguisherMethod.type", Some(&text(method, "type").into()), &["ByNamespace", "ByUser"]);
        }
        match spec.get("priorityLevelConfiguration").map(|level| text(level, "name")).unwrap_or_default() {
            "" => checks.required("spec.priorityLevelConfiguration.name", "must reference a priority level"),
            name => checks.all("spec.priorityLevelConfiguration.name", name, names::dns_subdomain(name)),
        }
        for (path, rule) in items(spec, &"spec", "rules") {
            self::rule(&mut checks, &path, rule);
        }
        if mandatory(schema.name()).is_some_and(|fixed| fixed != *spec) {
            checks.add(Cause::invalid("spec", spec, format_args!("spec of '{}' must equal the fixed value", schema.name())));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        conditions(&mut checks, new);
        checks.0
    }
}

/// Conditions have a type each.
pub(super) fn conditions(checks: &mut Checks, object: &Object) {
    let mut seen = HashSet::new();
    let status = object.at(&["status"]).unwrap_or(&Value::Null);
    for (path, condition) in items(status, &"status", "conditions") {
        checks.unique(format_args!("{path}.type"), &text(condition, "type").into(), &mut seen);
        checks.filled(format_args!("{path}.type"), text(condition, "type"));
    }
}

/// The schemas that every cluster has.
fn mandatory(name: &str) -> Option<Value> {
    let (level, precedence, groups) = match name {
        "exempt" => ("exempt", 1, &["system:masters"][..]),
        "catch-all" => ("catch-all", PRECEDENCE_MAX, &["system:unauthenticated", "system:authenticated"][..]),
        _ => return None,
    };
    let subjects: Vec<Value> = groups.iter().map(|group| json!({"kind": "Group", "group": {"name": group}})).collect();
    let rule = json!({
        "subjects": subjects,
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    });
    let mut spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]});
    if name == "catch-all" {
        spec["distinguisherMethod"] = json!({"type": "ByUser"});
    }
    Some(spec)
}

fn precedence(checks: &mut Checks, name: &str, n: i64) {
    let why = match n {
        n if n <= 0 => "must be a positive value".to_owned(),
        n if n > PRECEDENCE_MAX => format!("must not be greater than {PRECEDENCE_MAX}"),
        1 if name != "exempt" => "only the schema named 'exempt' may have matchingPrecedence 1".to_owned(),
        _ => return,
    };
    checks.add(Cause::invalid("spec.matchingPrecedence", &n.into(), why));
}

fn rule(checks: &mut Checks, path: &dyn Display, rule: &Value) {
    for (path, subject) in items(rule, path, "subjects") {
        self::subject(checks, &path, subject);
    }
    if list(rule, "subjects").is_empty() {
        checks.required(format_args!("{path}.subjects"), "subjects must contain at least one value");
    }
    if list(rule, "resourceRules").is_empty() && list(rule, "nonResourceRules").is_empty() {
        checks.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for (path, rule) in items(rule, path, "resourceRules") {
        verbs(checks, &path, rule);
        some(checks, &path, rule, "apiGroups", ["resource rules must supply at least one api group", "api groups"]);
        some(checks, &path, rule, "resources", ["resource rules must supply at least one resource", "resources"]);
        namespaces(checks, &path, rule);
    }
    for (path, rule) in items(rule, path, "nonResourceRules") {
        verbs(checks, &path, rule);
        let words = ["nonResourceURLs must contain at least one value", "non-resource URLs"];
        if some(checks, &path, rule, "nonResourceURLs", words) {
            continue;
        }
        for (path, url) in items(rule, &path, "nonResourceURLs") {
            let url = url.as_str().unwrap_or_default();
            not_a_path(url).into_iter().for_each(|why| checks.add(Cause::invalid(&path, &url.into(), why)));
        }
    }
}

/// One subject: the field of its kind is there, and no other.
fn subject(checks: &mut Checks, path: &dyn Display, subject: &Value) {
    let kind = text(subject, "kind");
    let Some((_, own)) = SUBJECTS.iter().find(|(known, _)| *known == kind) else {
        return checks.add(Cause::not_supported(format_args!("{path}.kind"), &kind.into(), &["Group", "ServiceAccount", "User"]));
    };
    let at = format_args!("{path}.{own}");
    match (subject.get(*own), kind) {
        (None, _) => checks.required(at, &format!("{own} is required when subject kind is '{kind}'")),
        (Some(account), "ServiceAccount") => {
            let (name, namespace) = (text(account, "name"), text(account, "namespace"));
            if name != "*" {
                checks.name(format_args!("{at}.name"), name, names::dns_subdomain);
            }
            checks.optional_name(format_args!("{at}.namespace"), namespace, names::dns_label);
            if namespace.is_empty() {
                checks.required(format_args!("{at}.namespace"), "must specify namespace for service account");
            }
        }
        (Some(who), _) => checks.filled(format_args!("{at}.name"), text(who, "name")),
    }
    for (other, field) in SUBJECTS.iter().filter(|(other, field)| *other != kind && subject.get(*field).is_some()) {
        checks.add(Cause::forbidden(format_args!("{path}.{field}"), format_args!("{field} is forbidden when subject kind is not '{other}'")));
    }
}

/// A list that has something, and nothing beside a `*`. Whether it has one.
fn some(checks: &mut Checks, path: &dyn Display, rule: &Value, field: &str, [none, others]: [&str; 2]) -> bool {
    let values = list(rule, field);
    let any = values.iter().any(|v| v == "*");
    if values.is_empty() {
        checks.required(format_args!("{path}.{field}"), none);
    } else if any && values.len() > 1 {
        let why = format_args!("if '*' is present, must not specify other {others}");
        checks.add(Cause::invalid(format_args!("{path}.{field}"), &values.to_vec().into(), why));
    }
    any
}

fn verbs(checks: &mut Checks, path: &dyn Display, rule: &Value) {
    let any = some(checks, path, rule, "verbs", ["verbs must contain at least one value", "verbs"]);
    let verbs = list(rule, "verbs");
    if !any && verbs.iter().any(|verb| !verb.as_str().is_some_and(|verb| VERBS.contains(&verb))) {
        checks.add(Cause::not_supported(format_args!("{path}.verbs"), &verbs.to_vec().into(), &VERBS));
    }
}

fn namespaces(checks: &mut Checks, path: &dyn Display, rule: &Value) {
    let all = list(rule, "namespaces");
    if all.is_empty() && flag(rule, "clusterScope") {
        return;
    }
    let none = "resource rules that are not cluster scoped must supply at least one namespace";
    if some(checks, path, rule, "namespaces", [none, "namespaces"]) {
        return;
    }
    for (path, namespace) in items(rule, path, "namespaces") {
        let name = namespace.as_str().unwrap_or_default();
        for why in names::dns_label(name) {
            checks.add(Cause::invalid(&path, namespace, format_args!("each member of this list must be '*' or a DNS-1123 label; {why}")));
        }
    }
}

/// Why a text isn't a path of what isn't a resource.
fn not_a_path(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        path if !path.starts_with('/') => Some("must start with slash"),
        path if path.contains(' ') => Some("must not contain white-space"),
        path if path.contains("//") => Some("must not contain double slash"),
        path if stars > 1 || (stars == 1 && !path.ends_with("/*")) => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::fixture::{check_defaults, check_kind, check_kind_status, merge};
    use serde_json::{Value, json};

    const GROUP: &str = "flowcontrol.apiserver.k8s.io";
    const KIND: &str = "flowschemas";

    fn of(change: Value) -> Value {
        let mut spec = json!({"priorityLevelConfiguration": {"name": "a"}});
        merge(&mut spec, change);
        json!({"metadata": {"name": "x"}, "spec": spec})
    }

    fn rule(change: Value) -> Value {
        let resources = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"]}]);
        let mut rule = json!({"subjects": [{"kind": "User", "user": {"name": "u"}}], "resourceRules": resources});
        merge(&mut rule, change);
        of(json!({"rules": [rule]}))
    }

    #[test]
    fn schemas() {
        let subject = |subject: Value| rule(json!({"subjects": [subject]}));
        let at = "spec.rules[0]";
        check_kind(
            GROUP,
            KIND,
            vec![
                (rule(json!({})), ""),
                (of(json!({"matchingPrecedence": -1})), "spec.matchingPrecedence: Invalid value: -1: must be a positive value"),
                (of(json!({"matchingPrecedence": 10_001})), "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"),
                (
                    of(json!({"matchingPrecedence": 1})),
                    "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                ),
                (of(json!({"priorityLevelConfiguration": null})), "spec.priorityLevelConfiguration.name: Required value: must reference a priority level"),
                (
                    of(json!({"distinguisherMethod": {"type": "X"}})),
                    "spec.distinguisherMethod.type: Unsupported value: \"X\": supported values: \"ByNamespace\", \"ByUser\"",
                ),
                (rule(json!({"subjects": []})), &format!("{at}.subjects: Required value: subjects must contain at least one value")),
                (rule(json!({"resourceRules": []})), &format!("{at}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty")),
                (
                    subject(json!({"kind": "X"})),
                    &format!("{at}.subjects[0].kind: Unsupported value: \"X\": supported values: \"Group\", \"ServiceAccount\", \"User\""),
                ),
                (subject(json!({"kind": "Group"})), &format!("{at}.subjects[0].group: Required value: group is required when subject kind is 'Group'")),
                (
                    subject(json!({"kind": "Group", "group": {"name": "g"}, "user": {"name": "u"}})),
                    &format!("{at}.subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'"),
                ),
                (
                    subject(json!({"kind": "ServiceAccount", "serviceAccount": {"name": "*"}})),
                    &format!("{at}.subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"),
                ),
            ],
        );
    }

    #[test]
    fn rules() {
        let path = |path: &str| rule(json!({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": [path]}]}));
        let resources = |change: Value| {
            let mut one = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "clusterScope": true});
            merge(&mut one, change);
            rule(json!({"resourceRules": [one]}))
        };
        let at = "spec.rules[0]";
        check_kind(
            GROUP,
            KIND,
            vec![
                (
                    resources(json!({"verbs": ["*", "get"]})),
                    &format!("{at}.resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs"),
                ),
                (resources(json!({"verbs": ["x"]})), &format!("{at}.resourceRules[0].verbs: Unsupported value: [\"x\"]: supported values: \"create\"…")),
                (
                    resources(json!({"apiGroups": []})),
                    &format!("{at}.resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group"),
                ),
                (
                    resources(json!({"clusterScope": false})),
                    &format!("{at}.resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace"),
                ),
                (
                    resources(json!({"namespaces": ["A"]})),
                    &format!(
                        "{at}.resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 label; a lowercase…"
                    ),
                ),
                (path("/a/*"), ""),
                (path("a"), &format!("{at}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"a\": must start with slash")),
                (path("/a*"), &format!("{at}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching")),
                (json!({"metadata": {"name": "exempt"}, "spec": super::mandatory("exempt")}), ""),
                (json!({"metadata": {"name": "catch-all"}, "spec": {"priorityLevelConfiguration": {"name": "a"}}}), "spec: Invalid value: …"),
            ],
        );
    }

    #[test]
    fn defaults_and_statuses() {
        check_defaults(GROUP, KIND, json!({"spec": {"matchingPrecedence": 0}}), json!({"spec": {"matchingPrecedence": 1_000}}));
        check_kind_status(
            GROUP,
            KIND,
            vec![(of(json!({})), json!({"status": {"conditions": [{"type": "A"}, {"type": "A"}]}}), "status.conditions[1].type: Duplicate value: \"A\"")],
        );
    }
}
