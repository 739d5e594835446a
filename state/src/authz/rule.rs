//! One RBAC rule: what it allows, and whether some rules cover another.
use super::attributes::{Attributes, Target};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// `rbac.authorization.k8s.io/v1` PolicyRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups, or `*`.
    pub api_groups: Vec<String>,
    /// Resources, `resource/subresource`, `*/subresource`, or `*`.
    pub resources: Vec<String>,
    /// Names that it is limited to; empty: all.
    pub resource_names: Vec<String>,
    /// Paths; a trailing `*` is a prefix.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|x| x == wanted)
}

fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|x| x == "*" || x == wanted)
}

fn resource_in(list: &[String], resource: &str, subresource: &str) -> bool {
    list.iter().any(|x| match x.split_once('/') {
        None => x == "*" || (subresource.is_empty() && x == resource),
        Some((r, s)) => !subresource.is_empty() && s == subresource && (r == "*" || r == resource),
    })
}

fn path_in(list: &[String], path: &str) -> bool {
    list.iter().any(|x| x == path || x.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
}

impl Rule {
    /// The rules in a role's `rules`; entries that don't decode allow nothing.
    pub fn all_from(list: &[Value]) -> Vec<Self> {
        list.iter().filter_map(|v| Self::deserialize(v).ok()).collect()
    }

    /// Whether it allows this.
    pub fn allows(&self, what: &Attributes<'_>) -> bool {
        has_or_all(&self.verbs, what.verb)
            && match what.target {
                Target::Path(path) => path_in(&self.non_resource_urls, path),
                Target::Resource { group, resource, subresource, name, .. } => {
                    has_or_all(&self.api_groups, group)
                        && resource_in(&self.resources, resource, subresource)
                        && (self.resource_names.is_empty() || has(&self.resource_names, name))
                }
            }
    }

    /// The smallest rules that together are this one: one verb on one thing each.
    fn atoms(&self) -> Vec<Self> {
        let mut out = Vec::new();
        for verb in &self.verbs {
            for url in &self.non_resource_urls {
                out.push(Self { verbs: vec![verb.clone()], non_resource_urls: vec![url.clone()], ..Self::default() });
            }
            for group in &self.api_groups {
                for resource in &self.resources {
                    let atom = Self { verbs: vec![verb.clone()], api_groups: vec![group.clone()], resources: vec![resource.clone()], ..Self::default() };
                    match self.resource_names.as_slice() {
                        [] => out.push(atom),
                        names => out.extend(names.iter().map(|n| Self { resource_names: vec![n.clone()], ..atom.clone() })),
                    }
                }
            }
        }
        out
    }

    /// Whether this rule allows all that `atom` (of [`Rule::atoms`]) allows.
    fn covers(&self, atom: &Self) -> bool {
        let all = |mine: &[String], theirs: &[String]| theirs.iter().all(|t| has_or_all(mine, t));
        let resource = |r: &String| has_or_all(&self.resources, r) || r.split_once('/').is_some_and(|(r, s)| resource_in(&self.resources, r, s));
        let url = |u: &String| has(&self.non_resource_urls, u) || path_in(&self.non_resource_urls, u.trim_end_matches('*'));
        let names = self.resource_names.is_empty() || (!atom.resource_names.is_empty() && atom.resource_names.iter().all(|n| has(&self.resource_names, n)));
        all(&self.verbs, &atom.verbs)
            && all(&self.api_groups, &atom.api_groups)
            && atom.resources.iter().all(resource)
            && names
            && atom.non_resource_urls.iter().all(url)
    }
}

/// What of `wanted` the rules in `held` don't cover, compacted: verbs on the same thing are one rule.
pub fn missing(held: &[&Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for atom in wanted.iter().flat_map(Rule::atoms).filter(|atom| !held.iter().any(|h| h.covers(atom))) {
        let same = |r: &&mut Rule| {
            (&r.api_groups, &r.resources, &r.resource_names, &r.non_resource_urls)
                == (&atom.api_groups, &atom.resources, &atom.resource_names, &atom.non_resource_urls)
        };
        match out.iter_mut().find(same) {
            Some(rule) => rule.verbs.extend(atom.verbs),
            None => out.push(atom),
        }
    }
    out
}

/// As Kubernetes writes a rule in refusals: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts = lists.iter().filter(|(_, l)| !l.is_empty()).map(|(name, l)| format!("{name}:{}", quoted(l))).collect::<Vec<_>>();
        write!(f, "{{{}}}", parts.join(", "))
    }
}

/// A list of strings as Go's `%q` writes it: `["a" "b"]`.
pub fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use state_client::User;

    fn rule(v: Value) -> Rule {
        Rule::deserialize(&v).unwrap()
    }

    #[test]
    fn rules_allow() {
        let user = User::default();
        // groups, resources, names, verb, group, resource, subresource, name, allowed
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a str, &'a str, &'a str, &'a str, &'a str, bool);
        let cases: &[Case<'_>] = &[
            (&[""], &["pods"], &[], "get", "", "pods", "", "a", true),
            (&[""], &["pods"], &[], "delete", "", "pods", "", "a", false),
            (&[""], &["pods"], &[], "get", "", "pods", "log", "a", false),
            (&[""], &["pods/log"], &[], "get", "", "pods", "log", "a", true),
            (&[""], &["pods/log"], &[], "get", "", "pods", "", "a", false),
            (&[""], &["*/log"], &[], "get", "", "pods", "log", "a", true),
            (&[""], &["*/log"], &[], "get", "", "pods", "", "a", false),
            (&[""], &["*"], &[], "get", "", "pods", "log", "a", true),
            (&["*"], &["*"], &[], "get", "apps", "deployments", "", "a", true),
            (&["apps"], &["*"], &[], "get", "", "pods", "", "a", false),
            (&[""], &["pods"], &["b"], "get", "", "pods", "", "a", false),
            (&[""], &["pods"], &["a"], "get", "", "pods", "", "a", true),
            (&[""], &["pods"], &["a"], "list", "", "pods", "", "", false),
        ];
        for case in cases {
            let (groups, resources, names, verb, group, resource, subresource, name, want) = *case;
            let rule = rule(json!({"verbs": ["get", "list"], "apiGroups": groups, "resources": resources, "resourceNames": names}));
            let what = Attributes { user: &user, verb, target: Target::Resource { group, resource, subresource, namespace: "", name }, bound_to: None };
            assert_eq!(rule.allows(&what), want, "{case:?}");
        }
    }

    #[test]
    fn paths_allow() {
        let user = User::default();
        let rule = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}));
        for (path, want) in [("/healthz", true), ("/healthz/x", false), ("/apis/apps/v1", true), ("/api", false), ("/apis", false)] {
            assert_eq!(rule.allows(&Attributes { user: &user, verb: "get", target: Target::Path(path), bound_to: None }), want, "{path}");
        }
    }

    #[test]
    fn coverage() {
        let held = rule(json!({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "*/scale"]}));
        let named = rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["one"]}));
        let cases = [
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}), ""),
            (json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}), ""),
            (
                json!({"verbs": ["delete", "watch"], "apiGroups": [""], "resources": ["pods"]}),
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}"#,
            ),
            (json!({"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["one"]}), ""),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}), r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#),
        ];
        for (wanted, want) in cases {
            let missing = missing(&[&held, &named], &[rule(wanted)]);
            assert_eq!(missing.iter().map(Rule::to_string).collect::<Vec<_>>().join("\n"), want);
        }
    }
}
