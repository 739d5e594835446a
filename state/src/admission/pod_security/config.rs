//! What an administrator says of pod security for the whole cluster: Kubernetes' `PodSecurityConfiguration`.
use super::policy::{Level, Policy, Standard, Version};
use model::{Cause, names};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

const GROUP: &str = "pod-security.admission.config.k8s.io";
const KIND: &str = "PodSecurityConfiguration";

/// The cluster's defaults and exemptions. It is read from the form that Kubernetes has for it, in JSON or YAML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Document")]
pub struct PodSecurity {
    /// What holds where a namespace's labels say nothing.
    pub defaults: Policy,
    /// Who may do anything, by the user's name.
    pub usernames: HashSet<String>,
    /// Namespaces in which anything may be done.
    pub namespaces: HashSet<String>,
    /// Runtime classes of pods that may do anything.
    pub runtime_classes: HashSet<String>,
}

impl PodSecurity {
    /// Whether pods of this spec's runtime class may do anything.
    pub(super) fn is_exempt_class(&self, spec: &Value) -> bool {
        let class = spec.get("runtimeClassName").and_then(Value::as_str).filter(|class| !class.is_empty());
        class.is_some_and(|class| self.runtime_classes.contains(class))
    }
}

/// Why a document is no configuration: a field and a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|c| format!("{}: {}", c.field, c.message)).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<Cause>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    defaults: Defaults,
    exemptions: Exemptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Defaults {
    enforce: String,
    enforce_version: String,
    audit: String,
    audit_version: String,
    warn: String,
    warn_version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Exemptions {
    usernames: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

impl TryFrom<Document> for PodSecurity {
    type Error = ConfigError;

    fn try_from(document: Document) -> Result<Self, ConfigError> {
        let mut wrong = Vec::new();
        what_it_is(&document, &mut wrong);
        let given = &document.defaults;
        let defaults = Policy {
            enforce: standard("enforce", &given.enforce, &given.enforce_version, &mut wrong),
            audit: standard("audit", &given.audit, &given.audit_version, &mut wrong),
            warn: standard("warn", &given.warn, &given.warn_version, &mut wrong),
        };
        let exempt = document.exemptions;
        let named = |name: &str| if name.is_empty() { vec!["username must not be empty".to_owned()] } else { Vec::new() };
        let made = Self {
            defaults,
            namespaces: distinct("namespaces", exempt.namespaces, names::dns_label, &mut wrong),
            runtime_classes: distinct("runtimeClasses", exempt.runtime_classes, names::dns_subdomain, &mut wrong),
            usernames: distinct("usernames", exempt.usernames, named, &mut wrong),
        };
        if wrong.is_empty() { Ok(made) } else { Err(ConfigError(wrong)) }
    }
}

/// A document may leave out what it is, but not claim to be something else.
fn what_it_is(document: &Document, wrong: &mut Vec<Cause>) {
    let versions = ["v1", "v1beta1", "v1alpha1"].map(|v| format!("{GROUP}/{v}"));
    if !document.api_version.is_empty() && !versions.contains(&document.api_version) {
        let known: Vec<&str> = versions.iter().map(String::as_str).collect();
        wrong.push(Cause::not_supported("apiVersion", &document.api_version.as_str().into(), &known));
    }
    if !document.kind.is_empty() && document.kind != KIND {
        wrong.push(Cause::not_supported("kind", &document.kind.as_str().into(), &[KIND]));
    }
}

fn standard(mode: &str, level: &str, version: &str, wrong: &mut Vec<Cause>) -> Standard {
    let mut refuse = |field: &str, text: &str, why| wrong.push(Cause::invalid(format_args!("defaults.{field}"), &text.into(), why));
    let level = if level.is_empty() { Ok(Level::Privileged) } else { Level::parse(level).inspect_err(|why| refuse(mode, level, *why)) };
    let version = match version {
        "" => Ok(Version::Latest),
        text => Version::parse(text).inspect_err(|why| refuse(&format!("{mode}-version"), text, *why)),
    };
    Standard { level: level.unwrap_or(Level::Restricted), version: version.unwrap_or(Version::Latest) }
}

fn distinct(field: &str, names: Vec<String>, rule: impl Fn(&str) -> Vec<String>, wrong: &mut Vec<Cause>) -> HashSet<String> {
    let mut all = HashSet::new();
    for (i, name) in names.into_iter().enumerate() {
        let path = format!("exemptions.{field}[{i}]");
        let errors = rule(&name);
        if !errors.is_empty() {
            wrong.push(Cause::invalid(path, &Value::from(name), errors.join(", ")));
        } else if all.contains(&name) {
            wrong.push(Cause::duplicate(path, &Value::from(name)));
        } else {
            all.insert(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_kubernetes_writes_it() {
        let document = json!({
            "apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration",
            "defaults": {"enforce": "baseline", "enforce-version": "v1.30", "audit": "restricted", "warn": "restricted", "warn-version": "latest"},
            "exemptions": {"usernames": ["root"], "namespaces": ["kube-system"], "runtimeClasses": ["kata"]},
        });
        let read: PodSecurity = serde_json::from_value(document).unwrap();
        assert_eq!(
            [read.defaults.enforce, read.defaults.audit, read.defaults.warn].map(|s| s.to_string()),
            ["baseline:v1.30", "restricted:latest", "restricted:latest"]
        );
        assert!(read.usernames.contains("root") && read.namespaces.contains("kube-system") && read.runtime_classes.contains("kata"));
        assert_eq!(serde_json::from_value::<PodSecurity>(json!({})).unwrap(), PodSecurity::default());
    }

    #[test]
    fn refused() {
        for (document, why) in [
            (json!({"kind": "Pod"}), "kind: Unsupported value: \"Pod\""),
            (json!({"apiVersion": "v1"}), "apiVersion: Unsupported value: \"v1\""),
            (json!({"defaults": {"enforce": "strict"}}), "defaults.enforce: Invalid value: \"strict\": must be one of privileged, baseline, restricted"),
            (json!({"defaults": {"warn-version": "1.2"}}), "defaults.warn-version: Invalid value: \"1.2\": must be \"latest\" or \"v1.x\""),
            (json!({"defaults": {"enforceVersion": "latest"}}), "unknown field `enforceVersion`"),
            (json!({"exemptions": {"namespaces": ["A"]}}), "exemptions.namespaces[0]: Invalid value: \"A\": a lowercase RFC 1123 label"),
            (json!({"exemptions": {"usernames": [""]}}), "exemptions.usernames[0]: Invalid value: \"\": username must not be empty"),
            (json!({"exemptions": {"runtimeClasses": ["a", "a"]}}), "exemptions.runtimeClasses[1]: Duplicate value: \"a\""),
        ] {
            let error = serde_json::from_value::<PodSecurity>(document.clone()).unwrap_err().to_string();
            assert!(error.contains(why), "{document}: {error}");
        }
    }
}
