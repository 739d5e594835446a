//! Names of those who sign certificates.
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::names;

/// Longest path of a signer's name: a DNS label, a dot and a DNS subdomain.
const PATH_MAX: usize = names::SUBDOMAIN_MAX + names::LABEL_MAX + 1;

/// A signer's name: a domain, and a path below it.
pub(super) fn name(checks: &mut Checks, path: &str, name: &str) {
    let (domain, rest) = match name.split_once('/') {
        _ if name.is_empty() => return checks.required(path, ""),
        Some((domain, rest)) if !rest.contains('/') => (domain, rest),
        _ => {
            let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            return checks.add(Cause::invalid(path, &name.into(), why));
        }
    };
    if domain.len() > names::SUBDOMAIN_MAX {
        checks.add(Cause::too_long(path, names::SUBDOMAIN_MAX));
    }
    labels(checks, path, domain, names::dns_label);
    if !domain.contains('.') {
        checks.add(Cause::invalid(path, &domain.into(), "should be a domain with at least two segments separated by dots"));
    }
    labels(checks, path, rest, names::dns_subdomain);
    if name.len() > names::SUBDOMAIN_MAX + PATH_MAX + 1 {
        checks.add(Cause::too_long(path, names::SUBDOMAIN_MAX + PATH_MAX + 1));
    }
}

/// What is wrong with the first part that isn't right.
fn labels(checks: &mut Checks, path: &str, whole: &str, rule: fn(&str) -> Vec<String>) {
    let wrong = whole.split('.').map(|label| (label, rule(label))).find(|(_, errors)| !errors.is_empty());
    for error in wrong.iter().flat_map(|(label, errors)| errors.iter().map(move |error| format!("validating label {label:?}: {error}"))) {
        checks.add(Cause::invalid(path, &whole.into(), error));
    }
}

/// Whether a signer is one of Kubernetes' own.
pub(super) fn is_kubernetes(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or_default();
    domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")
}
