//! Who asks: client certificates, bearer tokens, nobody, and on behalf of whom.
pub mod impersonate;
mod review;
pub mod subprotocol;
pub mod tokens;
mod users;

pub use users::{AUTHENTICATED, MASTERS, UNAUTHENTICATED, anonymous, known, own};

use http::{HeaderMap, header};
use model::ApiError;
use rustls_pki_types::CertificateDer;
use state_client::User;
use std::borrow::Cow;
use x509_parser::prelude::{FromDer, X509Certificate};

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
