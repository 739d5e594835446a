//! One of HTTP's requests, made of a message: the verb of its subject is a method, its other words name the resource, and each header that HTTP doesn't have
//! is a parameter of the query.
use super::pack;
use crate::handler::Api;
use crate::path::ResourcePath;
use crate::query::Query;
use crate::request::ApiRequest;
use crate::upload::Upload;
use bus::ClientRequest;
use bus::subject::ClientSubject;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use model::{ApiError, Reason};
use state_client::User;
use state_client::identity::{AUTHENTICATED, SERVICE_ACCOUNTS, user};

/// The header that names a version of the API; the preferred one is meant without it.
const VERSION: &str = "api-version";
/// Who may not be spoken for by a key of a program: the cluster's own parts have keys of their own.
const RESERVED: &str = "system:";

/// What a program asks for.
pub struct Asked {
    /// As HTTP has it.
    pub request: ApiRequest,
    /// Of what.
    pub path: ResourcePath,
    /// Whether the answer comes in pieces that don't end by themselves.
    pub stream: bool,
}

/// Whether a message wants its answer in MessagePack, an error too.
pub fn is_packed(message: &ClientRequest) -> bool {
    message.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("accept") && value.starts_with(pack::MEDIA_TYPE))
}

/// Reads a message.
///
/// # Errors
/// 400 for a verb that there isn't, for streams that only HTTP has and for a body that can't be read, 403 for a user that no program may be.
pub fn read(api: &Api, message: &ClientRequest) -> Result<Asked, ApiError> {
    let wanted = &message.wanted;
    let (user, packed) = (user_of(&message.user)?, is_packed(message));
    let (method, watches) = method(wanted)?;
    if matches!(wanted.subresource.as_str(), "exec" | "attach" | "portforward") {
        return Err(ApiError::bad_request("streams into a pod are opened over HTTP"));
    }
    let (mut headers, mut parameters) = split(&message.headers)?;
    let mut body = message.body.clone();
    if headers.get(header::CONTENT_TYPE).is_some_and(|given| given == pack::MEDIA_TYPE) {
        body = pack::to_json(&body)?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if method == Method::PATCH && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/merge-patch+json"));
    }
    if packed {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    // the subject alone says what is done: a key may be allowed one verb and not another
    parameters.retain(|(name, _)| name != "watch");
    let version = headers.remove(VERSION).and_then(|version| version.to_str().ok().map(str::to_owned));
    let version = version.or_else(|| api.version_of(&wanted.group, &wanted.resource)).ok_or_else(ApiError::not_served)?;
    let mut request = Request::new(Upload::whole(body));
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    let path = ResourcePath {
        group: wanted.group.clone(),
        version,
        resource: wanted.resource.clone(),
        namespace: wanted.namespace.clone(),
        name: wanted.name.clone(),
        subresource: wanted.subresource.clone(),
        watch: watches,
        rest: String::new(),
    };
    let stream = watches || wanted.subresource == "log";
    Ok(Asked { request: ApiRequest { request, user, query: Query::of(parameters) }, path, stream })
}

/// Who asks. A service account is in the groups of service accounts; other names that are the cluster's are nobody's.
fn user_of(name: &str) -> Result<User, ApiError> {
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, _)) => Ok(user(name, &[SERVICE_ACCOUNTS, &format!("{SERVICE_ACCOUNTS}:{namespace}"), AUTHENTICATED])),
        None if name.is_empty() || name.starts_with(RESERVED) => Err(ApiError::new(Reason::Forbidden, format!("no program may be the user {name:?}"))),
        None => Ok(user(name, &[AUTHENTICATED])),
    }
}

/// The method of a verb, and whether it is a watch's. Over HTTP some verbs differ by whether there is a name only: here both have to agree.
fn method(wanted: &ClientSubject) -> Result<(Method, bool), ApiError> {
    let verb = wanted.verb.as_str();
    let named = match verb {
        "get" | "update" | "patch" | "delete" => Some(true),
        "list" | "deletecollection" => Some(false),
        "create" => Some(!wanted.subresource.is_empty()),
        _ => None,
    };
    if named.is_some_and(|named| named == wanted.name.is_empty()) {
        let why = if wanted.name.is_empty() { "needs the name of an object" } else { "is of no single object: its subject has = in place of a name" };
        return Err(ApiError::bad_request(format!("{verb} {why}")));
    }
    Ok(match verb {
        "get" | "list" => (Method::GET, false),
        "watch" => (Method::GET, true),
        "create" => (Method::POST, false),
        "update" => (Method::PUT, false),
        "patch" => (Method::PATCH, false),
        "delete" | "deletecollection" => (Method::DELETE, false),
        _ => return Err(ApiError::bad_request(format!("{verb:?} is no verb: use get, list, watch, create, update, patch, delete or deletecollection"))),
    })
}

/// HTTP's headers among those of a message, and the others, which are parameters.
fn split(given: &[(String, String)]) -> Result<(HeaderMap, Vec<(String, String)>), ApiError> {
    let (mut headers, mut parameters) = (HeaderMap::new(), Vec::new());
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "accept" | "content-type" | "user-agent" | VERSION => {}
            other if other.starts_with("impersonate-") => {}
            other if other.starts_with("nats-") => continue,
            _ => {
                parameters.push((name.clone(), value.clone()));
                continue;
            }
        }
        let bad = |_| ApiError::bad_request(format!("the header {name:?} can't be read"));
        let name = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| ApiError::bad_request(format!("the header {name:?} can't be read")))?;
        headers.append(name, HeaderValue::from_str(value).map_err(bad)?);
    }
    Ok((headers, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_program_may_be() {
        assert_eq!(user_of("ci").map(|user| user.groups), Ok(vec![AUTHENTICATED.to_owned()]));
        let account = user_of("system:serviceaccount:web:robot").map(|user| user.groups);
        assert_eq!(account, Ok(vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:web"), AUTHENTICATED.to_owned()]));
        for name in ["", "system:apiserver", "system:node:n1", "system:serviceaccount:x"] {
            assert_eq!(user_of(name).map_err(|e| e.code()), Err(403), "{name}");
        }
    }

    #[test]
    fn a_verb_is_what_the_subject_says() {
        let of = |verb: &str, name: &str, subresource: &str| {
            let wanted = ClientSubject { verb: verb.to_owned(), name: name.to_owned(), subresource: subresource.to_owned(), ..ClientSubject::default() };
            method(&wanted).map(|(method, watches)| format!("{method}{}", if watches { " watch" } else { "" })).map_err(|e| e.code())
        };
        let rows = [
            ("get", "a", "", Ok("GET")),
            ("get", "", "", Err(400)),
            ("list", "", "", Ok("GET")),
            ("list", "a", "", Err(400)),
            ("watch", "", "", Ok("GET watch")),
            ("watch", "a", "", Ok("GET watch")),
            ("create", "", "", Ok("POST")),
            ("create", "a", "", Err(400)),
            ("create", "a", "eviction", Ok("POST")),
            ("delete", "", "", Err(400)),
            ("deletecollection", "", "", Ok("DELETE")),
            ("deletecollection", "a", "", Err(400)),
            ("connect", "a", "exec", Err(400)),
        ];
        for (verb, name, subresource, want) in rows {
            assert_eq!(of(verb, name, subresource), want.map(str::to_owned), "{verb} {name} {subresource}");
        }
    }

    #[test]
    fn headers_and_parameters() {
        let given = [("Accept", "a"), ("labelSelector", "a=b"), ("Nats-Msg-Id", "1"), ("Impersonate-User", "x"), ("Authorization", "Bearer x")];
        let (headers, parameters) = split(&given.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept", "impersonate-user"]);
        assert_eq!(parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["labelSelector", "Authorization"]);
        assert!(split(&[("accept".to_owned(), "a\nb".to_owned())]).is_err());
    }
}
