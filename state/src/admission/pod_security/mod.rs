//! PodSecurity: how much pods of a namespace may do, by its labels. Pods that do more are refused, or only reported; templates of pods are
//! always only reported, so that what makes pods of them can be seen to fail.
mod baseline;
mod check;
mod config;
mod namespace;
mod pod;
mod policy;
mod restricted;
mod violation;

pub use check::check;
pub use config::{ConfigError, PodSecurity};
pub use policy::{Level, Policy, Standard, Version};
pub use violation::Violation;

use crate::admission::step::{Admit, Effects, Refusal, Step};
use model::subresource::Effect;
use model::{ApiError, Cause, Key, Object, Subresource};
use serde_json::Value;
use std::sync::Arc;
use violation::details;

/// Where kinds have the template of their pods.
const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("", "replicationcontrollers", &["spec", "template"]),
    ("", "podtemplates", &["template"]),
    ("apps", "replicasets", &["spec", "template"]),
    ("apps", "deployments", &["spec", "template"]),
    ("apps", "statefulsets", &["spec", "template"]),
    ("apps", "daemonsets", &["spec", "template"]),
    ("batch", "jobs", &["spec", "template"]),
    ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template"]),
];

/// The step.
pub struct PodSecurityAdmission(pub Arc<PodSecurity>);

/// A pod, or a template of pods.
struct Subject<'a> {
    metadata: &'a Value,
    spec: &'a Value,
}

impl Step for PodSecurityAdmission {
    fn judge(&self, request: &Admit<'_>, object: &Object, held: &mut Effects) -> Result<(), Refusal> {
        match (&*request.kind.group, &*request.kind.resource) {
            ("", "namespaces") if request.subresource.is_none() => namespace::judge(&self.0, request, object, held),
            ("", "pods") => self.pod(request, object, held),
            kind => {
                let path = TEMPLATES.iter().find(|(group, resource, _)| (*group, *resource) == kind).map(|(_, _, path)| *path);
                if let (Some(template), None) = (path.and_then(|p| object.at(p)).filter(|t| t.is_object()), request.subresource) {
                    self.template(request, object.namespace(), template, held);
                }
                Ok(())
            }
        }
    }
}

impl PodSecurityAdmission {
    fn pod(&self, request: &Admit<'_>, pod: &Object, held: &mut Effects) -> Result<(), Refusal> {
        if request.subresource.is_some_and(leaves_containers) || self.exempts(request, pod.namespace(), held) {
            return Ok(());
        }
        let (policy, wrong) = self.policy(request, pod.namespace()).ok_or_else(|| {
            let error = ApiError::internal(format!("failed to lookup namespace \"{}\"", pod.namespace()));
            Refusal::missing("", "namespaces", error)
        })?;
        if (wrong.is_empty() && policy.allows_anything()) || request.old.is_some_and(|old| !matters(pod, old)) {
            return Ok(());
        }
        let nothing = Value::Null;
        let subject = Subject { metadata: pod.at(&["metadata"]).unwrap_or(&nothing), spec: pod.at(&["spec"]).unwrap_or(&nothing) };
        match self.evaluate(&policy, &wrong, &subject, true, held) {
            Some(why) => Err(request.forbidden(pod, why)),
            None => Ok(()),
        }
    }

    fn template(&self, request: &Admit<'_>, namespace: &str, template: &Value, held: &mut Effects) {
        if self.exempts(request, namespace, held) {
            return;
        }
        let Some((policy, wrong)) = self.policy(request, namespace) else {
            return held.note("pod-security.kubernetes.io/error", format!("failed to lookup namespace \"{namespace}\""));
        };
        if wrong.is_empty() && policy.warn.level == Level::Privileged && policy.audit.level == Level::Privileged {
            return;
        }
        let nothing = Value::Null;
        let subject = Subject { metadata: template.get("metadata").unwrap_or(&nothing), spec: template.get("spec").unwrap_or(&nothing) };
        self.evaluate(&policy, &wrong, &subject, false, held);
    }

    /// What a namespace's labels ask for; `None` when there is no such namespace.
    fn policy(&self, request: &Admit<'_>, namespace: &str) -> Option<(Policy, Vec<Cause>)> {
        let namespace = request.view.get(&Key::new("", "namespaces", "", namespace))?;
        Some(Policy::of(namespace.object().labels(), &self.0.defaults))
    }

    /// Whether a namespace or a user may do anything.
    fn exempts(&self, request: &Admit<'_>, namespace: &str, held: &mut Effects) -> bool {
        let why = if self.0.namespaces.contains(namespace) {
            "namespace"
        } else if self.0.usernames.contains(&request.user.name) {
            "user"
        } else {
            return false;
        };
        held.note("pod-security.kubernetes.io/exempt", why);
        true
    }

    /// Why a pod is refused. What else there is to say of it is left in `held`.
    fn evaluate(&self, policy: &Policy, wrong: &[Cause], subject: &Subject<'_>, enforce: bool, held: &mut Effects) -> Option<String> {
        if self.0.is_exempt_class(subject.spec) {
            held.note("pod-security.kubernetes.io/exempt", "runtimeClass");
            return None;
        }
        if !wrong.is_empty() {
            let list = wrong.iter().map(|c| format!("{}: {}", c.field, c.message)).collect::<Vec<_>>().join(", ");
            held.note("pod-security.kubernetes.io/error", format!("Failed to parse policy: {list}"));
        }
        let mut known: Vec<(Standard, Vec<Violation>)> = Vec::new();
        let mut found = |standard: Standard| match known.iter().find(|(s, _)| *s == standard) {
            Some((_, violations)) => violations.clone(),
            None => {
                let violations = check(standard, subject.metadata, subject.spec);
                known.push((standard, violations.clone()));
                violations
            }
        };
        let refused = if enforce { found(policy.enforce) } else { Vec::new() };
        let would = |standard, violations: &[Violation]| format!("would violate PodSecurity \"{standard}\": {}", details(violations));
        let audited = found(policy.audit);
        if !audited.is_empty() {
            held.note("pod-security.kubernetes.io/audit-violations", would(policy.audit, &audited));
        }
        if !refused.is_empty() {
            held.note("pod-security.kubernetes.io/enforce-policy", policy.enforce.to_string());
            return Some(format!("violates PodSecurity \"{}\": {}", policy.enforce, details(&refused)));
        }
        let warned = found(policy.warn);
        held.warnings.extend((!warned.is_empty()).then(|| would(policy.warn, &warned)));
        None
    }
}

/// Whether a write of this part of a pod can't change its containers.
fn leaves_containers(part: Subresource) -> bool {
    match part.effect() {
        Effect::Part(field) => field.first() != Some(&"spec"),
        Effect::View => false,
        Effect::Action | Effect::Connection => true,
    }
}

/// Whether an update changes what is judged: of what may change in a pod that is an image.
fn matters(new: &Object, old: &Object) -> bool {
    let images = |pod: &Object, kind: &str| pod.list_at(&["spec", kind]).iter().map(image).collect::<Vec<_>>();
    let changed = ["containers", "initContainers"].iter().any(|kind| images(new, kind) != images(old, kind));
    let before = old.list_at(&["spec", "ephemeralContainers"]);
    let of = |c: &Value, name: &str| c.get("name").and_then(Value::as_str) == Some(name);
    let added = |c: &Value| {
        let name = c.get("name").and_then(Value::as_str).unwrap_or_default();
        before.iter().find(|old| of(old, name)).is_none_or(|old| image(old) != image(c))
    };
    changed || new.list_at(&["spec", "ephemeralContainers"]).iter().any(added)
}

fn image(container: &Value) -> String {
    container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
