//! `Impersonate-*` headers: a request on behalf of somebody else, when its sender may.
use super::review::ask;
use super::users::{AUTHENTICATED, anonymous, known};
use crate::body::text;
use bytes::Bytes;
use http::HeaderMap;
use model::{ApiError, Reason};
use serde_json::{Value, json};
use state_client::identity::SERVICE_ACCOUNTS;
use state_client::{Body, Client, Request, User, Verb};

const EXTRA: &str = "impersonate-extra-";

/// One thing that has to be allowed: the verb `impersonate` on a resource of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    group: &'static str,
    resource: &'static str,
    subresource: String,
    namespace: String,
    name: String,
}

/// On whose behalf headers ask; `None` when they don't.
///
/// # Errors
/// 400 for groups, UIDs or extras without a user.
fn asked(headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let groups: Vec<String> = headers.get_all("impersonate-group").iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect();
    let mut user = User { uid: header_text(headers, "impersonate-uid").unwrap_or_default().to_owned(), groups, ..User::default() };
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(EXTRA), value.to_str()) {
            let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
            user.extra.entry(key).or_default().push(value.to_owned());
        }
    }
    let Some(name) = header_text(headers, "impersonate-user") else {
        if user == User::default() {
            return Ok(None);
        }
        return Err(ApiError::bad_request("requested impersonation of groups, a uid or extra fields without impersonating a user"));
    };
    user.name = name.to_owned();
    Ok(Some(user))
}

fn needs(user: &User) -> Vec<Need> {
    let need = |group, resource, name: &str| Need { group, resource, subresource: String::new(), namespace: String::new(), name: name.to_owned() };
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut all = vec![match account {
        Some((namespace, name)) => Need { namespace: namespace.to_owned(), ..need("", "serviceaccounts", name) },
        None => need("", "users", &user.name),
    }];
    all.extend(user.groups.iter().map(|g| need("", "groups", g)));
    if !user.uid.is_empty() {
        all.push(need("authentication.k8s.io", "uids", &user.uid));
    }
    for (key, values) in &user.extra {
        all.extend(values.iter().map(|v| Need { subresource: key.clone(), ..need("authentication.k8s.io", "userextras", v) }));
    }
    all
}

/// The groups that come with a name: those of a service account, and of everybody who is known.
fn with_groups(mut user: User) -> User {
    if user.name == anonymous().name {
        return user;
    }
    if let Some((namespace, _)) = user.name.strip_prefix("system:serviceaccount:").and_then(|r| r.split_once(':')).filter(|_| user.groups.is_empty()) {
        user.groups = vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{namespace}")];
    }
    if user.groups.iter().any(|g| g == AUTHENTICATED) { user } else { known(user) }
}

/// The user for whom a request is carried out: its sender, or whom the sender may impersonate.
///
/// # Errors
/// 400 for headers that don't go together; 403 where the sender may not; what `state` answers where that can't be found out.
pub async fn apply(client: &Client, sender: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let Some(wanted) = asked(headers)? else { return Ok(sender) };
    for need in needs(&wanted) {
        let attributes = json!({
            "verb": "impersonate", "group": need.group, "resource": need.resource, "subresource": need.subresource,
            "namespace": need.namespace, "name": need.name,
        });
        if !allowed(client, &sender, "resourceAttributes", attributes).await? {
            let at = if need.namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace \"{}\"", need.namespace) };
            let why = format!("User \"{}\" cannot impersonate resource \"{}\" in API group \"{}\" {at}", sender.name, need.resource, need.group);
            return Err(ApiError::forbidden(need.group, need.resource, &need.name, why));
        }
    }
    Ok(with_groups(wanted))
}

/// Whether a user may do what `attributes` say: a SubjectAccessReview.
///
/// # Errors
/// What `state` answers.
pub async fn allowed(client: &Client, user: &User, field: &str, attributes: Value) -> Result<bool, ApiError> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra, field: attributes},
    });
    let request = Request::new(Verb::Create, "authorization.k8s.io", "subjectaccessreviews", "", "").body(Body::Json(Bytes::from(review.to_string())));
    let answer = ask(client, request).await?;
    Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or_default())
}

/// Whether a user may read a path that is no resource: `/metrics`.
///
/// # Errors
/// 403 when not; what `state` answers where that can't be found out.
pub async fn path_allowed(client: &Client, user: &User, path: &str) -> Result<(), ApiError> {
    if allowed(client, user, "nonResourceAttributes", json!({"path": path, "verb": "get"})).await? {
        return Ok(());
    }
    Err(path_forbidden(user, path))
}

/// The refusal of a path.
pub fn path_forbidden(user: &User, path: &str) -> ApiError {
    ApiError::new(Reason::Forbidden, format!("forbidden: User \"{}\" cannot get path \"{path}\"", user.name))
}

/// A request's `text` header or nothing.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    text(headers, name).filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn what_is_asked() {
        assert_eq!(asked(&headers(&[])), Ok(None));
        assert_eq!(asked(&headers(&[("impersonate-group", "g")])).map_err(|e| e.code()), Err(400));
        let user = asked(&headers(&[("impersonate-user", "system:serviceaccount:ns:sa"), ("impersonate-extra-scopes", "x")])).unwrap().unwrap();
        let needed = needs(&user);
        assert_eq!(
            needed.iter().map(|n| (n.resource, n.namespace.as_str(), n.name.as_str())).collect::<Vec<_>>(),
            [("serviceaccounts", "ns", "sa"), ("userextras", "", "x")]
        );
        assert_eq!(with_groups(user).groups, ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]);
    }
}
