//! Who asks: client certificates, bearer tokens, nobody, and on behalf of whom.
pub mod impersonate;
pub mod subprotocol;
pub mod tokens;

use crate::body::text;
use http::{HeaderMap, header};
use model::ApiError;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use state_client::{Client, Reply, Request, User};
use std::borrow::Cow;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Group of those who may do anything.
pub const MASTERS: &str = "system:masters";

/// The user of a request without credentials.
pub fn anonymous() -> User {
    User { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..User::default() }
}

/// As whom the gateway itself asks `state`: whether somebody may impersonate, whether a token is alive.
pub fn gateway() -> User {
    User { name: "system:apiserver".to_owned(), groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()], ..User::default() }
}

/// A question of the gateway's own to `state`: a review, whose answer is a document.
///
/// # Errors
/// What `state` answers.
pub(crate) async fn ask(client: &Client, request: Request) -> Result<Value, ApiError> {
    let request = Request { user: Some(gateway()), version: "v1".into(), ..request };
    match client.call(request).await? {
        Reply::Json { json, .. } => serde_json::from_slice(&json).map_err(|e| ApiError::internal(e.to_string())),
        Reply::Object { object, .. } => Ok(Value::Object(object.object().0.clone())),
        Reply::List(_) => Err(ApiError::internal("the answer to a review is a list")),
    }
}

/// The user that a client certificate names: its common name, with its organisations as groups. TLS has verified it already.
pub fn certificate_user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, cert) = X509Certificate::from_der(certificate).ok()?;
    let name = cert.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    if name.is_empty() {
        return None;
    }
    let groups = cert.subject().iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned);
    Some(known(User { name, groups: groups.collect(), ..User::default() }))
}

/// The same user, in the group of those who are known.
pub fn known(mut user: User) -> User {
    if !user.groups.iter().any(|g| g == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}

/// The bearer token of a request: from `Authorization`, or from the WebSocket subprotocol that browsers have to use.
///
/// # Errors
/// 401 for an `Authorization` that is something else; as [`subprotocol::token`].
pub fn bearer(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(subprotocol::token(headers)?.map(Cow::Owned)) };
    let value = value.to_str().map_err(|_| ApiError::unauthorized())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(Some(token.trim().into())),
        _ => Err(ApiError::unauthorized()),
    }
}

/// Finds out who asks. A certificate goes before a token, a token before nothing; a bad token is never nobody.
///
/// # Errors
/// 401 for credentials that aren't valid; 503 where that can't be found out.
pub async fn identify(tokens: &tokens::Tokens, certificate: Option<&User>, headers: &HeaderMap) -> Result<User, ApiError> {
    if let Some(user) = certificate {
        return Ok(user.clone());
    }
    match bearer(headers)? {
        Some(token) => tokens.user(&token).await.map(known),
        None => Ok(anonymous()),
    }
}

/// A request's `text` header or nothing.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    text(headers, name).filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Pki;
    use http::HeaderValue;
    use rustls_pki_types::pem::PemObject;

    #[test]
    fn certificates_name_users() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(dir.path(), &[]).unwrap();
        let user = certificate_user(&CertificateDer::from_pem_slice(pki.admin().cert.as_bytes()).unwrap()).unwrap();
        assert_eq!((user.name.as_str(), user.groups), ("admin", vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()]));
        assert_eq!(certificate_user(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn bearers() {
        let of = |v: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(v));
            bearer(&headers).map(|t| t.map(Cow::into_owned)).map_err(|e| e.code())
        };
        assert_eq!(of("Bearer abc"), Ok(Some("abc".to_owned())));
        assert_eq!(of("bearer  abc "), Ok(Some("abc".to_owned())));
        assert_eq!(of("Basic abc"), Err(401));
        assert_eq!(of("Bearer "), Err(401));
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
    }
}
