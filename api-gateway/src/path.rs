//! What a request's path and method name: one parser for every kind, present and future.
use model::{ApiError, Kind, Kinds, Subresource};
use percent_encoding::percent_decode_str;
use state_client::Verb;
use std::sync::Arc;

/// A path below `/api` or `/apis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `/api`: the versions of the core group.
    Core,
    /// `/apis`: all other groups.
    Groups,
    /// `/apis/G`.
    Group(String),
    /// `/api/V` and `/apis/G/V`.
    Version {
        /// API group; `""` for the core group.
        group: String,
        /// Version.
        version: String,
    },
    /// Anything below a version.
    Resource(ResourcePath),
}

/// A resource, one object of it, or a part of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group; `""` for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural resource name.
    pub resource: String,
    /// Namespace; `""` for none.
    pub namespace: String,
    /// Name; `""` for the whole collection.
    pub name: String,
    /// Subresource; `""` for none.
    pub subresource: String,
    /// Whether it is one of the older paths of watches, `/api/v1/watch/pods`.
    pub watch: bool,
    /// The path below the subresource, as it was written, of what is passed on; `""` for none.
    pub rest: String,
}

/// Subresources of a namespace: `namespaces/x/status` is a part of `x`, where `namespaces/x/pods` is a collection within it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

/// Reads a path; `None` where no route of Kubernetes' shape matches. Never fails otherwise: whether the kind exists is [`resolve`]'s question.
pub fn parse(path: &str) -> Option<Path> {
    let (path, rest) = passed_on(path);
    let mut parsed = parse_whole(path)?;
    if let Path::Resource(resource) = &mut parsed {
        resource.rest = rest.to_owned();
    }
    Some(parsed)
}

/// A path to the end of its `proxy`, where it has one at a subresource's place, and what is below that.
fn passed_on(path: &str) -> (&str, &str) {
    let segments: Vec<&str> = path.split('/').collect();
    let at = if segments.get(3) == Some(&"namespaces") { 7 } else { 5 };
    if segments.get(1) != Some(&"api") || segments.get(at) != Some(&"proxy") {
        return (path, "");
    }
    let end = segments.iter().take(at + 1).map(|segment| segment.len() + 1).sum::<usize>() - 1;
    path.split_at_checked(end).unwrap_or((path, ""))
}

fn parse_whole(path: &str) -> Option<Path> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> = path.split('/').map(|s| percent_decode_str(s).decode_utf8().ok().map(|s| s.into_owned())).collect::<Option<_>>()?;
    if segments.iter().any(String::is_empty) {
        return None;
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api"] => Some(Path::Core),
        ["apis"] => Some(Path::Groups),
        ["apis", group] => Some(Path::Group((*group).to_owned())),
        ["api", version] => Some(Path::Version { group: String::new(), version: (*version).to_owned() }),
        ["api", version, rest @ ..] => resource("", version, rest),
        ["apis", group, version] => Some(Path::Version { group: (*group).to_owned(), version: (*version).to_owned() }),
        ["apis", group, version, rest @ ..] => resource(group, version, rest),
        _ => None,
    }
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Option<Path> {
    let (watch, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, rest),
    };
    let within = |inner: &[&str]| inner.first().is_some_and(|s| !(group.is_empty() && OF_NAMESPACES.contains(s)));
    let (namespace, rest) = match rest {
        ["namespaces", namespace, inner @ ..] if within(inner) => (*namespace, inner),
        _ => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", ""),
        [resource, name] => (*resource, *name, ""),
        [resource, name, subresource] => (*resource, *name, *subresource),
        _ => return None,
    };
    Some(Path::Resource(ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        watch,
        rest: String::new(),
    }))
}

/// The row of the table of kinds that a path means.
///
/// # Errors
/// 404 when no row serves it: group, version, resource, scope or subresource.
pub fn resolve(kinds: &Kinds, path: &ResourcePath) -> Result<(Arc<Kind>, Option<Subresource>), ApiError> {
    let kind = kinds.served(&path.group, &path.version, &path.resource).ok_or_else(ApiError::not_served)?;
    let scoped = match (kind.namespaced(), path.namespace.is_empty()) {
        (true, false) | (false, true) => true,
        (true, true) => path.name.is_empty(),
        (false, false) => false,
    };
    if !scoped {
        return Err(ApiError::not_served());
    }
    let sub = match path.subresource.as_str() {
        "" => None,
        name => Some(kind.subresource(name).ok_or_else(ApiError::not_served)?),
    };
    Ok((kind.clone(), sub))
}

/// What a method asks of a subresource.
fn sub_verb(sub: Subresource, method: &str) -> Option<Verb> {
    if sub.is_proxy() {
        return Some(passed_verb(method));
    }
    let verb = match method {
        "GET" | "HEAD" => Verb::Get,
        "PUT" => Verb::Update,
        "PATCH" => Verb::Patch,
        "POST" => Verb::Create,
        _ => return None,
    };
    if !sub.verbs().contains(&verb.name()) {
        return None;
    }
    match (sub.connects(), method) {
        (false, _) => Some(verb),
        // a stream is all body, which HEAD asks to leave out
        (true, "HEAD") => None,
        (true, _) => Some(Verb::Connect),
    }
}

/// By what a method that is passed on is authorised.
fn passed_verb(method: &str) -> Verb {
    match method {
        "GET" | "HEAD" => Verb::Get,
        "POST" => Verb::Create,
        "PUT" => Verb::Update,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        _ => Verb::Connect,
    }
}

/// What a method asks of a path.
///
/// # Errors
/// 405 for a method that the path, or its kind, doesn't have.
pub fn verb(method: &str, kind: &Kind, path: &ResourcePath, sub: Option<Subresource>, watch: bool) -> Result<Verb, ApiError> {
    if let Some(sub) = sub {
        return sub_verb(sub, method).ok_or_else(ApiError::not_allowed);
    }
    let whole = path.name.is_empty();
    let verb = match method {
        "GET" | "HEAD" if whole && watch => Verb::Watch,
        "GET" | "HEAD" if whole => Verb::List,
        "GET" | "HEAD" => Verb::Get,
        "POST" if whole && kind.namespaced() != path.namespace.is_empty() => Verb::Create,
        "PUT" if !whole => Verb::Update,
        "PATCH" if !whole => Verb::Patch,
        "DELETE" if !whole => Verb::Delete,
        "DELETE" if kind.namespaced() != path.namespace.is_empty() => Verb::DeleteCollection,
        _ => return Err(ApiError::not_allowed()),
    };
    if kind.verbs.contains(&verb.name()) { Ok(verb) } else { Err(ApiError::not_allowed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn res(path: &str) -> Option<(String, String, String, String, String, String)> {
        match parse(path) {
            Some(Path::Resource(r)) => Some((r.group, r.version, r.resource, r.namespace, r.name, r.subresource)),
            _ => None,
        }
    }

    #[test]
    fn resources() {
        let check = |path: &str, want: [&str; 6]| {
            let [a, b, c, d, e, f] = want.map(str::to_owned);
            assert_eq!(res(path), Some((a, b, c, d, e, f)), "{path}");
        };
        check("/api/v1/pods", ["", "v1", "pods", "", "", ""]);
        check("/api/v1/namespaces", ["", "v1", "namespaces", "", "", ""]);
        check("/api/v1/namespaces/a", ["", "v1", "namespaces", "", "a", ""]);
        check("/api/v1/namespaces/a/status", ["", "v1", "namespaces", "", "a", "status"]);
        check("/api/v1/namespaces/a/finalize", ["", "v1", "namespaces", "", "a", "finalize"]);
        check("/api/v1/namespaces/a/pods", ["", "v1", "pods", "a", "", ""]);
        check("/api/v1/namespaces/a/pods/p/", ["", "v1", "pods", "a", "p", ""]);
        check("/api/v1/namespaces/a/pods/p/log", ["", "v1", "pods", "a", "p", "log"]);
        check("/apis/apps/v1/namespaces/a/deployments/d/scale", ["apps", "v1", "deployments", "a", "d", "scale"]);
        check("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode", ["rbac.authorization.k8s.io", "v1", "clusterroles", "", "system:node", ""]);
    }

    #[test]
    fn what_is_below_a_proxy_is_passed_on() {
        let of = |path: &str| match parse(path) {
            Some(Path::Resource(r)) => Some((r.resource, r.name, r.subresource, r.rest)),
            _ => None,
        };
        let want = |resource: &str, name: &str, rest: &str| Some((resource.to_owned(), name.to_owned(), "proxy".to_owned(), rest.to_owned()));
        assert_eq!(of("/api/v1/namespaces/a/pods/https:p:80/proxy"), want("pods", "https:p:80", ""));
        assert_eq!(of("/api/v1/namespaces/a/pods/p/proxy/"), want("pods", "p", "/"));
        assert_eq!(of("/api/v1/namespaces/a/services/s/proxy/x//%2F/"), want("services", "s", "/x//%2F/"));
        assert_eq!(of("/api/v1/nodes/n/proxy/logs/"), want("nodes", "n", "/logs/"));
        assert_eq!(of("/api/v1/namespaces/a/pods/p/log/x"), None);
        assert_eq!(of("/api/v1/namespaces/a/pods/proxy"), Some(("pods".to_owned(), "proxy".to_owned(), String::new(), String::new())));
    }

    #[test]
    fn older_paths_of_watches() {
        let of = |path: &str| match parse(path) {
            Some(Path::Resource(r)) => Some((r.resource, r.namespace, r.name, r.watch)),
            _ => None,
        };
        let want = |resource: &str, namespace: &str, name: &str| Some((resource.to_owned(), namespace.to_owned(), name.to_owned(), true));
        assert_eq!(of("/api/v1/watch/namespaces"), want("namespaces", "", ""));
        assert_eq!(of("/api/v1/watch/namespaces/x/secrets"), want("secrets", "x", ""));
        assert_eq!(of("/apis/apps/v1/watch/namespaces/x/deployments/d"), want("deployments", "x", "d"));
        assert_eq!(of("/api/v1/watch"), Some(("watch".to_owned(), String::new(), String::new(), false)));
    }

    #[test]
    fn roots() {
        assert_eq!(parse("/api"), Some(Path::Core));
        assert_eq!(parse("/apis/"), Some(Path::Groups));
        assert_eq!(parse("/apis/apps"), Some(Path::Group("apps".into())));
        assert_eq!(parse("/api/v1"), Some(Path::Version { group: String::new(), version: "v1".into() }));
        for path in
            ["", "/", "x", "/healthz", "/api//v1", "/api/v1/a/b/c/d", "/api/v1/namespaces/a/pods/p/log/x", "/api/v1/%ff", "/api/v1/namespaces/a/status/x"]
        {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(path in "\\PC{0,60}") {
            parse(&path);
        }
        #[test]
        fn never_panics_on_likely_paths(path in "(/(api|apis|v1|namespaces|pods|status|%2F|%|a|)){0,9}/?") {
            parse(&path);
        }
        #[test]
        fn any_name_survives(name in "[a-z:.-]{1,20}") {
            let encoded = name.replace(':', "%3A");
            let got = res(&format!("/api/v1/namespaces/ns/pods/{encoded}")).map(|r| r.4);
            prop_assert_eq!(got, Some(name));
        }
    }
}
