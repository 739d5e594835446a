//! Tokens of service accounts: what they say, and how they are verified. Pure: the time is given.
use crate::api::User;
use crate::identity::{AUTHENTICATED, SERVICE_ACCOUNTS};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who issues tokens, and the audience of those for the API itself.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The user name of a service account is this, its namespace, `:`, its name.
pub const USER_PREFIX: &str = "system:serviceaccount:";

/// Names one object that a token is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ref {
    /// Its name.
    pub name: String,
    /// Its UID: an object of the same name made later isn't meant.
    pub uid: String,
}

/// What a token is bound to: the claim `kubernetes.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The account's namespace.
    pub namespace: String,
    /// The account.
    pub serviceaccount: Ref,
    /// The pod that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Ref>,
    /// The node of that pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Ref>,
    /// The Secret that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Ref>,
}

/// What a token says. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it stands for.
    pub sub: String,
    /// For whom it is meant.
    pub aud: Vec<String>,
    /// Until when it is valid.
    pub exp: i64,
    /// Since when.
    pub nbf: i64,
    /// When it was made.
    pub iat: i64,
    /// Its own identity.
    pub jti: String,
    /// What it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub bound: Bound,
}

impl Claims {
    /// The user that it stands for.
    pub fn user(&self) -> User {
        let b = &self.bound;
        let mut extra = BTreeMap::from([("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={}", self.jti)])]);
        for (what, reference) in [("pod", &b.pod), ("node", &b.node)] {
            if let Some(r) = reference {
                extra.insert(format!("authentication.kubernetes.io/{what}-name"), vec![r.name.clone()]);
                extra.insert(format!("authentication.kubernetes.io/{what}-uid"), vec![r.uid.clone()]);
            }
        }
        User {
            name: format!("{USER_PREFIX}{}:{}", b.namespace, b.serviceaccount.name),
            uid: b.serviceaccount.uid.clone(),
            groups: vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{}", b.namespace), AUTHENTICATED.to_owned()],
            extra,
        }
    }
}

/// Why a token isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The key that shall verify tokens is none.
    #[error("the public key for service account tokens can't be read: {0}")]
    Key(String),
    /// Not a token of ours.
    #[error("invalid bearer token: {0}")]
    Invalid(String),
    /// Its time is over.
    #[error("service account token has expired")]
    Expired,
    /// Its time hasn't come.
    #[error("service account token is not valid yet")]
    NotYet,
    /// It is meant for others.
    #[error("token audiences {} is invalid for the target audiences {}", quoted(.0), quoted(.1))]
    Audience(Vec<String>, Vec<String>),
}

/// A list of texts as Go's `%q` prints it: `["a" "b"]`.
fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" "))
}

/// Verifies signatures and times. Whether the account and the pod still exist is `state`'s to say: ask it by TokenReview. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    key: Arc<DecodingKey>,
    issuer: Arc<str>,
}

impl Verifier {
    /// With the public half (PEM) of the ES256 key that signs tokens.
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn new(public_pem: &str) -> Result<Self, TokenError> {
        let key = DecodingKey::from_ec_pem(public_pem.as_bytes()).map_err(|e| TokenError::Key(e.to_string()))?;
        Ok(Self { key: Arc::new(key), issuer: ISSUER.into() })
    }

    /// Whether a bearer token claims to be ours, so that other ways to authenticate needn't be tried.
    pub fn recognises(&self, token: &str) -> bool {
        jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).is_ok_and(|c| c.iss == *self.issuer)
    }

    /// What a token says, if it is valid at `now` for one of `audiences` (none given: for the API).
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, audiences: &[String], now: jiff::Timestamp) -> Result<Claims, TokenError> {
        let mut rules = Validation::new(Algorithm::ES256);
        // times and audiences are checked below: with the time given, and in Kubernetes' words
        (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
        rules.set_issuer(&[&*self.issuer]);
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &rules);
        let claims = decoded.map_err(|e| TokenError::Invalid(e.to_string()))?.claims;
        let now = now.as_second();
        if now >= claims.exp {
            return Err(TokenError::Expired);
        }
        if now < claims.nbf {
            return Err(TokenError::NotYet);
        }
        let api = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &api } else { audiences };
        if claims.aud.iter().any(|a| wanted.contains(a)) { Ok(claims) } else { Err(TokenError::Audience(claims.aud, wanted.to_vec())) }
    }
}
