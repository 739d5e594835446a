//! Which writes a webhook is asked of: `rules` of a configuration.
use serde_json::Value;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// A stream is opened to it.
    Connect,
}

impl Operation {
    /// As rules and reviews write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What is done.
    pub operation: Operation,
    /// API group.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
    /// Subresource; `""` for none.
    pub subresource: &'a str,
    /// Whether objects of the resource live in a namespace; a Namespace itself doesn't.
    pub namespaced: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
}

impl Rule {
    /// Reads a rule.
    pub fn parse(rule: &Value) -> Self {
        let texts = |key: &str| rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources"),
            scope: rule["scope"].as_str().unwrap_or("*").to_owned(),
        }
    }

    /// Whether the rule concerns it.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let scope = match self.scope.as_str() {
            "Namespaced" => subject.namespaced,
            "Cluster" => !subject.namespaced,
            _ => true,
        };
        scope
            && has(&self.operations, subject.operation.name())
            && has(&self.groups, subject.group)
            && has(&self.versions, subject.version)
            && self.resources.iter().any(|resource| is_resource(resource, subject))
    }
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// `pods`, `pods/status`, `pods/*`, `*/scale`, `*`, `*/*`.
fn is_resource(pattern: &str, subject: &Subject<'_>) -> bool {
    let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
    (resource == "*" || resource == subject.resource) && (subresource == "*" || subresource == subject.subresource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_writes() {
        let rule = |operation: &str, group: &str, resource: &str, scope: Value| {
            Rule::parse(&json!({"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "scope": scope}))
        };
        let subject = |resource: &'static str, subresource: &'static str, namespaced: bool| Subject {
            operation: Operation::Create,
            group: "",
            version: "v1",
            resource,
            subresource,
            namespaced,
        };
        let pods = subject("pods", "", true);
        let cases = [
            (rule("CREATE", "", "pods", Value::Null), pods, true),
            (rule("*", "*", "*", Value::Null), pods, true),
            (rule("*", "*", "*/*", Value::Null), subject("pods", "status", true), true),
            (rule("*", "*", "*", Value::Null), subject("pods", "status", true), false),
            (rule("*", "*", "pods/*", Value::Null), subject("pods", "status", true), true),
            (rule("*", "*", "pods/*", Value::Null), pods, true),
            (rule("*", "*", "*/status", Value::Null), subject("pods", "status", true), true),
            (rule("*", "*", "*/status", Value::Null), pods, false),
            (rule("UPDATE", "", "pods", Value::Null), pods, false),
            (rule("CREATE", "apps", "pods", Value::Null), pods, false),
            (rule("CREATE", "", "pods", json!("Cluster")), pods, false),
            (rule("CREATE", "", "pods", json!("Namespaced")), pods, true),
            (rule("CREATE", "", "namespaces", json!("Cluster")), subject("namespaces", "", false), true),
            (Rule::parse(&Value::Null), pods, false),
        ];
        for (rule, subject, want) in cases {
            assert_eq!(rule.matches(&subject), want, "{rule:?} {subject:?}");
        }
    }
}
