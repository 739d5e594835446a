//! Bearer tokens: those of a file, and those of service accounts.
use super::review;
use model::ApiError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use state_client::token::Verifier;
use state_client::{Body, Client, Request, User, Verb};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a file of tokens can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It can't be read.
    #[error("cannot read the token file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line isn't `token,user,uid[,"group1,group2"]`.
    #[error("line {line} of the token file {path} is not token,user,uid,\"group1,group2\"")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

type Hash = [u8; 32];

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// Static tokens by their hash, so that a lookup's time tells nothing about them.
#[derive(Default)]
pub struct StaticTokens(HashMap<Hash, User>);

impl StaticTokens {
    /// Reads Kubernetes' token file: one `token,user,uid,"group1,group2"` a line.
    ///
    /// # Errors
    /// [`TokenFileError`].
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenFileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|line| TokenFileError::Line { path: path.to_owned(), line })
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut all = HashMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
            let (token, user) = token_line(line).ok_or(n + 1)?;
            all.insert(hash(token), user);
        }
        Ok(Self(all))
    }

    fn get(&self, token: &str) -> Option<&User> {
        self.0.get(&hash(token))
    }
}

fn token_line(line: &str) -> Option<(&str, User)> {
    let mut fields = line.splitn(4, ',').map(str::trim);
    let (token, name, uid) = (fields.next()?, fields.next()?, fields.next()?);
    if token.is_empty() || name.is_empty() {
        return None;
    }
    let groups = fields.next().unwrap_or_default().trim_matches('"').split(',').map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect();
    Some((token, User { name: name.to_owned(), uid: uid.to_owned(), groups, ..User::default() }))
}

/// How long `state`'s word on a token holds.
const TRUST: Duration = Duration::from_secs(10);
/// Tokens whose answer is kept at once.
const KEPT: usize = 4096;

/// All that knows bearer tokens.
pub struct Tokens {
    fixed: StaticTokens,
    accounts: Verifier,
    client: Client,
    alive: Mutex<HashMap<Hash, (Instant, User)>>,
}

impl Tokens {
    /// These static tokens, and service accounts' as `accounts` verifies them and `state` knows them.
    pub fn new(fixed: StaticTokens, accounts: Verifier, client: Client) -> Self {
        Self { fixed, accounts, client, alive: Mutex::default() }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// 401 when it is nobody's, or no longer valid; what `state` answers where that can't be found out.
    pub async fn user(&self, token: &str) -> Result<User, ApiError> {
        if let Some(user) = self.fixed.get(token) {
            return Ok(user.clone());
        }
        let claims = self.accounts.verify(token, &[], jiff::Timestamp::now()).map_err(|error| {
            tracing::debug!(%error, "a bearer token was refused");
            ApiError::unauthorized()
        })?;
        let key = hash(token);
        if let Some(user) = self.kept(&key) {
            return Ok(user);
        }
        self.review(token).await?;
        let user = claims.user();
        self.keep(key, user.clone());
        Ok(user)
    }

    fn kept(&self, key: &Hash) -> Option<User> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.get(key).filter(|(since, _)| since.elapsed() < TRUST).map(|(_, user)| user.clone())
    }

    fn keep(&self, key: Hash, user: User) {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if alive.len() >= KEPT {
            alive.retain(|_, (since, _)| since.elapsed() < TRUST);
        }
        if alive.len() < KEPT {
            alive.insert(key, (Instant::now(), user));
        }
    }

    /// Asks `state` whether what the token is bound to still exists: a TokenReview.
    async fn review(&self, token: &str) -> Result<(), ApiError> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token}});
        let request = Request::new(Verb::Create, "authentication.k8s.io", "tokenreviews", "", "").body(Body::Json(review.to_string().into()));
        let answer = review::ask(&self.client, request).await?;
        let authenticated = answer.pointer("/status/authenticated").and_then(Value::as_bool).unwrap_or_default();
        if authenticated { Ok(()) } else { Err(ApiError::unauthorized()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let tokens = StaticTokens::parse("# ours\nabc,alice,1,\"dev, ops\"\n\ndef,bob,2\n").unwrap();
        assert_eq!(tokens.get("abc").unwrap().groups, ["dev", "ops"]);
        assert_eq!(tokens.get("def").unwrap().name, "bob");
        assert!(tokens.get("").is_none());
        assert_eq!(StaticTokens::parse("x,y,1\nz\n").err(), Some(2));
    }
}
