//! Writes what admission steps note for an audit as log lines with the target `audit`. Kubernetes would write these notes as annotations of an audit event;
//! there is no audit log of requests here.
use crate::admission::AuditAnnotation;
use crate::request_context::RequestContext;
use model::Object;

/// Most characters of what is said of one write: a pod's names may be as long as a pod.
const MAX: usize = 4_096;

/// Writes down what was noted of a write, if anything was.
pub fn record(call: &RequestContext, object: &Object, notes: &[AuditAnnotation], allowed: bool) {
    if notes.is_empty() {
        return;
    }
    let (user, verb, resource) = (&call.user.name, call.verb.name(), &*call.kind.resource);
    tracing::info!(target: "audit", user, verb, resource, namespace = &*call.namespace, name = object.name(), allowed, annotations = written(notes));
}

/// `pod-security.kubernetes.io/exempt="user"`, each on its own; line breaks and the like are escaped.
fn written(notes: &[AuditAnnotation]) -> String {
    let all = notes.iter().map(|n| format!("{}={:?}", n.key, n.value)).collect::<Vec<_>>().join(" ");
    all.chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_bounded_length() {
        let note = |value: &str| AuditAnnotation { key: "pod-security.kubernetes.io/exempt".into(), value: value.to_owned() };
        assert_eq!(written(&[note("user"), note("a\nb \"c\"")]), r#"pod-security.kubernetes.io/exempt="user" pod-security.kubernetes.io/exempt="a\nb \"c\"""#);
        assert_eq!(written(&[note(&"x".repeat(70_000))]).chars().count(), MAX);
    }
}
